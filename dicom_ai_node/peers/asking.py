"""Is a peer there, and does it take what this node would send? For `check` and `setup`."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom.sop_class import LabelMapSegmentationStorage  # type: ignore[attr-defined]

from dicom_ai_node.config.peers import AnyPeer, DicomwebPeer, DimsePeer
from dicom_ai_node.errors import ConfigError, PeerUnreachable
from dicom_ai_node.form import Form, Kind, ReportForm, Segmentation
from dicom_ai_node.peers.check import can_write
from dicom_ai_node.peers.dimse import DimseStore

_MOST_AT_ONCE = 16
_CONNECT_S, _ANSWER_S = 5.0, 10.0  # at most: somebody waits at the terminal
_SEGMENTATIONS = {
    Segmentation.BINARY: SegmentationStorage,
    Segmentation.FRACTIONAL: SegmentationStorage,
    Segmentation.LABELMAP: UID(LabelMapSegmentationStorage),
    Segmentation.RTSTRUCT: RTStructureSetStorage,
}
_REPORTS = {
    ReportForm.COMPREHENSIVE_3D: Comprehensive3DSRStorage,
    ReportForm.COMPREHENSIVE: ComprehensiveSRStorage,
    ReportForm.SPATIAL: Comprehensive3DSRStorage,
}
_COMPANIONS = {
    Kind.SUMMARY: SecondaryCaptureImageStorage,
    Kind.KEY_IMAGES: SecondaryCaptureImageStorage,
    Kind.PRESENTATION: GrayscaleSoftcopyPresentationStateStorage,
    Kind.KEY_OBJECTS: KeyObjectSelectionDocumentStorage,
    Kind.PDF: EncapsulatedPDFStorage,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAnswer:
    """What one peer says; `refuses` names SOP classes; `next_step` is empty where all is well."""

    peer: str
    answers: bool
    text: str
    refuses: tuple[str, ...] = ()
    next_step: str = ""


def ask_all(peers: Mapping[str, AnyPeer], *, calling_ae_title: str) -> list[PeerAnswer]:
    """In parallel, each within its own time limits, or shorter ones."""
    with ThreadPoolExecutor(_MOST_AT_ONCE) as threads:
        asked = {
            name: threads.submit(ask, name, settings, calling_ae_title=calling_ae_title)
            for name, settings in peers.items()
        }
        return [each.result() for each in asked.values()]


def ask(name: str, settings: AnyPeer, *, calling_ae_title: str) -> PeerAnswer:
    try:
        if isinstance(settings, DimsePeer):
            return _ask_dimse(name, settings, calling_ae_title)
        if isinstance(settings, DicomwebPeer):
            return _ask_dicomweb(name, settings)
    except (PeerUnreachable, ConfigError) as error:
        said, _, step = str(error).partition(": ")
        step = step or "is it running, are host and port right, and is there no firewall between?"
        return PeerAnswer(peer=name, answers=False, text=said, next_step=step)
    is_writable = can_write(settings.path)
    return PeerAnswer(
        peer=name,
        answers=is_writable,
        text=f"{settings.path} {'can' if is_writable else 'cannot'} be written",
        next_step="" if is_writable else "make the folder, and give it to the node's user",
    )


def _ask_dimse(name: str, settings: DimsePeer, calling_ae_title: str) -> PeerAnswer:
    quick = settings.model_copy(update=_limits(settings))
    ladder = [sop_classes(form) for form in settings.results.ladder]
    store = DimseStore(quick, calling_ae_title=calling_ae_title)
    refused = store.echo({each for rung in ladder for each in rung})
    over = " over TLS" if settings.tls is not None else ""
    is_well = any(not rung & refused for rung in ladder)
    step = (
        f"what it refuses does not reach it: write forms that it takes under peers.{name}.results, "
        "or have it accept them"
    )
    return PeerAnswer(
        peer=name,
        answers=True,
        text=f"{settings.ae_title} at {settings.host}:{settings.port} answers{over}",
        refuses=tuple(sorted(each.name for each in refused)),
        next_step="" if is_well else step,
    )


def _ask_dicomweb(name: str, settings: DicomwebPeer) -> PeerAnswer:
    from dicom_ai_node.peers.dicomweb.query import DicomwebQuery

    DicomwebQuery(settings.model_copy(update=_limits(settings))).echo()
    return PeerAnswer(peer=name, answers=True, text=f"{settings.url} answers")


def _limits(settings: DimsePeer | DicomwebPeer) -> dict[str, float]:
    return {
        "connect_timeout_s": min(settings.connect_timeout_s, _CONNECT_S),
        "timeout_s": min(settings.timeout_s, _ANSWER_S),
    }


def sop_classes(form: Form) -> frozenset[UID]:
    """What a run consists of in this form, maps for research apart."""
    found = {_SEGMENTATIONS.get(form.segmentation), _REPORTS.get(form.report)}
    found |= {_COMPANIONS[kind] for kind in form.companions}
    return frozenset(each for each in found if each is not None)
