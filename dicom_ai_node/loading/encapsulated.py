"""Compressed pixel data in its items (PS3.5 A.4): the stream of each frame that lies in it."""

import struct
from collections.abc import Sequence
from itertools import accumulate

from dicom_ai_node.errors import InputError

ITEM = b"\xfe\xff\x00\xe0"  # the tag of each fragment
_END = b"\xfe\xff\xdd\xe0"
_NO_FIT = "The offset table of PixelData does not fit a single frame."
_NO_FIT_SEVERAL = "The offset table of PixelData does not fit the frames of a multi-frame image."


def end_of_items(content: memoryview, begin: int) -> int | None:
    """Where the items that begin there end, before their delimiter; None where they have no end.

    What is no item ends them too, for whoever reads the items to find.
    """
    at = begin
    while at + 8 <= len(content):
        tag = content[at : at + 4]
        if tag == _END:
            return at
        if tag != ITEM:
            return len(content)
        at += 8 + int.from_bytes(content[at + 4 : at + 8], "little")
    return None


def frames_of(
    value: memoryview,
    number: int,
    *,
    in_one_piece: bool,
    extended: bytes | None = None,
    lengths: bytes | None = None,
) -> list[bytes]:
    """The streams of so many frames; InputError where fragments or a table of offsets disagree.

    pydicom believes a table wherever there is one, and would take a part of the frame for all.
    `in_one_piece` is for streams in which nobody would notice that a fragment is missing.
    """
    basic, *fragments = _items(value)
    if not any(fragments) or not all(fragments):
        raise InputError("The compressed pixel data of an image is incomplete: it lacks fragments.")
    if number == 1:
        groups = [_one_frame(basic, fragments, extended)]
    else:
        groups = _several_frames(basic, fragments, number)
    longest = max(len(group) for group in groups)
    if in_one_piece and longest > 1:
        raise InputError(
            f"The compressed image is cut into {longest} fragments, which is not supported "
            "for its transfer syntax: a missing one could not be noticed."
        )
    if extended is not None:
        _check_extended(extended, lengths, groups)
    return [b"".join(group) for group in groups]


def _one_frame(
    basic: memoryview, fragments: Sequence[memoryview], extended: bytes | None
) -> Sequence[memoryview]:
    if basic and (basic != bytes(4) or extended is not None):
        raise InputError(_NO_FIT)
    return fragments


def _several_frames(
    basic: memoryview, fragments: Sequence[memoryview], number: int
) -> list[Sequence[memoryview]]:
    """By the table where there is one; else each fragment must be a frame (PS3.5 A.4)."""
    if not basic:
        if len(fragments) != number:
            raise InputError(
                f"The compressed multi-frame image has {len(fragments)} fragments for {number} "
                "frames, and no table that says which belong together."
            )
        return [[fragment] for fragment in fragments]
    if len(basic) != 4 * number:
        raise InputError(_NO_FIT_SEVERAL)
    starts = {}
    at = 0
    for index, fragment in enumerate(fragments):
        starts[at] = index
        at += 8 + len(fragment)
    firsts = [starts.get(offset) for offset in struct.unpack(f"<{number}L", basic)]
    indices = [index for index in firsts if index is not None]
    if len(indices) != number or indices[0] != 0 or indices != sorted(set(indices)):
        raise InputError(_NO_FIT_SEVERAL)
    ends = [*indices[1:], len(fragments)]
    return [fragments[begin:end] for begin, end in zip(indices, ends, strict=True)]


def _items(value: memoryview) -> list[memoryview]:
    """The offset table and the fragments, which fill the value exactly."""
    found = []
    at = 0
    while at < len(value) and value[at : at + 4] != _END:
        if value[at : at + 4] != ITEM or len(value) < at + 8:
            raise InputError("The compressed pixel data of an image is damaged between fragments.")
        (length,) = struct.unpack_from("<L", value, at + 4)
        at += 8 + length
        if at > len(value):
            raise InputError("The compressed pixel data of an image ends within a fragment.")
        found.append(value[at - length : at])
    return found or [memoryview(b"")]


def _check_extended(
    offsets: bytes, lengths: bytes | None, groups: Sequence[Sequence[memoryview]]
) -> None:
    """One fragment a frame (PS3.3 C.7.6.3.1.8), whose length may leave out its padding."""
    sizes = [len(group[0]) for group in groups]
    starts = [0, *accumulate(8 + size for size in sizes)][:-1]
    table = struct.Struct(f"<{len(sizes)}Q")
    if (
        any(len(group) != 1 for group in groups)
        or offsets != table.pack(*starts)
        or lengths is None
        or len(lengths) != table.size
        or not all(
            0 <= size - said <= 1 for size, said in zip(sizes, table.unpack(lengths), strict=True)
        )
    ):
        raise InputError("ExtendedOffsetTable does not fit the frames of an image.")
