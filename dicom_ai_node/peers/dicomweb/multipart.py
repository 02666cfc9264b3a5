"""A multipart body as it streams in (RFC 2046 5.1), within limits: nothing is held but a piece."""

from collections.abc import Iterator, Mapping
from email.message import Message

_MOST_HEADER_BYTES = 8192
_MOST_BOUNDARY = 200  # RFC 2046 says 70


class MultipartError(Exception):
    """It is not what it says it is; the text holds nothing of it."""


class MultipartReader:
    """Part by part: each is read to its end before the next."""

    def __init__(self, content_type: str, pieces: Iterator[bytes]) -> None:
        """Raises MultipartError."""
        self._delimiter = b"\r\n--" + _boundary(content_type)
        self._pieces = pieces
        self._buffer = bytearray(b"\r\n")  # the first delimiter may have no line before it
        self._is_in_part = True  # in the preamble

    def parts(self) -> Iterator[tuple[Mapping[str, str], Iterator[bytes]]]:
        """Headers in lower case, and content."""
        for _ in self._content():
            pass
        while not self._is_last():
            headers = self._headers()
            content = self._content()
            yield headers, content
            for _ in content:
                pass

    def _more(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            raise MultipartError("the answer ends too early")
        self._buffer += piece

    def _content(self) -> Iterator[bytes]:
        """Up to the next delimiter, which is taken away."""
        keep = len(self._delimiter) - 1
        while (at := self._buffer.find(self._delimiter)) < 0:
            if len(self._buffer) > keep:
                yield bytes(self._buffer[:-keep])
                del self._buffer[:-keep]
            self._more()
        if at:
            yield bytes(self._buffer[:at])
        del self._buffer[: at + len(self._delimiter)]

    def _is_last(self) -> bool:
        while len(self._buffer) < 2:
            self._more()
        return self._buffer.startswith(b"--")

    def _headers(self) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        read = 0
        self._line()  # the rest of the delimiter's line
        while line := self._line():
            read += len(line)
            if read > _MOST_HEADER_BYTES:
                raise MultipartError("a part has too many headers")
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return headers

    def _line(self) -> bytes:
        while (at := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > _MOST_HEADER_BYTES:
                raise MultipartError("a part has a header that is too long")
            self._more()
        line = bytes(self._buffer[:at])
        del self._buffer[: at + 2]
        return line


def _boundary(content_type: str) -> bytes:
    header = Message()
    header["Content-Type"] = " ".join(content_type.split())
    boundary = header.get_boundary()
    if header.get_content_maintype() != "multipart" or not boundary:
        raise MultipartError("the answer is not multipart")
    if not boundary.isascii() or len(boundary) > _MOST_BOUNDARY:
        raise MultipartError("the answer has no proper boundary")
    return boundary.encode("ascii")
