"""How many images a PACS has of a study, by C-FIND as an SCU (PS3.4 C.4.1)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydicom import Dataset
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind as Find,
)
from pynetdicom.status import code_to_category

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.association import associate, name_of
from dicom_ai_node.uids import is_uid

MAX_SERIES = 10_000
# no images: a PACS may have them or not, send them or not, and our results are among them
NOT_IMAGES = frozenset(
    {"SR", "PR", "KO", "SEG", "DOC", "REG", "FID", "PLAN", "RWV", "AU", "ECG", "EPS", "HD"}
    | {"OT"}  # captured, and not acquired: no model looks at them, and our pages are among them
    | {"RTSTRUCT", "RTPLAN", "RTDOSE", "RTRECORD", "M3D", "TEXTUREMAP", "STAIN", "ANN"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Of the image series of one study; `series` is empty where only the sum is known."""

    images: int
    series: Mapping[str, int]


def count_images(
    settings: DimsePeer, study_instance_uid: str, *, calling_ae_title: str
) -> Counts | None:
    """None when the PACS does not know the study, or does not count; raises PeerUnreachable."""
    association = associate(settings, [build_context(Find)], calling_ae_title=calling_ae_title)
    name = name_of(settings)
    try:
        if not association.is_established or not association.accepted_contexts:
            raise PeerUnreachable(f"{name} takes no association for C-FIND")
        series = list(_found(association, name, _series_of(study_instance_uid)))
        images = [ds for ds in series if _text(ds, "Modality") not in NOT_IMAGES]
        counts = {
            _text(ds, "SeriesInstanceUID"): _number(ds, "NumberOfSeriesRelatedInstances")
            for ds in images
        }
        known = {uid: number for uid, number in counts.items() if number is not None}
        if len(known) == len(counts):
            is_sound = known and all(map(is_uid, known))
            return Counts(images=sum(known.values()), series=known) if is_sound else None
        if len(images) < len(series):
            return None  # the sum would count what is not an image, too
        studies = list(_found(association, name, _the_study(study_instance_uid)))
    finally:
        if association.is_established:
            association.release()
    total = _number(studies[0], "NumberOfStudyRelatedInstances") if len(studies) == 1 else None
    return None if total is None else Counts(images=total, series={})


def _series_of(study_instance_uid: str) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "SERIES"
    ds.StudyInstanceUID = study_instance_uid
    ds.SeriesInstanceUID = ds.Modality = ""
    ds.NumberOfSeriesRelatedInstances = None
    return ds


def _the_study(study_instance_uid: str) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    ds.StudyInstanceUID = study_instance_uid
    ds.NumberOfStudyRelatedInstances = None
    return ds


def _found(association: Association, name: str, asked: Dataset) -> Iterator[Dataset]:
    """The matches of one question, which must come to their end."""
    number = 0
    try:
        for status, identifier in association.send_c_find(asked, Find):
            if "Status" not in status:
                raise PeerUnreachable(f"{name} did not answer a C-FIND")
            category = code_to_category(status.Status)
            if category == "Success":
                return
            if category != "Pending":
                raise PeerUnreachable(f"{name} refused a C-FIND with status {status.Status:04X}")
            number += 1
            if number > MAX_SERIES:
                association.abort()
                raise PeerUnreachable(f"{name} answered a C-FIND without an end")
            if identifier is not None:
                yield identifier
    except (RuntimeError, ValueError):  # it ended meanwhile, or has no context for it
        raise PeerUnreachable(f"{name} broke the association") from None
    raise PeerUnreachable(f"{name} did not finish its answer to a C-FIND")


def _text(ds: Dataset, keyword: str) -> str:
    return str(ds.get(keyword) or "").strip()


def _number(ds: Dataset, keyword: str) -> int | None:
    """An IS may be empty, or hold no number."""
    try:
        return int(ds.get(keyword))
    except (TypeError, ValueError, OverflowError):
        return None
