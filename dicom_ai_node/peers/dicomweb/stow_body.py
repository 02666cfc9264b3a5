"""Part 10 files as the body of a STOW-RS request (PS3.18 10.5.1.2.1), byte for byte."""

import secrets
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from dicom_ai_node.peers.dicomweb.answer import SLOWEST_BYTES_PER_S
from dicom_ai_node.peers.dicomweb.service import Body

_PIECE = 262_144


def body_of(paths: Sequence[Path], *, within_s: float) -> Body:
    """Read while it is sent; raises OSError where a file is not there."""
    boundary = secrets.token_hex(16)
    sizes = [path.stat().st_size for path in paths]
    head = f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    end = f"\r\n--{boundary}--\r\n".encode()
    length = sum(sizes) + len(paths) * len(head) + len(end)
    limit_s = within_s + length / SLOWEST_BYTES_PER_S
    return Body(
        content_type=f'multipart/related; type="application/dicom"; boundary={boundary}',
        length=length,
        chunks=partial(_chunks, list(zip(paths, sizes, strict=True)), head, end, limit_s),
    )


def _chunks(
    files: Sequence[tuple[Path, int]], head: bytes, end: bytes, limit_s: float
) -> Iterator[bytes]:
    began = time.monotonic()
    for path, size in files:
        yield head
        left = size
        with path.open("rb") as file:
            while left:
                piece = file.read(min(_PIECE, left))
                if not piece:
                    raise OSError("a file of the outbox became shorter")
                left -= len(piece)
                yield piece
                if time.monotonic() - began > limit_s:
                    raise TimeoutError
    yield end
