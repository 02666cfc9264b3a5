"""Why a peer rejects our association (PS3.8 Table 9-21), and what a person can do about it."""

from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE

from dicom_ai_node.errors import PeerRefusesUs, PeerUnreachable

_PERMANENT = 1
# by source and reason
_FIXES = {
    (1, 3): "it does not know the AE title {ours}: enter this node there, with its address",
    (1, 7): "it is not called {theirs}: correct ae_title of this peer",
    (1, 2): "it does not take this application context: is it a DICOM storage?",
    (2, 2): "it does not take this version of the protocol: is it a DICOM storage?",
}


def rejected(
    association: Association, name: str, *, calling_ae_title: str, called_ae_title: str
) -> PeerUnreachable:
    """The error for an association that was rejected: for now, or until somebody acts."""
    answer = association.acceptor.primitive
    if not isinstance(answer, A_ASSOCIATE) or answer.result is None:
        return PeerUnreachable(f"{name} refused the association")
    source, reason = int(answer.result_source or 0), int(answer.diagnostic or 0)
    code = f"{answer.result},{source},{reason}"
    if answer.result != _PERMANENT:
        return PeerUnreachable(f"{name} refused the association for now ({code})")
    fix = _FIXES.get((source, reason), "its log says why")
    fix = fix.format(ours=calling_ae_title, theirs=called_ae_title)
    return PeerRefusesUs(f"{name} refused the association ({code}): {fix}")
