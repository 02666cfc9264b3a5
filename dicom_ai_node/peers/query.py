"""An association to ask a peer on (PS3.4 C)."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.association import Association

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.association import associate, name_of


@contextmanager
def associated(
    settings: DimsePeer, model: UID, *, calling_ae_title: str, silence_s: float | None = None
) -> Iterator[Association]:
    """With the information model accepted, or PeerUnreachable; left early, it is aborted.

    `silence_s` is for one answer, where that may take longer than the peer's `timeout_s`.
    """
    syntaxes: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    association = associate(
        settings,
        [build_context(model, syntaxes)],
        calling_ae_title=calling_ae_title,
        silence_s=silence_s,
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
