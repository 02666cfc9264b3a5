"""The storage SCP: listens, and gives each connection a thread of its own."""

import errno
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pynetdicom import _config

from dicom_ai_node import metrics
from dicom_ai_node.config.settings import Config, TlsSettings
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.log import get_logger
from dicom_ai_node.receive.admission import Admission
from dicom_ai_node.receive.backlog import Backlog
from dicom_ai_node.receive.commitment import Commitments
from dicom_ai_node.receive.commitment_report import Reports
from dicom_ai_node.receive.connection import Connection, Services
from dicom_ai_node.receive.negotiated import Negotiations
from dicom_ai_node.receive.negotiation import supported_contexts
from dicom_ai_node.receive.space import Space
from dicom_ai_node.receive.store import Store
from dicom_ai_node.spool import Spool

if TYPE_CHECKING:
    from dicom_ai_node.receive.tls import Tls

log = get_logger(__name__)

_BACKLOG = 128
_CLOSED = (errno.EBADF, errno.EINVAL)  # by our own stop
_IDLE_AT_STOP_S = 1.0  # an association between two messages is not waited for longer
_DAY_S = 86_400
_BEAT_S = 1.0  # how often a listener says that it listens, whoever comes
_AGAIN_S = 0.2  # after the system had no descriptor or thread left for a connection


@dataclass(slots=True)
class _Connections:
    """Those that are open, for the stop."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    open: set[Connection] = field(default_factory=set)

    def all(self) -> list[Connection]:
        with self.lock:
            return list(self.open)


def _read_certificates(settings: TlsSettings) -> "Tls":
    from dicom_ai_node.receive.tls import Tls  # brings `cryptography`: 10 MB

    return Tls(settings)


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    """A listening socket; `shared` lets the other receive processes listen there too."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.settimeout(_BEAT_S)
    except OSError:
        listener.close()
        raise
    return listener


class Receiver:
    """A storage SCP on one address; `draining` refuses new associations until the process ends.

    It listens on a port without TLS, on one with, or on both.
    """

    def __init__(self, config: Config, spool: Spool, database: Database) -> None:
        """Raises ConfigError when the files of node.tls cannot be used."""
        self.config = config
        self.tls_port: int | None = None  # while it listens
        self._tls = _read_certificates(config.node.tls) if config.node.tls is not None else None
        self.draining = threading.Event()
        self._admission = Admission(config)
        space = Space((spool.root, database.path.parent), config.limits)
        is_alone = config.node.receive_processes == 1
        store = Store(spool, database, config.limits, space, is_alone=is_alone)
        self._services = Services(
            config=config,
            admission=self._admission,
            negotiations=Negotiations(
                supported_contexts(config.node), max_pdu=config.limits.pdu_bytes
            ),
            store=store,
            commitments=Commitments(
                spool, database, store.ledger, config.peers.values(), is_alone=is_alone
            ),
            reports=Reports.of(config, database),
            space=space,
            backlog=Backlog(database, limit=config.limits.waiting_studies),
            draining=self.draining,
        )
        self._connections = _Connections()
        self._listeners: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> int:
        """Listen, and return the port (that with TLS, where there is no other)."""
        # values from the wire stay out of pynetdicom's messages, and odd UIDs are ours to judge
        _config.LOG_HANDLER_LEVEL = "none"
        _config.ENFORCE_UID_CONFORMANCE = False
        self._services.store.start()
        self._services.commitments.start()
        node = self.config.node
        ports = []
        if node.port is not None:
            ports.append(self._listen("node.port", node.port, None))
        if self._tls is not None and node.tls is not None:
            self.tls_port = self._listen("node.tls.port", node.tls.port, self._tls)
            ports.append(self.tls_port)
            self._begin_watch(self._tls)
        log.info(
            "receiver_listening",
            host=node.host,
            ports=ports,
            tls_port=self.tls_port,
            ae_titles=list(node.ae_title),
        )
        return ports[0]

    def reload(self) -> None:
        """Read the certificates again, for the associations to come."""
        if self._tls is not None:
            self._tls.reload()

    def _begin_watch(self, tls: "Tls") -> None:
        """Now and once a day: are certificates about to expire?"""

        def watch() -> None:
            tls.say_expiry(datetime.now(UTC))
            while not self.draining.wait(_DAY_S):
                tls.say_expiry(datetime.now(UTC))

        threading.Thread(target=watch, name="certificates", daemon=True).start()

    def _listen(self, key: str, port: int, tls: "Tls | None") -> int:
        node = self.config.node
        try:
            listener = _bound(node.host, port, shared=node.receive_processes > 1)
        except OSError as error:
            raise ConfigError(
                f"node.host {node.host}, {key} {port} cannot be used ({error.strerror}): "
                "choose another port, or stop the program that has it"
            ) from None
        self._listeners.append(listener)
        thread = threading.Thread(
            target=self._accept, args=(key, listener, tls), name=key, daemon=True
        )
        self._threads.append(thread)
        thread.start()
        return int(listener.getsockname()[1])

    def _accept(self, key: str, listener: socket.socket, tls: "Tls | None") -> None:
        """Nothing here waits for a peer: what a connection costs, its own thread pays."""
        beat = metrics.beat("receive", key)
        while True:
            beat()
            try:
                accepted, address = listener.accept()
            except TimeoutError:
                continue
            except OSError as error:
                if error.errno in _CLOSED:
                    return
                self._admission.complain("connection_not_accepted", "", errno=error.errno)
                time.sleep(_AGAIN_S)  # out of descriptors: others may close theirs
                continue
            self._begin(accepted, str(address[0]), tls)

    def _begin(self, accepted: socket.socket, address: str, tls: "Tls | None") -> None:
        if not self._admission.connect(address):
            accepted.close()
            return
        context = None if tls is None else tls.context
        connection = Connection(accepted, address, self._services, context)
        with self._connections.lock:
            self._connections.open.add(connection)
        thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # out of threads
            self._admission.complain("connection_not_accepted", address)
            self._forget(connection)
            accepted.close()

    def _serve(self, connection: Connection) -> None:
        try:
            connection.serve()
        finally:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        with self._connections.lock:
            self._connections.open.discard(connection)
        self._admission.disconnect()

    def stop(self) -> None:
        """Refuse new associations, let objects under way finish within `drain_s`, then abort.

        A connection that never became an association is not waited for.
        """
        self.draining.set()
        deadline = time.monotonic() + self.config.node.drain_s
        while time.monotonic() < deadline:
            waited_for = [
                connection
                for connection in self._connections.all()
                if connection.is_busy(idle_s=_IDLE_AT_STOP_S)
            ]
            if not waited_for:
                break
            time.sleep(0.02)
        for listener in self._listeners:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in self._threads:  # what they accepted meanwhile is among those to abort
            thread.join(timeout=5)
        for connection in self._connections.all():
            connection.abort()
        self._wait_for_end()
        self._services.commitments.stop()
        self._services.store.stop()

    def _wait_for_end(self) -> None:
        deadline = time.monotonic() + 5
        while self._connections.all() and time.monotonic() < deadline:
            time.sleep(0.01)

    @contextmanager
    def running(self) -> Iterator[int]:
        try:
            yield self.start()
        finally:
            self.stop()
