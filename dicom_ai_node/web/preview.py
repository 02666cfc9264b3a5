"""Pictures of a result: the key slices and the summary that the node drew itself for its peers.

Nothing is decoded: they are Secondary Captures of uncompressed RGB, and others are not shown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
from PIL import Image
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from sqlalchemy import Connection

from dicom_ai_node.database import deliveries
from dicom_ai_node.errors import NodeError, NotThere
from dicom_ai_node.form import Kind
from dicom_ai_node.job import Job
from dicom_ai_node.outbox import verified
from dicom_ai_node.spool import Spool

_KINDS = (Kind.KEY_IMAGES, Kind.SUMMARY)
_MOST = 12
_MOST_BYTES = 64 << 20
_PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """`number` is its place among those of the job."""

    number: int
    kind: Kind


def pictures(connection: Connection, spool: Spool, job: Job) -> Sequence[Picture]:
    """Those whose files are still there."""
    return [
        Picture(number=number, kind=kind)
        for number, (kind, path, _) in enumerate(_files(connection, spool, job))
        if path.exists()
    ]


def picture_of(connection: Connection, spool: Spool, job: Job, number: int) -> bytes:
    """A PNG; raises NodeError where there is none, or its file is not what was made."""
    files = list(_files(connection, spool, job))
    if not 0 <= number < len(files):
        raise NotThere(f"job {job.id} has no picture {number}")
    _, path, sha256 = files[number]
    if not verified(path, sha256) or path.stat().st_size > _MOST_BYTES:
        raise NodeError("the picture is gone, or not what was made: see `doctor`")
    try:
        ds = pydicom.dcmread(path)
    except (InvalidDicomError, OSError):
        raise NodeError("the picture cannot be read: see `doctor`") from None
    return _png(ds)


def _files(connection: Connection, spool: Spool, job: Job) -> Iterator[tuple[Kind, Path, str]]:
    """Each object once, though several peers have it; key slices first."""
    rows = {row["file"]: row for row in deliveries.of_job(connection, job.id)}
    chosen = [(kind, row) for kind in _KINDS for row in rows.values() if row["kind"] == kind]
    for kind, row in chosen[:_MOST]:
        yield kind, spool.outbox_path(job.key) / row["file"], row["sha256"]


def _png(ds: Dataset) -> bytes:
    is_plain = (
        ds.file_meta.TransferSyntaxUID in _PLAIN
        and ds.get("PhotometricInterpretation") == "RGB"
        and (ds.SamplesPerPixel, ds.BitsAllocated, ds.PlanarConfiguration) == (3, 8, 0)
        and int(ds.get("NumberOfFrames", 1)) == 1
    )
    if not is_plain:
        raise NodeError("the picture is of a kind that the page does not show: see it in the PACS")
    size = (int(ds.Columns), int(ds.Rows))
    image = Image.frombytes("RGB", size, ds.PixelData[: size[0] * size[1] * 3])
    with BytesIO() as file:
        image.save(file, "PNG", optimize=False)
        return file.getvalue()
