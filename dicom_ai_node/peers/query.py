"""An association to ask a peer on (PS3.4 C)."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.association import Association

from dicom_ai_node.config.settings import DimsePeer
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME


def name_of(settings: DimsePeer) -> str:
    return f"{settings.ae_title} at {settings.host}:{settings.port}"


@contextmanager
def associated(
    settings: DimsePeer, model: UID, *, calling_ae_title: str, silence_s: float | None = None
) -> Iterator[Association]:
    """With the information model accepted, or PeerUnreachable; left early, it is aborted.

    `silence_s` is for one answer, where that may take longer than the peer's `timeout_s`.
    """
    ae = AE(ae_title=calling_ae_title)
    ae.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.connection_timeout = ae.acse_timeout = settings.connect_timeout_s
    ae.dimse_timeout = ae.network_timeout = silence_s or settings.timeout_s
    syntaxes: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    association = ae.associate(
        settings.host,
        settings.port,
        contexts=[build_context(model, syntaxes)],
        ae_title=settings.ae_title,
    )
    name = name_of(settings)
    if association.rejected_contexts and not association.accepted_contexts:
        if association.is_established:
            association.release()
        raise PeerUnreachable(f"{name} does not take {model.name}: allow it there for this node")
    if not association.is_established:
        how = "refused the association" if association.is_rejected else "does not answer"
        raise PeerUnreachable(f"{name} {how}")
    try:
        yield association
    except BaseException:
        if association.is_established:
            association.abort()
        raise
    if association.is_established:
        association.release()
