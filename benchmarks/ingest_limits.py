"""Two limits of this node alone: memory under many large objects, and a database that grows."""

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import numpy as np
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, MultiFrameGrayscaleWordSecondaryCaptureImageStorage
from pynetdicom.dsutils import encode
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, insert

from benchmarks.ingest_receivers import (
    CALLED,
    MORE_SENDERS,
    SENDER,
    Receiver,
    database_of,
    receivers,
    running,
)
from benchmarks.ingest_senders import (
    PIXELS,
    SHAPE,
    BareAssociation,
    Instances,
    Storescu,
    append_and_sync,
    at_once,
    make_instances,
)
from dicom_ai_node.database import schema
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.tables import instance, study
from dicom_ai_node.study import StudyState
from tests import dicom_factory

FIRST_SIZES = (100, 10_000)
_SENT_AT_EACH_SIZE = 200
_WARM_UP = 8
_PER_STUDY = 300
_BATCH = 30_000
_SOP_CLASS = MultiFrameGrayscaleWordSecondaryCaptureImageStorage


def hold_many(folder: Path, associations: int, size: int) -> None:
    """One multi-frame object of `size` bytes over each association, all at the same time."""
    frames = size // PIXELS
    block = np.random.default_rng(0).integers(-1024, 3072, SHAPE, np.int16).tobytes()
    node = _node()
    home = folder / "node"
    with running(node, home) as process, process.watched() as peaks:
        idle = process.peak_rss()

        def one(index: int) -> None:
            head = _multi_frame_head(index, frames)
            with BareAssociation(process.port, _SOP_CLASS, MORE_SENDERS[index]) as association:
                data = _streamed(head, block, frames)
                association.store(association.message(str(head.SOPInstanceUID), data))

        began = time.monotonic()
        at_once([partial(one, index) for index in range(associations)])
        seconds = time.monotonic() - began
    stored = node.stored(home, frames * PIXELS)
    if stored != associations:
        raise SystemExit(f"{node.title} stored {stored} objects of {associations}")
    megabytes = associations * frames * PIXELS / 1e6
    table = Table("", "", title=f"{associations} objects of {frames * PIXELS / 1e6:.0f} MB at once")
    table.add_row("node idle, MiB", f"{idle / 2**20:.0f}")
    table.add_row("node at its peak, MiB", f"{max(peaks) / 2**20:.0f}")
    table.add_row("MiB an association", f"{(max(peaks) - idle) / 2**20 / associations:.1f}")
    table.add_row("seconds", f"{seconds:.1f}")
    table.add_row("MB/s", f"{megabytes / seconds:.0f}")
    Console().print(table)


def _multi_frame_head(index: int, frames: int) -> Dataset:
    """Everything before the pixels."""
    (ds,) = dicom_factory.series(name=f"multi-frame {index}", study="ingest", shape=(1, 8, 8))
    ds.SOPClassUID = _SOP_CLASS
    ds.NumberOfFrames = frames
    ds.Rows, ds.Columns = SHAPE
    del ds.PixelData
    return ds


def _streamed(head: Dataset, block: bytes, frames: int) -> Iterator[bytes]:
    encoded = encode(head, is_implicit_vr=False, is_little_endian=True)
    assert encoded is not None
    length = (len(block) * frames).to_bytes(4, "little")
    yield encoded + b"\xe0\x7f\x10\x00OW\0\0" + length  # PS3.5 7.1.2
    for _ in range(frames):
        yield block


def grow(folder: Path, largest: int) -> None:
    """The same series again and again, while rows come in between that nobody sent."""
    node, home = _node(), folder / "node"
    storescu = Storescu(folder)
    columns = ("rows before", "seconds to start", "instances/s", "ms an instance", "disk, ms")
    table = Table(*columns, title=f"{_SENT_AT_EACH_SIZE} instances over one association")
    rows = 0
    for size in _sizes(largest):
        _fill(home, size - rows)
        rows = size
        sent = make_instances(folder / f"at-{size}", f"growth {size}", _SENT_AT_EACH_SIZE)
        warm_up = make_instances(folder / f"warm-up-{size}", f"warm-up {size}", _WARM_UP)
        os.sync()
        disk_s = append_and_sync(folder / f"disk-{size}", 1, len(sent)) / len(sent)
        started_s, seconds = _send_at_size(node, home, storescu, warm_up, sent)
        rows += len(warm_up) + len(sent)
        stored = node.stored(home, 0)
        if stored != rows:
            raise SystemExit(f"{node.title} has {stored} rows where {rows} were due")
        each_s = seconds / len(sent)
        figures = (f"{started_s:.1f}", f"{1 / each_s:.0f}", f"{each_s * 1000:.2f}")
        table.add_row(f"{size:,}", *figures, f"{disk_s * 1000:.2f}")
    Console().print(table)


def _send_at_size(
    node: Receiver, home: Path, storescu: Storescu, warm_up: Instances, sent: Instances
) -> tuple[float, float]:
    """Seconds until it listens, and until it has all."""
    began = time.monotonic()
    with running(node, home) as process:
        started_s = time.monotonic() - began
        storescu.send(process.port, warm_up.parts(1))
        os.sync()
        return started_s, storescu.send(process.port, sent.parts(1))


def _sizes(largest: int) -> list[int]:
    """100, 10 000, and ten times as many until the largest."""
    sizes = [size for size in FIRST_SIZES if size < largest]
    while sizes and sizes[-1] >= FIRST_SIZES[-1] and sizes[-1] * 10 < largest:
        sizes.append(sizes[-1] * 10)
    return [*sizes, largest]


def _fill(home: Path, number: int) -> None:
    """So many instances that the node never saw, under UIDs in no order."""
    database = Database(f"sqlite:///{database_of(home)}")
    try:
        schema.require_current(database)
        for first in range(0, number, _BATCH):
            with database.write() as connection:
                for at in range(first, min(first + _BATCH, number), _PER_STUDY):
                    _add_study(connection, min(_PER_STUDY, number - at), database.now())
    finally:
        database.close()


def _add_study(connection: Connection, instances: int, now: float) -> None:
    added = connection.execute(
        insert(study).values(
            study_instance_uid=_uid(),
            state=StudyState.ROUTED,
            calling_ae_title=SENDER,
            called_ae_title=CALLED,
            patient_digest=uuid4().hex * 2,
            first_received_at=now,
            last_received_at=now,
            routed_at=now,
        )
    )
    (study_id,) = added.inserted_primary_key or (None,)
    series_instance_uid = _uid()
    rows = [
        {
            "study_id": study_id,
            "series_instance_uid": series_instance_uid,
            "sop_class_uid": str(_SOP_CLASS),
            "sop_instance_uid": _uid(),
            "transfer_syntax_uid": str(ExplicitVRLittleEndian),
            "sha256": uuid4().hex * 2,
            "size": PIXELS,
            "file": f"{uuid4().hex}.dcm",
            "received_at": now,
        }
        for _ in range(instances)
    ]
    connection.execute(insert(instance), rows)


def _uid() -> str:
    return f"2.25.{uuid4().int}"


def _node() -> Receiver:
    return next(receiver for receiver in receivers() if receiver.key == "node")
