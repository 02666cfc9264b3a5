"""The frames of a multi-frame object as its own functional groups place them (PS3.3 C.7.6.16)."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword

from dicom_ai_node.errors import ResultMismatch
from dicom_ai_node.gate.explicit_vr import items
from dicom_ai_node.gate.object_file import ObjectFile

_SHARED = tag_for_keyword("SharedFunctionalGroupsSequence") or 0
_PER_FRAME = tag_for_keyword("PerFrameFunctionalGroupsSequence") or 0
_FIELDS = {
    tag_for_keyword("ReferencedSegmentNumber"): "segment",
    tag_for_keyword("ReferencedSOPInstanceUID"): "source",
    tag_for_keyword("ReferencedFrameNumber"): "source_frame",
    tag_for_keyword("ImagePositionPatient"): "position",
    tag_for_keyword("ImageOrientationPatient"): "orientation",
    tag_for_keyword("PixelSpacing"): "spacing",
}
_HEAD_OF_PIXELS = 12  # bytes of tag, VR and length
_TYPES: Mapping[int, np.dtype[np.generic]] = {
    8: np.dtype(np.uint8),
    16: np.dtype("<u2"),
    32: np.dtype("<f4"),
}


class Frame(NamedTuple):
    """As the bytes say; empty where neither the frame nor the shared groups say it."""

    segment: bytes = b""  # US
    source: bytes = b""
    source_frame: bytes = b""
    position: bytes = b""
    orientation: bytes = b""
    spacing: bytes = b""

    @property
    def segment_number(self) -> int:
        return int.from_bytes(self.segment[:2], "little")

    @property
    def source_uid(self) -> str:
        return self.source.decode("ascii", "replace").rstrip("\0 ")

    @property
    def source_frame_number(self) -> int | None:
        return int(self.source_frame) if self.source_frame.strip(b"\0 ") else None


def frames_of(file: ObjectFile) -> list[Frame]:
    """ResultMismatch where there are not as many as the object says."""
    shared = [*_frames(file, _SHARED, Frame()), Frame()][0]
    found = list(_frames(file, _PER_FRAME, shared))
    if len(found) != int(file.header.get("NumberOfFrames") or 0):
        raise ResultMismatch("its frames are not as many as it says")
    return found


def _frames(file: ObjectFile, sequence: int, shared: Frame) -> Iterator[Frame]:
    """Of each item of the sequence, what it says itself."""
    if sequence not in file.places:
        return
    _, begin, end = file.places[sequence]
    inside = file.nested[sequence]
    at = 0
    for _, stop in items(file.head, begin, end):
        said: dict[str, bytes] = {}
        while at < len(inside) and inside[at][1] <= stop:
            tag, first, last = inside[at]
            if tag in _FIELDS:
                said[_FIELDS[tag]] = file.head[first:last]
            at += 1
        yield shared._replace(**said)


def pixels_of(file: ObjectFile, frames: int) -> Iterator[NDArray[np.generic]]:
    """Frame by frame, rows × columns; a bit of a BINARY segmentation as 0 or 1."""
    ds = file.header
    shape, bits = (int(ds.Rows), int(ds.Columns)), int(ds.BitsAllocated)
    if file.header.file_meta.TransferSyntaxUID.is_encapsulated:
        yield from dcmread(file.path).pixel_array.reshape(frames, *shape)
        return
    each = shape[0] * shape[1] * bits  # in bits; one begins where the last one ends
    whole = (frames * each + 7) // 8
    if file.size != file.pixels_at + _HEAD_OF_PIXELS + whole + whole % 2:
        raise ResultMismatch("its pixels are not those of its frames")
    with file.path.open("rb") as content:
        for number in range(frames):
            first, last = number * each, (number + 1) * each
            content.seek(file.pixels_at + _HEAD_OF_PIXELS + first // 8)
            read = content.read((last + 7) // 8 - first // 8)
            if bits == 1:
                unpacked = np.unpackbits(np.frombuffer(read, np.uint8), bitorder="little")
                yield unpacked[first % 8 :][:each].reshape(shape)
            else:
                yield np.frombuffer(read, _TYPES[bits]).reshape(shape)
