"""Bytes to a page, and what comes back."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.web.site import Served


@contextmanager
def connected(page: Served) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", page.port), timeout=20) as found:
        yield found


def answer_to(page: Served, content: bytes) -> bytes:
    """All that comes until the page closes the connection."""
    with connected(page) as sent:
        sent.sendall(content)
        return all_of(sent)


def all_of(sent: socket.socket) -> bytes:
    found = b""
    try:
        while more := sent.recv(65536):
            found += more
    except ConnectionResetError:
        pass
    return found
