"""An element walk over an encoded data set (PS3.5 7): does it parse to its end, and who is it?

It is fed the data set in the pieces in which it comes. The values of a few top-level elements are
kept as bytes; every other value is stepped over. pydicom reads values and forgives what is cut
off; reception must do neither.
"""

import struct
import zlib
from collections.abc import Mapping

MAX_DEPTH = 64  # of sequences within sequences
MAX_VALUE = 4096  # bytes of a value that is kept: the longest UIDs, names and IDs are far shorter
MAX_INFLATED_HEAD = 1 << 20
UNDEFINED = 0xFFFFFFFF

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DELIMITERS = 0xFFFE
# PS3.5 7.1.2: these have a length of two bytes, all others reserved bytes and one of four
_SHORT = frozenset(
    bytes(vr, "ascii")
    for vr in (
        *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO"),
        *("LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"),
    )
)


class Malformed(Exception):
    """The data set cannot be parsed in its transfer syntax; the text names no value."""


class Walk:
    """`found` has the values of the wanted top-level elements that were met so far."""

    def __init__(self, *, implicit: bool, little_endian: bool, wanted: frozenset[int]) -> None:
        order = "<" if little_endian else ">"
        self._explicit_header = struct.Struct(order + "HH2sH").unpack_from
        self._implicit_header = struct.Struct(order + "HHL").unpack_from
        self._long = struct.Struct(order + "L").unpack_from
        self._implicit = implicit
        self._wanted = wanted
        self._carry = b""  # the beginning of an element whose header or value is not whole yet
        self._skip = 0  # bytes of a value that are still to come
        self._skipped = 0  # its tag
        self._levels: list[tuple[int, bool]] = []  # what ends each open level, and its encoding
        self.found: dict[int, bytes] = {}

    def feed(self, data: bytes | memoryview) -> None:
        """The next piece; raises Malformed as soon as it cannot be a data set."""
        if self._skip >= len(data) and not self._carry:
            self._skip -= len(data)
            return
        if self._carry:
            data = self._carry + bytes(data)
            self._carry = b""
        at, end = self._skip, len(data)
        self._skip = 0
        while at < end:
            try:
                tag, length, value_at, in_implicit = self._header(data, at)
            except struct.error:
                break
            if self._levels or length == UNDEFINED:
                length = self._nested(tag, length, in_implicit)
            elif tag in self._wanted:
                if value_at + length > end and length <= MAX_VALUE:
                    break
                self._keep(tag, length, data, value_at)
            at = value_at + length
            if at > end:
                self._skip, self._skipped = at - end, tag
                return
        self._carry = bytes(data[at:])

    def finish(self) -> Mapping[int, bytes]:
        """What was found; raises Malformed unless the data set ended where an element does."""
        if self._skip:
            raise Malformed(f"element {self._skipped:08X} is longer than the data set")
        if self._carry:
            raise Malformed("the data set ends within an element")
        if self._levels:
            raise Malformed("the data set ends within a sequence or its pixel data")
        return self.found

    def _header(self, data: bytes | memoryview, at: int) -> tuple[int, int, int, bool]:
        """Tag, length, where the value begins, and whether what lies in it is implicit VR."""
        implicit = self._levels[-1][1] if self._levels else self._implicit
        if not implicit:
            group, element, vr, length = self._explicit_header(data, at)
            if vr in _SHORT:
                return group << 16 | element, length, at + 8, False
            if group != _DELIMITERS:
                if not (vr.isalpha() and vr.isupper()) and vr != b"??":
                    raise Malformed(
                        f"element {group:04X}{element:04X} has no VR: wrong transfer syntax?"
                    )
                # PS3.5 6.2.2: UN of undefined length holds implicit VR, whatever is around it
                return group << 16 | element, self._long(data, at + 8)[0], at + 12, vr == b"UN"
        group, element, length = self._implicit_header(data, at)
        return group << 16 | element, length, at + 8, implicit

    def _nested(self, tag: int, length: int, implicit: bool) -> int:
        """Open and close levels of undefined length, without recursion; returns what to step over.

        Encapsulated pixel data (PS3.5 A.4) has the form of a sequence whose items are fragments.
        """
        end = self._levels[-1][0] if self._levels else _ITEM_END
        in_sequence = end == _SEQUENCE_END
        if self._levels and tag == end:
            self._levels.pop()
            return 0
        if in_sequence != (tag == _ITEM):
            raise Malformed(f"element {tag:08X} where an item belongs, or the reverse")
        if length != UNDEFINED:
            return length
        if len(self._levels) == MAX_DEPTH:
            raise Malformed(f"sequences are nested deeper than {MAX_DEPTH}")
        self._levels.append((_ITEM_END if in_sequence else _SEQUENCE_END, implicit))
        return 0

    def _keep(self, tag: int, length: int, data: bytes | memoryview, at: int) -> None:
        if length > MAX_VALUE:
            raise Malformed(f"element {tag:08X} is longer than {MAX_VALUE} bytes")
        if tag in self.found:  # which of the two would the next reader believe?
            raise Malformed(f"element {tag:08X} comes twice")
        self.found[tag] = bytes(data[at : at + length])


class DeflatedHead:
    """The same for a deflated data set, of which only the head is ever inflated here (P18)."""

    def __init__(self, *, wanted: frozenset[int]) -> None:
        self._walk = Walk(implicit=False, little_endian=True, wanted=wanted)
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._room = MAX_INFLATED_HEAD

    @property
    def found(self) -> Mapping[int, bytes]:
        return self._walk.found

    def feed(self, data: bytes | memoryview) -> None:
        """The next piece; raises Malformed when it is not deflated, or holds no data set."""
        if not self._room:
            return
        try:
            head = self._inflate.decompress(data, self._room)
        except zlib.error:
            raise Malformed("the data set is not deflated") from None
        self._room -= len(head)
        self._walk.feed(head)

    def finish(self) -> Mapping[int, bytes]:
        if not self._room:
            return self._walk.found  # of the end, nothing is known here
        if not self._inflate.eof:
            raise Malformed("the deflated data set is cut off")
        return self._walk.finish()
