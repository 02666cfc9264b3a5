"""A modality that can misbehave: pynetdicom as SCU, and files whose bytes are sent as they are."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.dsutils import encode
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification

from dicom_ai_node.config.settings import LimitsSettings
from dicom_ai_node.database.engine import Database
from dicom_ai_node.peers.association import leave_answers
from dicom_ai_node.receive.answer import Answer
from dicom_ai_node.receive.space import Space
from dicom_ai_node.receive.store import Message, Store
from dicom_ai_node.spool import Spool
from tests.dicom_factory import series

CT = build_context(CTImageStorage, ExplicitVRLittleEndian)
ECHO = build_context(Verification)


def slices(number: int = 1, *, name: str = "small") -> list[Dataset]:
    """Four by four pixels each."""
    made = series(name=name, shape=(number, 4, 4))
    return [copy.deepcopy(ds) for ds in made]  # those of a series share elements


def encoded(ds: Dataset) -> bytes:
    """The data set's bytes in the transfer syntax that its file meta names."""
    syntax = ds.file_meta.TransferSyntaxUID
    data = encode(ds, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
    assert data is not None
    return data


def store(spool: Spool, database: Database, ds: Dataset, piece: int = 1 << 17) -> Answer:
    """One C-STORE without a network: through the same store, and its row committed."""
    message = Message(
        sop_class_uid=ds.SOPClassUID,
        sop_instance_uid=ds.SOPInstanceUID,
        context_sop_class_uid=ds.SOPClassUID,
        transfer_syntax_uid=ds.file_meta.TransferSyntaxUID,
        calling_ae_title="PACS",
        called_ae_title="AI_NODE",
    )
    limits = LimitsSettings()
    taken = Store(spool, database, limits, Space([spool.root], limits))
    taken.start()
    try:
        reception = taken.begin(message)
        data = encoded(ds)
        for at in range(0, len(data), piece):
            reception.feed(memoryview(data)[at : at + piece])
        return reception.finish()
    finally:
        taken.stop()


@contextmanager
def association(
    port: int,
    contexts: Sequence[PresentationContext] = (CT, ECHO),
    *,
    calling: str = "PACS",
    called: str = "AI_NODE",
) -> Iterator[Association]:
    """An association, established or not; it is over at the end."""
    ae = AE(ae_title=calling)
    for _ in range(5):  # pynetdicom takes a rejection that comes very fast for no connection
        assoc = ae.associate("127.0.0.1", port, contexts=list(contexts), ae_title=called)
        if not assoc.is_aborted:
            break
    leave_answers(assoc)
    try:
        yield assoc
    finally:
        if assoc.is_established:
            assoc.release()


def part10(
    path: Path,
    data: bytes,
    *,
    sop_instance_uid: str,
    sop_class_uid: str = CTImageStorage,
    syntax: str = ExplicitVRLittleEndian,
) -> Path:
    """A file whose meta group, from which the command set is made, may contradict its data set."""
    meta = FileMetaDataset()
    meta.FileMetaInformationGroupLength = 0  # set when it is written
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = UID(syntax)
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=False)
    path.write_bytes(bytes(128) + b"DICM" + buffer.getvalue() + data)
    return path


def rejection(assoc: Association) -> tuple[int, int, int]:
    """Result, source and diagnostic of an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    assert assoc.is_rejected
    answer = assoc.acceptor.primitive
    return answer.result, answer.result_source, answer.diagnostic


def refusal(assoc: Association) -> tuple[object, object, object]:
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""
    said = assoc.acceptor.primitive
    assert said is not None
    return said.result, said.result_source, said.diagnostic
