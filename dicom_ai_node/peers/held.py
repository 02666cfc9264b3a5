"""Whether a peer still has what it took, by C-FIND at the level of images (PS3.4 C.6.2.1)."""

from collections.abc import Collection

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.peers.query import answers, keys, text_of


def held(
    settings: DimsePeer,
    study_instance_uid: str,
    series_instance_uids: Collection[str],
    *,
    calling_ae_title: str,
) -> set[str]:
    """SOP Instance UIDs of these series that the peer names. Raises PeerUnreachable."""
    found: set[str] = set()
    for series in series_instance_uids:
        query = keys(
            "IMAGE",
            StudyInstanceUID=study_instance_uid,
            SeriesInstanceUID=series,
            SOPInstanceUID="",
        )
        for answer in answers(settings, query, calling_ae_title):
            found.add(text_of(answer, "SOPInstanceUID"))
    return found - {""}
