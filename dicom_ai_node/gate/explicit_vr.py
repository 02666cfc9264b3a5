"""A data set in explicit VR little endian as its bytes (PS3.5 7.1.2, 7.5): thousands of items in
tenths of a second, for which pydicom needs many seconds."""

import struct
from collections.abc import Iterator
from typing import TypeAlias

from dicom_ai_node.errors import ResultMismatch

# tag, where its value begins in the bytes, and where it ends
Element: TypeAlias = tuple[int, int, int]

_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_HEAD, _LENGTH = struct.Struct("<HH2sH").unpack_from, struct.Struct("<I").unpack_from
_UNDEFINED = 0xFFFFFFFF
_DELIMITATION = 0xFFFE
_ITEM, _ITEM_END, _SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD
_CUT_OFF = "it is cut off"


def elements(content: bytes, at: int, end: int) -> Iterator[Element]:
    """Those of one data set or item, in their order; a sequence is one of them.

    ResultMismatch where the bytes are no data set.
    """
    for tag, begin, stop, _ in _heads(content, at, end, enter=False):
        if tag >> 16 != _DELIMITATION:
            yield tag, begin, stop


def every(content: bytes, at: int, end: int) -> Iterator[Element]:
    """Those at any depth too, each sequence before what is in it."""
    for tag, begin, stop, _ in _heads(content, at, end, enter=True):
        if tag >> 16 != _DELIMITATION:
            yield tag, begin, stop


def items(content: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the contents of each item of a sequence begin and end."""
    for tag, begin, stop, _ in _heads(content, at, end, enter=False):
        if tag & 0xFFFF == _ITEM:
            yield begin, stop


def _heads(
    content: bytes, at: int, end: int, *, enter: bool
) -> Iterator[tuple[int, int, int, bool]]:
    """`enter`: what is in a sequence or item comes next, and not what is behind it."""
    try:
        while at < end:
            group, number, vr, length = _HEAD(content, at)
            if group == _DELIMITATION:
                (length,), begin, is_sequence = _LENGTH(content, at + 4), at + 8, False
                goes_in = enter and number == _ITEM
            elif vr in _LONG:
                (length,), begin, is_sequence = _LENGTH(content, at + 8), at + 12, vr == b"SQ"
                goes_in = enter and is_sequence
            else:
                begin, is_sequence, goes_in = at + 8, False, False
            at = begin
            stop = begin + length
            if length == _UNDEFINED:
                stop = begin if goes_in else _undefined_end(content, begin, end, is_sequence)
            if stop > end:
                raise ResultMismatch(_CUT_OFF)
            yield group << 16 | number, begin, stop, is_sequence
            if not goes_in:
                at = stop
    except struct.error as error:
        raise ResultMismatch(_CUT_OFF) from error


def _undefined_end(content: bytes, at: int, end: int, is_sequence: bool) -> int:
    """Where the delimiter is that belongs to the sequence, or to the item."""
    wanted, depth = (_SEQUENCE_END if is_sequence else _ITEM_END), 1
    while at < end:
        group, number, vr, length = _HEAD(content, at)
        if group == _DELIMITATION:
            depth -= number == wanted
            if not depth:
                return at
            (length,) = _LENGTH(content, at + 4)
            depth += not is_sequence and number == _ITEM and length == _UNDEFINED
            at += 8
        else:
            is_long, enters = vr in _LONG, vr == b"SQ"
            if is_long:
                (length,) = _LENGTH(content, at + 8)
            depth += is_sequence and enters and length == _UNDEFINED
            at += (12 if is_long else 8) + (0 if enters else length)
    raise ResultMismatch(_CUT_OFF)
