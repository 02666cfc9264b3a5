"""A PACS that counts what it is told to have, by C-FIND on a real socket."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from dicom_ai_node.config.peers import DimsePeer


@dataclass
class Finder:
    """`series` maps a Series Instance UID to its modality and the number of its images.

    With `counts_series` false it only knows the number of the whole study. It answers `status` in
    the end; while `answering` is cleared, it does not answer at all.
    """

    series: dict[str, tuple[str, int]] = field(default_factory=dict)
    counts_series: bool = True
    counts_studies: bool = True
    status: int = 0x0000
    answering: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str]] = field(default_factory=list)  # level, Study Instance UID
    port: int = 0

    def __post_init__(self) -> None:
        self.answering.set()

    @property
    def peer(self) -> dict[str, Any]:
        """As the configuration says it."""
        address = {"ae_title": "PACS", "host": "127.0.0.1", "port": self.port}
        return {"kind": "dimse", **address, "timeout_s": 5, "connect_timeout_s": 5}

    @property
    def settings(self) -> DimsePeer:
        return DimsePeer.model_validate(self.peer)

    @contextmanager
    def running(self) -> Iterator["Finder"]:
        ae = AE(ae_title="PACS")
        ae.require_called_aet = True
        ae.require_calling_aet = ["AI_NODE"]
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        handlers = [(evt.EVT_C_FIND, self._on_find)]
        server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        assert server is not None
        self.port = server.server_address[1]
        try:
            yield self
        finally:
            self.answering.set()
            server.shutdown()

    def _on_find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        self.asked.append((asked.QueryRetrieveLevel, asked.StudyInstanceUID))
        self.answering.wait(timeout=20)
        if asked.QueryRetrieveLevel == "STUDY":
            yield 0xFF00, self._study(asked)
        else:
            for uid, (modality, number) in list(self.series.items()):
                yield 0xFF00, self._series(asked, uid, modality, number)
        yield self.status, None

    def _series(self, asked: Dataset, uid: str, modality: str, number: int) -> Dataset:
        ds = Dataset()
        ds.QueryRetrieveLevel = "SERIES"
        ds.StudyInstanceUID = asked.StudyInstanceUID
        ds.SeriesInstanceUID = uid
        ds.Modality = modality
        if self.counts_series:
            ds.NumberOfSeriesRelatedInstances = number
        return ds

    def _study(self, asked: Dataset) -> Dataset:
        ds = Dataset()
        ds.QueryRetrieveLevel = "STUDY"
        ds.StudyInstanceUID = asked.StudyInstanceUID
        if self.counts_studies:
            ds.NumberOfStudyRelatedInstances = sum(n for _, n in self.series.values())
        return ds
