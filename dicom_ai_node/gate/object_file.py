"""An object as it lies on disk: its header, its hash, and where its pixels are."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_ai_node.errors import ResultMismatch
from dicom_ai_node.gate.explicit_vr import Element, elements, every
from dicom_ai_node.header import DAMAGED, data_begins


@dataclass(frozen=True, kw_only=True)
class ObjectFile:
    """`header` is all that stands before the pixels, and `head` the same as bytes."""

    path: Path
    sha256: str
    size: int
    header: Dataset
    head: bytes

    @property
    def pixels_at(self) -> int:
        return len(self.head)

    @cached_property
    def places(self) -> Mapping[int, Element]:
        """Where the elements of the data set lie in `head`, by tag."""
        begin = data_begins(self.head)
        return {element[0]: element for element in elements(self.head, begin, len(self.head))}

    @cached_property
    def nested(self) -> Mapping[int, list[Element]]:
        """What is in each sequence of the data set, at any depth, in its order."""
        return {
            tag: list(every(self.head, begin, end))
            for tag, begin, end in self.places.values()
            if self.header.get_item(BaseTag(tag)).VR == "SQ"
        }


def read_object(path: Path) -> ObjectFile:
    """ResultMismatch where it is no whole Part 10 file in explicit VR little endian."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            file.seek(0)
            header = dcmread(file, stop_before_pixels=True)
            pixels_at = file.tell()
            file.seek(0)
            head = file.read(pixels_at)
    except (*DAMAGED, InvalidDicomError, OSError) as error:
        raise ResultMismatch("it cannot be read") from error
    deflated = header.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian
    if deflated or header.original_encoding != (False, True):
        raise ResultMismatch("it is not in explicit VR little endian")
    return ObjectFile(path=path, sha256=digest, size=size, header=header, head=head)
