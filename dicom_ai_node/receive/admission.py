"""Who may connect, who may associate, and how many at once (P15, P17; PS3.8 Table 9-21)."""

import math
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address

from dicom_ai_node import metrics
from dicom_ai_node.config.settings import AcceptEntry, Config
from dicom_ai_node.log import get_logger

log = get_logger(__name__)

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

# A-ASSOCIATE-RJ (PS3.8 9.3.4): result, source, diagnostic
Reason = tuple[int, int, int]
APPLICATION_CONTEXT_UNKNOWN = (1, 1, 2)
CALLING_AE_UNKNOWN = (1, 1, 3)
CALLED_AE_UNKNOWN = (1, 1, 7)
PROTOCOL_VERSION_UNKNOWN = (1, 2, 2)
TEMPORARY_CONGESTION = (2, 3, 1)
TOO_MANY_ASSOCIATIONS = (2, 3, 2)
IN_WORDS: Mapping[Reason, str] = {
    APPLICATION_CONTEXT_UNKNOWN: "application_context_unknown",
    CALLING_AE_UNKNOWN: "calling_ae_unknown",
    CALLED_AE_UNKNOWN: "called_ae_unknown",
    PROTOCOL_VERSION_UNKNOWN: "protocol_version_unknown",
    TEMPORARY_CONGESTION: "temporary_congestion",
    TOO_MANY_ASSOCIATIONS: "too_many_associations",
}

_BURST_S = 5  # so many seconds' worth of connections may come at once
_COMPLAIN_EVERY_S = 60
_MAX_REMEMBERED = 10_000  # addresses


class Rejected(Exception):
    """The association is refused with this reason."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Admission:
    """Counts connections and associations of one process against the limits."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._limits = config.limits
        self._lock = threading.Lock()
        self._connections = 0
        self._associations: Counter[int] = Counter()  # by entry of `accept`
        self._allowance: dict[str, tuple[float, float]] = {}  # address: tokens, when
        self._complained: dict[tuple[str, str], float] = {}

    def connect(self, address: str) -> bool:
        """Count a connection in, or turn it away without a word; `disconnect()` counts it out."""
        if not any(_is_from(entry, address) for entry in self._config.accept):
            metrics.CONNECTIONS_REFUSED.labels("stranger").inc()
            self.complain("connection_from_stranger", address)
            return False
        with self._lock:
            if self._connections >= self._limits.connections:
                refused, limit = "too_many_connections", "connections"
            elif not self._may_come(address):
                refused, limit = "connections_too_fast", "connections_per_s"
            else:
                self._connections += 1
                return True
        metrics.CONNECTIONS_REFUSED.labels(refused).inc()
        metrics.LIMITS_BREACHED.labels(limit).inc()
        self.complain(refused, address)
        return False

    def disconnect(self) -> None:
        with self._lock:
            self._connections -= 1

    def _may_come(self, address: str) -> bool:
        """A bucket of tokens for each address."""
        now = time.monotonic()
        rate = self._limits.connections_per_s
        full = max(1.0, rate * _BURST_S)
        if len(self._allowance) > _MAX_REMEMBERED:
            self._allowance.clear()
        tokens, since = self._allowance.get(address, (full, now))
        tokens = min(full, tokens + (now - since) * rate)
        allowed = tokens >= 1
        self._allowance[address] = (tokens - 1 if allowed else tokens, now)
        return allowed

    @contextmanager
    def admitted(
        self, *, calling: str | None, called: str | None, address: str, certificate: frozenset[str]
    ) -> Iterator[AcceptEntry]:
        """The entry under which this peer associates, counted; raises Rejected.

        Title, address and certificate must stand in one entry (P15). `certificate` holds its names;
        without TLS there are none, and then an entry that has any is not for this connection.
        """
        index = next(
            (
                index
                for index, entry in enumerate(self._config.accept)
                if entry.ae_title == calling
                and _is_from(entry, address)
                and _shows(entry, certificate)
            ),
            None,
        )
        if index is None:
            raise Rejected(CALLING_AE_UNKNOWN)
        if called not in self._config.node.ae_title:
            raise Rejected(CALLED_AE_UNKNOWN)
        with self._lock:
            limit = self._limit_reached(index)
            if limit is None:
                self._associations[index] += 1
        if limit is not None:
            metrics.LIMITS_BREACHED.labels(limit).inc()
            raise Rejected(TOO_MANY_ASSOCIATIONS)
        try:
            yield self._config.accept[index]
        finally:
            with self._lock:
                self._associations[index] -= 1

    def _limit_reached(self, index: int) -> str | None:
        """The key under `limits` that lets no further association of this entry in."""
        if self._associations.total() >= self._limits.associations:
            return "associations"
        if self._associations[index] >= self._limits.associations_per_peer:
            return "associations_per_peer"
        return None

    def complain(self, event: str, address: str, **fields: object) -> None:
        """Log it, once a minute for each address: a flood must not fill the log, too."""
        now = time.monotonic()
        with self._lock:
            if now - self._complained.get((event, address), -math.inf) < _COMPLAIN_EVERY_S:
                return
            if len(self._complained) > _MAX_REMEMBERED:
                self._complained.clear()
            self._complained[event, address] = now
        log.warning(event, address=address, **fields)


def _is_from(entry: AcceptEntry, address: str) -> bool:
    where = ip_address(address)
    if isinstance(where, IPv6Address) and where.ipv4_mapped:
        where = where.ipv4_mapped  # how an IPv4 peer looks to a socket that listens on ::
    return any(where in network for network in entry.from_)


def _shows(entry: AcceptEntry, certificate: frozenset[str]) -> bool:
    return bool(certificate.intersection(entry.certificate)) or not (
        certificate or entry.certificate
    )
