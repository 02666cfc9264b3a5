"""The trail, sent on to an audit record repository: in order, each message at least once.

A repository does not answer. What the system took for a connection that then broke may be lost, so
a message counts as sent when the connection has lived on for a while, or was closed in agreement;
after a break everything since then is sent again.
"""

import fcntl
import socket
import ssl
import sys
import termios
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dicom_ai_node.audit.cursor import Position, lines_after, read_position, write_position
from dicom_ai_node.audit.read import moment_of
from dicom_ai_node.audit.syslog import framed, message
from dicom_ai_node.config.audit import SyslogSettings
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.log import get_logger
from dicom_ai_node.peers.tls import current_context, why_no_tls

log = get_logger(__name__)

POLL_S = 0.25
CONFIRM_S = 5.0  # a break shows within this time
_BACKOFF_FIRST_S, _BACKOFF_MOST_S = 1.0, 60.0
_CONFIRM_EVERY = 500  # messages: then the position is written, even of a long backlog
_DEAD_MS = 30_000  # without an acknowledgement, a connection is none
_UDP_MOST = 65_000  # octets of one datagram


@dataclass(slots=True)
class Sender:
    """One thread of the deliver role."""

    settings: SyslogSettings
    folder: Path
    host: str
    confirm_s: float = CONFIRM_S
    _connection: socket.socket | None = None
    _sent: deque[tuple[float, Position]] = field(default_factory=deque)  # not yet confirmed
    _at: Position = field(default_factory=Position)
    _failures: int = 0
    _was_down: bool = False

    def run(self, stop: threading.Event) -> None:
        """Until told to stop; then what was sent is confirmed by closing the connection."""
        while not stop.is_set():
            try:
                number = self.send_some(stop)
            except (OSError, PeerUnreachable) as error:
                self._broke(error)
                stop.wait(min(_BACKOFF_FIRST_S * 2.0 ** (self._failures - 1), _BACKOFF_MOST_S))
                continue
            except Exception:  # the deliver boundary: the trail goes on without its sender
                log.exception("audit_sender_failed")
                self._close()
                stop.wait(_BACKOFF_MOST_S)
                continue
            if not number:
                stop.wait(POLL_S)
        self.finish()

    def send_some(self, stop: threading.Event | None = None) -> int:
        """What is there now; raises OSError and PeerUnreachable."""
        if self._connection is not None:
            self._look(self._connection)
        number = 0
        start = self._at if self._connection is not None else read_position(self.folder)
        for line, position in lines_after(self.folder, start):
            self._send(line.body)
            self._at = position
            self._sent.append((time.monotonic(), position))
            number += 1
            if number % _CONFIRM_EVERY == 0 or (stop is not None and stop.is_set()):
                break
        if self._connection is not None:
            self._look(self._connection)
            if self._is_acknowledged(self._connection):
                self._confirm(time.monotonic() - self.confirm_s)
        return number

    def finish(self) -> None:
        """TLS says by its closing that the repository has read everything."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if isinstance(connection, ssl.SSLSocket):
                connection.unwrap().close()
            self._confirm(time.monotonic())
        except OSError:  # it is sent again
            pass
        finally:
            connection.close()

    def _send(self, body: bytes) -> None:
        content = message(
            body, facility=self.settings.facility, host=self.host, at=moment_of(body) or time.time()
        )
        if self._connection is None:
            self._connection = self._connect()
        if self.settings.tls is not None:
            self._connection.sendall(framed(content))
        elif len(content) > _UDP_MOST:
            log.error("audit_message_too_long", octets=len(content))
        else:
            self._connection.send(content)
        if self._was_down:
            log.info("audit_repository_is_back")
        self._failures, self._was_down = 0, False

    def _connect(self) -> socket.socket:
        settings = self.settings
        if settings.tls is None:
            family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_DGRAM)[0][0]
            plain = socket.socket(family, socket.SOCK_DGRAM)
            plain.connect((settings.host, settings.port))
            return plain
        context = current_context("audit.syslog", settings.tls)
        connection = socket.create_connection(
            (settings.host, settings.port), timeout=settings.timeout_s
        )
        # what a firewall forgot must not pass for sent
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_MS)
        name = settings.tls.server_name or settings.host
        try:
            return context.wrap_socket(connection, server_hostname=name)
        except OSError as error:
            connection.close()
            raise PeerUnreachable(
                f"the audit repository {why_no_tls(error, settings.tls)}"
            ) from error

    def _look(self, connection: socket.socket) -> None:
        """A repository says nothing: what can be read is its end."""
        connection.settimeout(0)
        try:
            while connection.recv(4096):
                pass
        except (BlockingIOError, ssl.SSLWantReadError):
            connection.settimeout(self.settings.timeout_s)
            return
        raise ConnectionResetError("closed by the repository")

    def _confirm(self, until: float) -> None:
        position = None
        while self._sent and self._sent[0][0] <= until:
            _, position = self._sent.popleft()
        if position is not None:
            write_position(self.folder, position)

    def _is_acknowledged(self, connection: socket.socket) -> bool:
        """By the repository's system, as far as TCP knows; a datagram is by nobody."""
        if self.settings.tls is None:
            return True
        queued = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(queued, sys.byteorder) == 0

    def _broke(self, error: Exception) -> None:
        self._close()
        self._failures = min(self._failures + 1, 10)
        if not self._was_down:
            reason = str(error) if isinstance(error, PeerUnreachable) else type(error).__name__
            log.warning("audit_repository_unreachable", reason=reason)
        self._was_down = True

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        self._sent.clear()
        if connection is not None:
            with suppress(OSError):
                connection.close()
