"""What the database knows, as metrics: read from tallies, so that a scrape costs the same when the
tables grow."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from prometheus_client.metrics_core import Metric
from sqlalchemy import Connection

from dicom_ai_node.config.peers import FolderPeer
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import alarms, missed, tallies
from dicom_ai_node.database.books import Books
from dicom_ai_node.database.queue import queue
from dicom_ai_node.job import DeliveryState
from dicom_ai_node.observe.family import Row, counter, gauge


def counted(connection: Connection, books: Books, config: Config, *, now: float) -> list[Metric]:
    return [
        *_of_books(books),
        *_of_queue(connection, now),
        *_of_peers(connection, books, config, now),
        _alarms(connection),
    ]


def _of_books(books: Books) -> Iterator[Metric]:
    yield counter(
        "received",
        "Instances that came, by what became of them: stored, duplicate, conflict, refused and "
        "the status.",
        ("answer",),
        _rows(books.received),
    )
    yield gauge(
        "instances",
        "Instances that are here, by the state of their study.",
        ("state",),
        _rows(books.instances_of),
    )
    yield gauge("studies", "Studies that are here, by state.", ("state",), _rows(books.studies))
    yield gauge("jobs", "Jobs, by state.", ("state",), _rows(books.jobs))
    yield gauge(
        "books_balanced",
        "1 while every instance that came is accounted for; 0: run `dicom-ai-node doctor`.",
        (),
        [((), books.balanced)],
    )


def _of_queue(connection: Connection, now: float) -> Iterator[Metric]:
    found = queue(connection, now=now)
    yield gauge(
        "queue_jobs",
        "Jobs that wait for a worker, by priority.",
        ("priority",),
        [((priority.value,), queued.jobs) for priority, queued in found.items()],
    )
    yield gauge(
        "queue_oldest_age_seconds",
        "How long the oldest of them could have been at work, by priority.",
        ("priority",),
        [((priority.value,), queued.age_s) for priority, queued in found.items()],
    )


def _of_peers(connection: Connection, books: Books, config: Config, now: float) -> Iterator[Metric]:
    peers = sorted({*config.peers, *books.waiting, *books.uncommitted})
    yield gauge(
        "deliveries",
        "Objects for a peer, by state; uncommitted: stored, and the peer has not committed to it.",
        ("peer", "state"),
        _deliveries(connection),
    )
    yield gauge(
        "peer_backlog_objects",
        "Objects that wait for a peer.",
        ("peer",),
        [((each,), books.waiting_for.get(each, 0)) for each in peers],
    )
    yield gauge(
        "peer_backlog_oldest_age_seconds",
        "How long the oldest of them has waited.",
        ("peer",),
        [((each,), _age_s(books, each, now)) for each in peers],
    )
    yield gauge(
        "peer_uncommitted_objects",
        "Objects that a peer has stored, and has not committed to.",
        ("peer",),
        [((each,), books.uncommitted.get(each, 0)) for each in peers],
    )
    yield gauge(
        "catch_up_waiting_studies",
        "Studies that never came, and are still to be fetched from a peer.",
        ("peer",),
        [((each,), missed.waiting(connection, each)) for each in _caught_up(config)],
    )


def _deliveries(connection: Connection) -> Iterator[Row]:
    for state in (*DeliveryState, tallies.WITHDRAWN, tallies.UNCOMMITTED):
        for peer, number in tallies.by_peer(connection, state).items():
            yield (peer, str(state)), number


def _age_s(books: Books, peer: str, now: float) -> float:
    waiting = books.waiting.get(peer)
    return max(0.0, now - waiting.since) if waiting is not None and waiting.since else 0.0


def _caught_up(config: Config) -> Collection[str]:
    return [
        name
        for name, peer in config.peers.items()
        if not isinstance(peer, FolderPeer) and peer.catch_up is not None
    ]


def _alarms(connection: Connection) -> Metric:
    found = Counter((each.name, each.severity) for each in alarms.active(connection))
    return gauge(
        "active_alarms",
        "Alarms that have not ended; docs/runbook.md has a heading for each name.",
        ("name", "severity"),
        found.items(),
    )


def _rows(numbers: Mapping[str, int]) -> Iterator[Row]:
    return (((name,), number) for name, number in numbers.items())
