"""The head of a compressed image: what its stream says of itself, before a decoder believes it.

A decoder makes room for what the stream asks for, whatever the data set says. The end is looked
at too: a stream that is cut off, or followed by another, may decode to something.
"""

import struct
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
)

from dicom_ai_node.errors import InputError

MAX_TILES = 4096  # of a JPEG 2000 image: a decoder keeps kilobytes for each, however small
_SOC_SIZ, _SOT, _EOC = b"\xff\x4f\xff\x51", b"\xff\x90", b"\xff\xd9"  # ISO/IEC 15444-1 A.2
_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"  # ISO/IEC 10918-1 B.1.1.3
_SOS = 0xDA
# SOF0 to SOF15 without DHT, JPG and DAC; SOF55 of JPEG-LS (ISO/IEC 14495-1 C.1.1)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_PADDING = b"\0\xff"
_CUT_OFF = "The compressed image is cut off."
_DAMAGED = "The compressed image is damaged: the head of its stream makes no sense."
_RLE_HEADER = 64
_RLE_LONGEST_RUN = 64  # bytes that one byte of a segment can become: two are a run of 128


class Head(NamedTuple):
    rows: int
    columns: int
    samples: int
    bits: int
    signed: bool | None  # None where such a stream does not say


def head(syntax: UID, stream: bytes) -> Head:
    """Raises InputError where the stream is not of its transfer syntax, or is not one whole."""
    read = _READERS.get(syntax)
    if read is None:
        raise InputError(
            f"The images are in a transfer syntax that is not supported: {syntax.name}."
        )
    try:
        return read(stream)
    except (struct.error, IndexError) as error:
        raise InputError(_CUT_OFF) from error


def check_rle(stream: bytes, *, pixels: int, planes: int) -> None:
    """A frame of RLE has `planes` segments of `pixels` bytes, and no size of its own (PS3.5 G)."""
    if len(stream) < _RLE_HEADER:
        raise InputError(_CUT_OFF)
    number, *offsets = struct.unpack_from("<16L", stream)
    if number != planes:
        raise InputError(
            f"The compressed image has {number} byte planes, "
            f"where SamplesPerPixel and BitsAllocated say {planes}."
        )
    bounds = [*offsets[:planes], len(stream)]
    if bounds[0] != _RLE_HEADER or any(end <= begin for begin, end in pairwise(bounds)):
        raise InputError("The compressed image is damaged: its RLE header does not fit its data.")
    for begin, end in pairwise(bounds):
        if (end - begin) * _RLE_LONGEST_RUN < pixels or end - begin > 2 * pixels + _RLE_HEADER:
            raise InputError("The compressed image cannot have the size that Rows, Columns say.")


def _jpeg_2000(stream: bytes) -> Head:
    """SIZ comes first and says all (ISO/IEC 15444-1 A.5.1); JP2 boxes would say it again."""
    if not stream.startswith(_SOC_SIZ):
        raise _not_a("bare JPEG 2000 code stream")
    length, _, x, y, x0, y0, tile_x, tile_y, tile_x0, tile_y0, samples = struct.unpack_from(
        ">HH8LH", stream, 4
    )
    components = {struct.unpack_from(">BBB", stream, 42 + 3 * k) for k in range(samples)}
    if length != 38 + 3 * samples or len(components) != 1 or not tile_x or not tile_y:
        raise InputError(_DAMAGED)
    ((depth, step_x, step_y),) = components
    if (step_x, step_y) != (1, 1):
        raise InputError(_DAMAGED)
    tiles = -((tile_x0 - x) // tile_x) * -((tile_y0 - y) // tile_y)
    if tiles > MAX_TILES:
        raise InputError(f"The compressed image is cut into more than {MAX_TILES} tiles.")
    _check_tile_parts(stream, 4 + length)
    return Head(
        rows=y - y0,
        columns=x - x0,
        samples=samples,
        bits=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
    )


def _check_tile_parts(stream: bytes, at: int) -> None:
    """Each tile-part says its length: nothing is missing between them, nothing comes after."""
    while not stream.startswith(_SOT, at):
        at += 2 + _length(stream, at)
    while stream.startswith(_SOT, at):
        (length,) = struct.unpack_from(">L", stream, at + 6)
        if length == 0:  # the last one, up to the end
            end = stream.rfind(_EOC, at)
            length = end - at if end >= 0 else len(stream)
        elif length < len(_SOT) + 12:
            raise InputError(_DAMAGED)
        at += length
    if at > len(stream):
        raise InputError(_CUT_OFF)
    _check_rest(stream[at:].removeprefix(_EOC))


def _jpeg(stream: bytes, allowed: frozenset[int]) -> Head:
    """One SOF, before the first scan (ISO/IEC 10918-1 B.2.2); one EOI, at the end."""
    if not stream.startswith(_SOI):
        raise _not_a("JPEG stream")
    found: Head | None = None
    at, marker = 2, 0
    while marker != _SOS:
        while stream[at + 1] == 0xFF:  # fill bytes
            at += 1
        if stream[at] != 0xFF:
            raise InputError(_DAMAGED)
        marker = stream[at + 1]
        if marker in _FRAMES:
            if found or marker not in allowed:
                raise _not_a("JPEG stream of this kind")
            bits, rows, columns, samples = struct.unpack_from(">BHHB", stream, at + 4)
            found = Head(rows=rows, columns=columns, samples=samples, bits=bits, signed=None)
        at += 2 + _length(stream, at)
    if found is None:
        raise InputError(_DAMAGED)
    end = stream.find(_EOI, at)  # within a scan, 0xFF is never followed by a marker's byte
    if end < 0:
        raise InputError(_CUT_OFF)
    _check_rest(stream[end + 2 :])
    return found


def _length(stream: bytes, at: int) -> int:
    """Of the marker segment that begins there."""
    if stream[at] != 0xFF:
        raise InputError(_DAMAGED)
    (length,) = struct.unpack_from(">H", stream, at + 2)
    return int(length)


def _check_rest(rest: bytes) -> None:
    if rest.strip(_PADDING):
        raise InputError("The compressed image is followed by other data, as if by a second frame.")


def _not_a(kind: str) -> InputError:
    return InputError(f"The compressed image is not a {kind}, as its transfer syntax says.")


_READERS: dict[UID, Callable[[bytes], Head]] = {
    **dict.fromkeys(JPEG2000TransferSyntaxes, _jpeg_2000),
    JPEGBaseline8Bit: partial(_jpeg, allowed=frozenset({0xC0, 0xC1})),
    JPEGExtended12Bit: partial(_jpeg, allowed=frozenset({0xC0, 0xC1})),
    JPEGLossless: partial(_jpeg, allowed=frozenset({0xC3})),
    JPEGLosslessSV1: partial(_jpeg, allowed=frozenset({0xC3})),
    **dict.fromkeys(JPEGLSTransferSyntaxes, partial(_jpeg, allowed=frozenset({0xF7}))),
}
