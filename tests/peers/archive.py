"""A PACS that can be asked: C-FIND and C-MOVE over studies of the test's own, on a real socket."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from pydicom import Dataset
from pydicom.uid import CTImageStorage
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from dicom_ai_node.config.peers import DimsePeer
from tests.dicom_factory import series

_CT = {"contexts": [build_context(CTImageStorage)]}


def study(
    name: str, *, date: str, number: int = 2, patient_id: str = "PHANTOM-1", **what: Any
) -> list[Dataset]:
    """A small CT series of one day."""
    made = series(name=name, shape=(number, 4, 4), patient_id=patient_id, **what)
    for ds in made:
        ds.StudyDate = date
    return made


@dataclass
class Archive:
    """`matches_all` answers C-FIND with every study, whatever was asked; `statuses` are given in
    turn for C-MOVE before it works."""

    instances: list[Dataset] = field(default_factory=list)
    node_port: int = 0
    matches_all: bool = False
    counts: bool = True
    find_status: int = 0x0000
    unlisted: set[str] = field(default_factory=set)  # studies at whose series C-FIND fails
    statuses: list[int] = field(default_factory=list)
    change: Callable[[Dataset], None] = lambda _: None  # an answer to C-FIND, before it is sent
    models: Sequence[str] = (
        StudyRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelMove,
    )
    port: int = 0
    asked: list[Dataset] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)  # StudyInstanceUID

    @property
    def settings(self) -> DimsePeer:
        return DimsePeer(
            kind="dimse", ae_title="PACS", host="127.0.0.1", port=self.port, timeout_s=5
        )

    @contextmanager
    def running(self) -> Iterator["Archive"]:
        ae = AE(ae_title="PACS")
        ae.require_called_aet = True
        for model in self.models:
            ae.add_supported_context(model)
        handlers = [(evt.EVT_C_FIND, self._on_find), (evt.EVT_C_MOVE, self._on_move)]
        server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        assert server is not None
        self.port = server.server_address[1]
        try:
            yield self
        finally:
            server.shutdown()

    def _on_find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        query = event.identifier
        self.asked.append(query)
        if query.QueryRetrieveLevel == "SERIES" and query.StudyInstanceUID in self.unlisted:
            yield 0xC001, None
            return
        level = "SeriesInstanceUID" if query.QueryRetrieveLevel == "SERIES" else "StudyInstanceUID"
        groups: dict[str, list[Dataset]] = {}
        for ds in self.instances:
            groups.setdefault(ds[level].value, []).append(ds)
        for group in groups.values():
            if self.matches_all or _matches(query, group[0]):
                answer = _answer(query, group, counts=self.counts)
                self.change(answer)
                yield 0xFF00, answer
        yield self.find_status, None

    def _on_move(self, event: evt.Event) -> Iterator[Any]:
        query = event.identifier
        if self.statuses and (status := self.statuses.pop(0)) != 0xA801:
            yield "127.0.0.1", self.node_port, _CT
            yield 1
            yield status, None
            return
        if event.move_destination != "AI_NODE" or not self.node_port:
            yield None, None
            return
        found = [ds for ds in self.instances if _matches(query, ds)]
        self.moved.append(query.StudyInstanceUID)
        yield "127.0.0.1", self.node_port, _CT
        yield len(found)
        for ds in found:
            yield 0xFF00, ds


def _matches(query: Dataset, ds: Dataset) -> bool:
    """As PACSs do: wildcards, ranges of dates, and nothing said matches everything."""
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "PatientID"):
        wanted = str(query.get(keyword) or "*")
        if not fnmatchcase(str(ds[keyword].value), wanted):
            return False
    first, dash, last = str(query.get("StudyDate") or "-").partition("-")
    last = last if dash else first
    return (first or "0") <= ds.StudyDate <= (last or "9")


def _answer(query: Dataset, group: Sequence[Dataset], *, counts: bool) -> Dataset:
    answer = Dataset()
    answer.QueryRetrieveLevel = query.QueryRetrieveLevel
    answer.SpecificCharacterSet = "ISO_IR 192"
    for element in query:
        if element.keyword in group[0] and element.keyword != "SpecificCharacterSet":
            answer[element.keyword] = group[0][element.keyword]
    if "ModalitiesInStudy" in query:
        answer.ModalitiesInStudy = sorted({ds.Modality for ds in group})
    for keyword in ("NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances"):
        if keyword in query and counts:
            setattr(answer, keyword, len(group))
    return answer


def uids(instances: Iterable[Dataset]) -> set[str]:
    return {ds.SOPInstanceUID for ds in instances}
