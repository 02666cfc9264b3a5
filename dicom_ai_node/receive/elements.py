"""An element walk over an encoded data set (PS3.5 7): does it parse to its end, and who is it?

It is fed the data set in the pieces in which it comes. The values of a few top-level elements are
kept as bytes; every other value is stepped over. pydicom reads values and forgives what is cut
off; reception must do neither.

Malformed is what readers would disagree about: where the data set ends, where a sequence of
undefined length ends, which of two identifying elements is true. What they agree on is kept as it
came: group lengths that are wrong, elements out of order, values of odd length, VRs that nobody
knows, padding and delimiters between elements. Within a sequence whose length is known, nothing
but the depth counts: its end is certain, whatever its items hold.
"""

import struct
import sys
import zlib
from collections.abc import Mapping
from typing import NamedTuple

from pydicom.datadict import DicomDictionary  # type: ignore[attr-defined]

MAX_DEPTH = 64  # of sequences within sequences
MAX_VALUE = 4096  # bytes of a value that is kept: the longest UIDs, names and IDs are far shorter
MAX_INFLATED_HEAD = 1 << 20
UNDEFINED = 0xFFFFFFFF

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DELIMITERS = 0xFFFE
_PIXEL_DATA = 0x7FE00010
_NEVER = sys.maxsize
_SHORTEST = 8  # bytes of an element without a value
# PS3.5 7.1.2: these have a length of two bytes, all others reserved bytes and one of four
_SHORT = frozenset(
    bytes(vr, "ascii")
    for vr in (
        *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO"),
        *("LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"),
    )
)
# what implicit VR does not say, and UN hides
_SEQUENCES = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ")


class Malformed(Exception):
    """The data set cannot be parsed in its transfer syntax; the text names no value."""


class _Astray(Malformed):
    """The same, but within a sequence of known length it can be stepped over."""


class _Level(NamedTuple):
    """A sequence, an item or encapsulated pixel data around what comes next."""

    end: int  # the tag that ends it, unless its length does
    until: int  # where the innermost level of known length ends: this one, or one around it
    is_known: bool  # has a length
    is_implicit: bool
    has_fragments: bool  # its items are no data sets


class Walk:
    """`found` has the values of the wanted top-level elements that were met so far."""

    def __init__(self, *, implicit: bool, little_endian: bool, wanted: frozenset[int]) -> None:
        order = "<" if little_endian else ">"
        self._explicit_header = struct.Struct(order + "HH2sH").unpack_from
        self._implicit_header = struct.Struct(order + "HHL").unpack_from
        self._long = struct.Struct(order + "L").unpack_from
        self._implicit = implicit
        self._wanted = wanted
        self._base = 0  # where in the data set the next piece begins, with what is carried
        self._carry = b""  # the beginning of an element whose header or value is not whole yet
        self._skip = 0  # bytes of a value that are still to come
        self._skipped = 0  # its tag
        self._levels: list[_Level] = []
        self._until = _NEVER  # that of the innermost level
        self.found: dict[int, bytes] = {}

    def feed(self, data: bytes | memoryview) -> None:
        """The next piece; raises Malformed as soon as it cannot be a data set."""
        if self._skip >= len(data) and not self._carry:
            self._skip -= len(data)
            self._base += len(data)
            return
        if self._carry:
            data = self._carry + bytes(data)
            self._carry = b""
        at, end, tag = self._skip, len(data), self._skipped
        while at < end:
            if self._base + at + _SHORTEST > self._until:
                at = self._leave()
                continue
            try:
                tag, length, value_at, in_implicit, has_items = self._header(data, at)
                if self._levels or has_items or length == UNDEFINED:
                    length = self._nested(tag, length, value_at, in_implicit, has_items)
                elif tag in self._wanted and not self._keep(tag, length, data, value_at):
                    break
            except struct.error:
                break
            except _Astray:
                if self._until == _NEVER:
                    raise
                at = self._leave()
                continue
            at = value_at + length
        self._skip, self._skipped = max(at - end, 0), tag
        self._carry = bytes(data[at:])
        self._base += min(at, end)

    def finish(self) -> Mapping[int, bytes]:
        """What was found; raises Malformed unless the data set ended where an element does."""
        if self._skip:
            raise Malformed(f"element {self._skipped:08X} is longer than the data set")
        if self._carry:
            raise Malformed("the data set ends within an element")
        if self._until <= self._base:
            self._leave()
        if self._levels:
            raise Malformed("the data set ends within a sequence or its pixel data")
        return self.found

    def _header(self, data: bytes | memoryview, at: int) -> tuple[int, int, int, bool, bool]:
        """Tag, length, where the value begins, and whether it is implicit VR and has items."""
        implicit = self._levels[-1].is_implicit if self._levels else self._implicit
        if not implicit:
            group, element, vr, length = self._explicit_header(data, at)
            if vr in _SHORT:
                return group << 16 | element, length, at + 8, False, False
            tag = group << 16 | element
            if group != _DELIMITERS:
                if not (vr.isalpha() and vr.isupper()) and vr != b"??":
                    raise _Astray(f"element {tag:08X} has no VR: wrong transfer syntax?")
                length = self._long(data, at + 8)[0]
                # PS3.5 6.2.2: UN of undefined length holds implicit VR, whatever is around it
                is_un = vr == b"UN"
                has_items = vr == b"SQ" or (is_un and (length == UNDEFINED or tag in _SEQUENCES))
                return tag, length, at + 12, is_un, has_items
        group, element, length = self._implicit_header(data, at)
        tag = group << 16 | element
        has_items = tag in _SEQUENCES or (length == UNDEFINED and tag != _PIXEL_DATA)
        return tag, length, at + 8, implicit, has_items

    def _nested(
        self, tag: int, length: int, value_at: int, is_implicit: bool, has_items: bool
    ) -> int:
        """Open and close levels, without recursion; returns what to step over.

        Encapsulated pixel data (PS3.5 A.4) has the form of a sequence whose items are fragments.
        """
        around = self._levels[-1] if self._levels else None
        in_sequence = around is not None and around.end == _SEQUENCE_END
        if around is not None and tag == around.end and not around.is_known:
            self._levels.pop()
            return 0
        if in_sequence != (tag == _ITEM):
            raise _Astray(f"element {tag:08X} where an item belongs, or the reverse")
        until, is_known = self._until, length != UNDEFINED
        if is_known:
            until = self._base + value_at + length
            if until > self._until:
                raise _Astray(f"element {tag:08X} is longer than what it lies in")
            has_data_set = around is not None and in_sequence and not around.has_fragments
            if not length or not (has_data_set or (has_items and not in_sequence)):
                return length
        if len(self._levels) >= 2 * MAX_DEPTH:  # a sequence and its item are two levels
            raise Malformed(f"sequences are nested deeper than {MAX_DEPTH}")
        self._levels.append(
            _Level(
                end=_ITEM_END if in_sequence else _SEQUENCE_END,
                until=until,
                is_known=is_known,
                is_implicit=is_implicit,
                has_fragments=not (has_items or in_sequence),
            )
        )
        self._until = until
        return 0

    def _leave(self) -> int:
        """Out of the innermost level of known length, and all within it, to its end."""
        at = self._until - self._base
        while self._levels and self._levels[-1].until == self._until:
            self._levels.pop()
        self._until = self._levels[-1].until if self._levels else _NEVER
        return at

    def _keep(self, tag: int, length: int, data: bytes | memoryview, at: int) -> bool:
        """False while the value is not whole."""
        if length > MAX_VALUE:
            raise Malformed(f"element {tag:08X} is longer than {MAX_VALUE} bytes")
        if tag in self.found:  # which of the two would the next reader believe?
            raise Malformed(f"element {tag:08X} comes twice")
        if at + length > len(data):
            return False
        self.found[tag] = bytes(data[at : at + length])
        return True


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
