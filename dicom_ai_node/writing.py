"""Objects as files: durable, and read back from the disk before anything is said of them."""

import os
from collections.abc import Sequence
from pathlib import Path

from dicom_ai_node.encoders.encode import EncodedObject
from dicom_ai_node.gate.gate import Written, naming
from dicom_ai_node.gate.identity import Claim
from dicom_ai_node.gate.object_file import read_object


def write(folder: Path, encoded: Sequence[EncodedObject]) -> list[Path]:
    """One file an object, in a folder of their own."""
    folder.mkdir(mode=0o700, parents=True)
    paths = []
    for number, (kind, ds, _) in enumerate(encoded, start=1):
        path = folder / f"{number}-{kind}.dcm"
        ds.save_as(path, enforce_file_format=True)
        sync(path)
        paths.append(path)
    return paths


def read_back(paths: Sequence[Path], encoded: Sequence[EncodedObject]) -> list[Written]:
    """ResultMismatch for a file that is no whole object."""
    written = []
    for path, (kind, ds, forms) in zip(paths, encoded, strict=True):
        claim = Claim(
            sop_class_uid=str(ds.SOPClassUID),
            sop_instance_uid=str(ds.SOPInstanceUID),
            series_instance_uid=str(ds.SeriesInstanceUID),
        )
        with naming(kind):
            written.append(Written(kind=kind, claim=claim, file=read_object(path), forms=forms))
    return written


def durable(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    sync(path)
    sync(path.parent)


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
