"""Pixel data that still lies in its file: read when it is needed, and checked as it is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dicom_ai_node.errors import NodeError
from dicom_ai_node.header import is_whole
from dicom_ai_node.study import Instance


class Damaged(NodeError):
    """A stored file is not what was received: the node's fault, and never told as the study's."""

    def __init__(self) -> None:
        super().__init__(
            "a stored image is damaged, its checksum differs: have the node's disk checked, and "
            "send the study again"
        )


class Checksum(Protocol):
    """One of hashlib's."""

    def copy(self) -> "Checksum": ...
    def update(self, data: memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """`length` bytes from `begin`, in a file of `size` bytes.

    `sha256` is due for the whole data set, of which `before` has seen what stands before the
    pixels; None where nothing is to be checked.
    """

    path: Path
    begin: int
    length: int
    size: int
    before: Checksum
    sha256: str | None

    @property
    def buffer_bytes(self) -> int:
        """What `read` needs: all that stands behind the pixels is checked as well."""
        return self.size - self.begin

    def read(self, buffer: bytearray) -> memoryview:
        """The pixel data, at the beginning of the buffer; Damaged where a byte has changed (P2)."""
        rest = memoryview(buffer)[: self.buffer_bytes]
        with self.path.open("rb") as file:
            file.seek(self.begin)
            if file.readinto(rest) != len(rest):
                raise Damaged
        if self.sha256 is not None:
            checksum = self.before.copy()
            checksum.update(rest)
            if checksum.hexdigest() != self.sha256:
                raise Damaged
        return rest[: self.length]


def in_memory(pixels: memoryview | Unread) -> memoryview:
    return pixels.read(bytearray(pixels.buffer_bytes)) if isinstance(pixels, Unread) else pixels


def check(instance: Instance) -> None:
    """Damaged where the bytes of a file are not those that were acknowledged (P2)."""
    if not is_whole(instance.path, instance.sha256):
        raise Damaged
