"""A PACS that keeps what comes as a PACS does, one object a UID, and counts how often it came."""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

_KINDS = (
    SegmentationStorage,
    ComprehensiveSRStorage,
    Comprehensive3DSRStorage,
    SecondaryCaptureImageStorage,
    EncapsulatedPDFStorage,
)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One object at a PACS."""

    uid: str
    study: str
    series: str
    patient_id: str
    modality: str


class AnyPacs(Protocol):
    """What takes results, and says what it has; `copies` are SHA-256 of what came, by UID."""

    ae_title: str
    port: int

    @property
    def copies(self) -> Mapping[str, set[str]]: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def of(self, studies: Sequence[str]) -> Mapping[str, list[Stored]]:
        """What there is of each of these studies."""
        ...

    def studies(self) -> set[str]: ...


class CountingPacs:
    """It may be stopped and started on the same port."""

    ae_title = "PACS"

    def __init__(self) -> None:
        self.port = 0
        self.copies: dict[str, set[str]] = {}  # SHA-256 of what came under one UID
        self.came = 0
        self._stored: dict[str, Stored] = {}
        self._lock = threading.Lock()
        self._server: ThreadedAssociationServer | None = None

    def start(self) -> None:
        ae = AE(ae_title="PACS")
        for sop_class in _KINDS:
            ae.add_supported_context(sop_class, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
        handlers = [(evt.EVT_C_STORE, self._on_store)]
        self._server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        assert self._server is not None
        self.port = self._server.server_address[1]

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def of(self, studies: Sequence[str]) -> Mapping[str, list[Stored]]:
        with self._lock:
            found = list(self._stored.values())
        return {uid: [each for each in found if each.study == uid] for uid in studies}

    def studies(self) -> set[str]:
        with self._lock:
            return {each.study for each in self._stored.values()}

    def _on_store(self, event: evt.Event) -> int:
        ds = event.dataset
        digest = hashlib.sha256(event.encoded_dataset(include_meta=False)).hexdigest()
        with self._lock:
            self.came += 1
            self.copies.setdefault(ds.SOPInstanceUID, set()).add(digest)
            self._stored.setdefault(
                ds.SOPInstanceUID,
                Stored(
                    uid=ds.SOPInstanceUID,
                    study=ds.StudyInstanceUID,
                    series=ds.SeriesInstanceUID,
                    patient_id=ds.PatientID,
                    modality=ds.Modality,
                ),
            )
        return 0x0000
