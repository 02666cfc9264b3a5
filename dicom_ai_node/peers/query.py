"""An association to ask a peer on, and what it answers to C-FIND (PS3.4 C)."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
)

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.header import values_of
from dicom_ai_node.peers import asked
from dicom_ai_node.peers.association import associate, name_of

_FIND = UID(StudyRootQueryRetrieveInformationModelFind)
_PENDING, _SUCCESS = (0xFF00, 0xFF01), 0x0000
_MOST = 2000  # answers; a peer that gives more does not match what it was asked for


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


def keys(level: str, **wanted: str) -> Dataset:
    """The identifier of a question at that level; an empty value is asked for (PS3.4 C.2.2.2.3)."""
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in wanted.items():
        setattr(query, keyword, value)
    return query


def answers(
    settings: DimsePeer, query: Dataset, calling_ae_title: str, *, most: int = _MOST
) -> Iterator[Dataset]:
    """Every match; PeerUnreachable unless the peer says that these are all, and at most so many."""
    name = name_of(settings)
    found = 0
    asked.find(settings, query)
    with associated(settings, _FIND, calling_ae_title=calling_ae_title) as association:
        for status, answer in association.send_c_find(query, _FIND):
            code = status.get("Status")
            if code == _SUCCESS:
                continue  # the last one
            if code is None:
                raise PeerUnreachable(f"{name} did not answer C-FIND")
            if code not in _PENDING or answer is None:
                raise PeerUnreachable(f"{name} answered C-FIND with status {code:04X}")
            found += 1
            if found > most:
                raise PeerUnreachable(f"{name} answers C-FIND with more than {most} matches")
            yield answer


def text_of(answer: Dataset, keyword: str) -> str:
    """The one value; empty where there are none or several."""
    values = values_of(answer, keyword)
    return str(values[0]).strip(" \0") if len(values) == 1 else ""


def number_of(answer: Dataset, keyword: str) -> int | None:
    text = text_of(answer, keyword)
    return int(text) if text.isascii() and text.isdigit() else None
