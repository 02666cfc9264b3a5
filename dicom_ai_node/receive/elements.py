"""An element walk over an encoded data set (PS3.5 7): does it parse to its end, and who is it?

The values of a few top-level elements are kept as bytes; pixel data is stepped over. pydicom reads
values and forgives what is cut off; reception must do neither.
"""

import contextlib
import struct
import zlib
from collections.abc import Mapping

MAX_DEPTH = 64  # of sequences within sequences
MAX_INFLATED_HEAD = 1 << 20
UNDEFINED = 0xFFFFFFFF

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
# PS3.5 7.1.2: these have two reserved bytes and a length of four; so will all VRs to come
_SHORT = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())


class Malformed(Exception):
    """The data set cannot be parsed in its transfer syntax; the text names no value."""


def walk(
    data: bytes, *, implicit: bool, little_endian: bool, wanted: frozenset[int]
) -> Mapping[int, bytes]:
    """The values of the wanted top-level elements; raises Malformed unless all of `data` parses."""
    return _Walk(data, implicit, little_endian, wanted).run()


def walk_deflated_head(data: bytes, *, wanted: frozenset[int]) -> Mapping[int, bytes]:
    """The same for a deflated data set, of which only the head is ever inflated here (P18)."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        head = inflate.decompress(data, MAX_INFLATED_HEAD)
    except zlib.error:
        raise Malformed("the data set is not deflated") from None
    if len(head) < MAX_INFLATED_HEAD:
        if not inflate.eof:
            raise Malformed("the deflated data set is cut off")
        return walk(head, implicit=False, little_endian=True, wanted=wanted)
    walker = _Walk(head, implicit=False, little_endian=True, wanted=wanted)
    with contextlib.suppress(Malformed):  # of course: the head ends anywhere
        walker.run()
    return walker.found


class _Walk:
    def __init__(
        self, data: bytes, implicit: bool, little_endian: bool, wanted: frozenset[int]
    ) -> None:
        self.data = data
        self.end = len(data)
        self.implicit = implicit
        order = "<" if little_endian else ">"
        self.tag = struct.Struct(order + "HH")
        self.short = struct.Struct(order + "H")
        self.long = struct.Struct(order + "L")
        self.wanted = wanted
        self.found: dict[int, bytes] = {}

    def run(self) -> Mapping[int, bytes]:
        at = 0
        while at < self.end:
            tag, length, at, in_implicit = self._header(at, self.implicit)
            if length == UNDEFINED:
                at = self._undefined(tag, at, in_implicit)
                continue
            if at + length > self.end:
                raise Malformed(f"element {tag:08X} is longer than the data set")
            if tag in self.wanted:
                self.found[tag] = self.data[at : at + length]
            at += length
        return self.found

    def _header(self, at: int, implicit: bool) -> tuple[int, int, int, bool]:
        """Tag, length, where the value begins, and whether what lies in it is implicit VR."""
        try:
            group, element = self.tag.unpack_from(self.data, at)
            tag = group << 16 | element
            if implicit or group == 0xFFFE:
                return tag, self.long.unpack_from(self.data, at + 4)[0], at + 8, implicit
            vr = self.data[at + 4 : at + 6]
            if vr in _SHORT:
                return tag, self.short.unpack_from(self.data, at + 6)[0], at + 8, False
            if not (vr.isalpha() and vr.isupper()) and vr != b"??":
                raise Malformed(f"element {tag:08X} has no VR: wrong transfer syntax?")
            length = self.long.unpack_from(self.data, at + 8)[0]
        except struct.error:
            raise Malformed("the data set ends within an element") from None
        # PS3.5 6.2.2: UN of undefined length holds implicit VR, whatever is around it
        return tag, length, at + 12, vr == b"UN"

    def _undefined(self, tag: int, at: int, implicit: bool) -> int:
        """Step over a value of undefined length, without recursion; returns where it ends."""
        if tag in _PIXEL_DATA and not implicit:
            return self._fragments(at)
        levels = [(_SEQUENCE_END, implicit)]
        while levels:
            if len(levels) > MAX_DEPTH:
                raise Malformed(f"sequences are nested deeper than {MAX_DEPTH}")
            end, implicit = levels[-1]
            tag, length, at, implicit_within = self._header(at, implicit)
            if tag == end:
                levels.pop()
            elif length == UNDEFINED:
                in_sequence = end == _SEQUENCE_END
                if in_sequence != (tag == _ITEM):
                    raise Malformed(f"element {tag:08X} where an item belongs, or the reverse")
                levels.append((_ITEM_END if in_sequence else _SEQUENCE_END, implicit_within))
            elif at + length > self.end:
                raise Malformed(f"element {tag:08X} is longer than the data set")
            else:
                at += length
        return at

    def _fragments(self, at: int) -> int:
        """Encapsulated pixel data (PS3.5 A.4): items of defined length up to the delimiter."""
        while True:
            tag, length, at, _ = self._header(at, implicit=False)
            if tag == _SEQUENCE_END:
                return at
            if tag != _ITEM or at + length > self.end:
                raise Malformed("encapsulated pixel data is cut off")
            at += length
