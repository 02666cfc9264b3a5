"""An audit record repository of a test's own: syslog over TLS, or over UDP."""

import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.receive.certificates import Authority, Identity

_RST = struct.pack("ii", 1, 0)  # SO_LINGER: closed by a reset, as by a machine that fails


@dataclass
class Repository:
    """Keeps each message as it came; `port` stays the same when it goes away and comes back."""

    ca: Path
    own: Identity
    port: int = 0
    received: list[bytes] = field(default_factory=list)
    fails_after: int | None = None  # messages; then it breaks every connection, unread
    shown: list[str] = field(default_factory=list)  # subjects of certificates

    @contextmanager
    def running(self) -> Iterator["Repository"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.own.certificate, self.own.key)
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        stopping = threading.Event()
        threads: list[threading.Thread] = []

        def accept() -> None:
            while not stopping.is_set():
                with suppress(OSError):
                    plain, _ = listener.accept()
                    thread = threading.Thread(target=self._serve, args=(plain, context, stopping))
                    thread.start()
                    threads.append(thread)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield self
        finally:
            stopping.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            accepting.join()
            for thread in threads:
                thread.join()

    def _serve(
        self, plain: socket.socket, context: ssl.SSLContext, stopping: threading.Event
    ) -> None:
        plain.settimeout(5)
        try:
            connection = context.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            return
        self.shown.append(str(connection.getpeercert()))
        connection.settimeout(0.1)
        buffer = b""
        with suppress(OSError):
            while not stopping.is_set():
                try:
                    piece = connection.recv(65536)
                except TimeoutError:
                    continue
                if not piece:
                    break
                buffer = self._take(buffer + piece)
                if self.fails_after is not None and len(self.received) >= self.fails_after:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
                    break
            else:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
        if self.fails_after is None and not stopping.is_set():
            with suppress(OSError):
                connection.settimeout(5)
                connection.unwrap()
        connection.close()

    def _take(self, buffer: bytes) -> bytes:
        """Whole frames (RFC 5425 4.3.1); the rest is returned."""
        while found := re.match(rb"([1-9][0-9]*) ", buffer):
            begin, length = found.end(), int(found[1])
            if len(buffer) < begin + length:
                break
            if self.fails_after is None or len(self.received) < self.fails_after:
                self.received.append(buffer[begin : begin + length])
            buffer = buffer[begin + length :]
        return buffer

    def bodies(self) -> list[bytes]:
        """The XML of each."""
        return [content.partition(b"\xef\xbb\xbf")[2] for content in self.received]


def repository(folder: Path) -> tuple[Repository, dict[str, str]]:
    """It, and the TLS settings of a node that it believes."""
    authority = Authority.make(folder)
    own = authority.issue("repository", dns=["audit.test"])
    node = authority.issue("node", dns=["node.test"])
    made = Repository(ca=authority.own.certificate, own=own)
    settings = {
        "ca": str(authority.own.certificate),
        "certificate": str(node.certificate),
        "key": str(node.key),
        "server_name": "audit.test",
    }
    return made, settings
