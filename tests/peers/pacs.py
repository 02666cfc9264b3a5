"""A PACS that answers as it is told, on a real socket."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SegmentationStorage,
)
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.uids import derived_uid

SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)


@dataclass
class Pacs:
    """`answer` gives the status for an object's SOP class; what came is kept as bytes."""

    answer: Callable[[UID], int] = lambda _: 0x0000
    sop_classes: Sequence[UID] = (SegmentationStorage, ComprehensiveSRStorage)
    syntaxes: Sequence[UID] = SYNTAXES
    abort_after: int | None = None
    port: int = 0
    max_pdu: int = 16_382
    received: list[tuple[str, str, bytes]] = field(default_factory=list)  # UID, syntax, data set

    @property
    def settings(self) -> DimsePeer:
        return DimsePeer(
            kind="dimse", ae_title="PACS", host="127.0.0.1", port=self.port, timeout_s=5
        )

    @contextmanager
    def running(self) -> Iterator["Pacs"]:
        ae = AE(ae_title="PACS")
        ae.require_called_aet = True
        ae.require_calling_aet = ["AI_NODE"]
        ae.add_supported_context(Verification)
        for sop_class in self.sop_classes:
            ae.add_supported_context(sop_class, list(self.syntaxes))
        ae.maximum_pdu_size = self.max_pdu
        handlers = list(self._handlers())
        server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        assert server is not None
        self.port = server.server_address[1]
        try:
            yield self
        finally:
            server.shutdown()

    def _handlers(self) -> Sequence[tuple[Any, Any]]:
        return [(evt.EVT_C_STORE, self._on_store)]

    def _on_store(self, event: evt.Event) -> int:
        if self.abort_after is not None and len(self.received) >= self.abort_after:
            event.assoc.abort()
            return 0xC000
        request = event.request
        data = event.encoded_dataset(include_meta=False)
        syntax = event.context.transfer_syntax
        self.received.append((str(request.AffectedSOPInstanceUID), str(syntax), data))
        return self.answer(UID(request.AffectedSOPClassUID))


def objects(folder: Path, name: str = "job") -> list[Path]:
    """A SEG and an SR as far as a peer looks at them, in an outbox folder."""
    kinds = [("seg", SegmentationStorage), ("sr", ComprehensiveSRStorage)]
    return [
        an_object(folder / f"{number}-{kind}.dcm", sop_class, derived_uid(name, kind))
        for number, (kind, sop_class) in enumerate(kinds, start=1)
    ]


def an_object(path: Path, sop_class: UID, uid: str, syntax: UID = ExplicitVRLittleEndian) -> Path:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(uid)
    ds.PatientName = "Phantom^Left"
    ds.SeriesDescription = path.stem
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path
