"""What each address of the port answers."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import DatabaseError

from dicom_ai_node import __version__
from dicom_ai_node.database.books import Books, books
from dicom_ai_node.draining import is_draining
from dicom_ai_node.observe.counted import counted
from dicom_ai_node.observe.kept import heartbeats, kept
from dicom_ai_node.observe.observed import Observed
from dicom_ai_node.observe.ready import not_ready
from dicom_ai_node.observe.surroundings import Certificates, surroundings

_TEXT = "text/plain; charset=utf-8"
_NO_DATABASE = "the database does not answer\n"
_ROOT = f"""dicom_ai_node {__version__}: for machines; what is for people is on the web page.
/metrics        for Prometheus
/health/live    the process answers
/health/ready   studies can come, and are worked on; else 503, and why not
/status.json    the books
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: HTTPStatus = HTTPStatus.OK
    kind: str = _TEXT
    body: bytes


@dataclass(frozen=True, slots=True)
class Answers:
    """To GET; nothing here names a patient (P20)."""

    observed: Observed
    certificates: Certificates = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "certificates", Certificates(self.observed.config))

    def to(self, path: str) -> Answer:
        match path:
            case "/":
                return _text(_ROOT)
            case "/health/live":
                return _text("alive\n")
            case "/health/ready":
                return self._ready()
            case "/status.json":
                return self._status()
            case "/metrics":
                return self._metrics()
        return _text("not found\n", HTTPStatus.NOT_FOUND)

    def _ready(self) -> Answer:
        problems = [each for each in self._parts(self._books()).values() if each]
        if not problems:
            return _text("ready\n")
        body = "".join(f"{each}\n" for each in problems)
        return _text(body, HTTPStatus.SERVICE_UNAVAILABLE)

    def _status(self) -> Answer:
        found = self._books()
        if found is None:
            return _text(_NO_DATABASE, HTTPStatus.SERVICE_UNAVAILABLE)
        status = {**found.as_dict(), "draining": is_draining(self.observed.spool)}
        return Answer(kind="application/json", body=json.dumps(status).encode())

    def _metrics(self) -> Answer:
        metrics = list(self.metrics())
        return Answer(kind=CONTENT_TYPE_LATEST, body=generate_latest(_Listed(metrics)))

    def metrics(self) -> Iterable[Metric]:
        """What cannot be read is left out: the others are then needed the more."""
        observed, now = self.observed, self.observed.database.now()
        found = self._books()
        yield from surroundings(observed, self._parts(found), self.certificates)
        yield from kept(observed.spool.metrics)
        if found is not None:
            try:
                with observed.database.read() as connection:
                    yield from counted(connection, found, observed.config, now=now)
            except DatabaseError:
                return

    def _parts(self, found: Books | None) -> Mapping[str, str]:
        return not_ready(
            self.observed,
            heartbeats(self.observed.spool.metrics),
            database_answers=found is not None,
            now=time.time(),
        )

    def _books(self) -> Books | None:
        """None while the database does not answer."""
        try:
            with self.observed.database.read() as connection:
                return books(connection)
        except DatabaseError:
            return None


class _Listed(Collector):
    """What a registry is asked for, already made."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _text(body: str, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Answer(status=status, body=body.encode())
