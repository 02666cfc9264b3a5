"""Peers that hang, stop reading, are slow or cannot bear an object: nobody else waits for them."""

import threading
import time
from collections.abc import Callable
from typing import Any, Self

import pytest

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.deliver import PeerQueue
from dicom_ai_node.job import JobState
from dicom_ai_node.peers.open import open_peer
from dicom_ai_node.peers.peer import Peer
from dicom_ai_node.spool import Spool
from dicom_ai_node.uids import derived_uid
from tests.delivering import grow, later, made, queue_of, ready, rows, state
from tests.peers.bad_pacs import ABORTS, HANGS, KEEPS, STALLS, BadPacs, Deed
from tests.peers.pacs import Pacs


@pytest.fixture
def to(config: Config, spool: Spool, database: Database) -> Callable[[Pacs], PeerQueue]:
    return lambda pacs: queue_of(pacs, config, spool, database)


class Stopping:
    """A peer's queue that runs in a thread of its own, as in the node."""

    def __init__(self, *queues: PeerQueue) -> None:
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=each.run, args=(self.stop,)) for each in queues]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive()


def wait_until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def impatient(pacs: Pacs, config: Config, answer_s: float) -> Peer:
    """With less patience than its PACS has."""
    return open_peer(pacs.settings.model_copy(update={"timeout_s": answer_s}), config.node)


@pytest.mark.fault("F8")
def test_a_peer_that_hangs_delays_nobody_else(
    spool: Spool, database: Database, config: Config
) -> None:
    job = ready(spool, database, send_to=("pacs", "other"))
    with BadPacs(then=HANGS).running() as hung, BadPacs().running() as well:
        waits = queue_of(impatient(hung, config, 5), config, spool, database)
        goes_on = queue_of(well, config, spool, database, name="other")
        with Stopping(waits, goes_on):
            wait_until(lambda: len(hung.received) == 1 and len(well.kept) == 2)
            later_job = ready(spool, database, "cd" * 32, send_to=("pacs", "other"))
            wait_until(lambda: len(well.kept) == 4)
            assert len(hung.received) == 1  # still at the first
            hung.then = KEEPS
            wait_until(lambda: state(database, later_job) is JobState.DONE)
            wait_until(lambda: state(database, job) is JobState.DONE)
    assert well.kept == hung.kept == made(spool, job, later_job)


@pytest.mark.fault("F8")
def test_what_was_answered_before_the_peer_hung_is_on_record(
    spool: Spool, database: Database, config: Config
) -> None:
    """So that a node that is killed while it waits does not send it again."""
    first, second = ready(spool, database), ready(spool, database, "cd" * 32)
    with BadPacs(deeds=[KEEPS, KEEPS, HANGS]).running() as pacs:
        queue = queue_of(impatient(pacs, config, 5), config, spool, database)
        with Stopping(queue):
            wait_until(lambda: len(pacs.received) == 3)
            assert state(database, first) is JobState.DONE
            assert rows(database, second) == [("seg", "pending", 0), ("sr", "pending", 0)]
            wait_until(lambda: state(database, second) is JobState.DONE)
    assert pacs.kept == made(spool, first, second)
    assert pacs.times[derived_uid(first.key, "seg")] == 1


@pytest.mark.fault("F8")
@pytest.mark.parametrize("hangs", ["at the association", "in the middle of an object"])
def test_a_peer_that_stops_reading_ends_by_our_clock(
    spool: Spool, database: Database, config: Config, to: Callable[[Pacs], PeerQueue], hangs: str
) -> None:
    """A large object fills every buffer on its way, and nobody takes it out."""
    job = ready(spool, database)
    pacs = BadPacs()
    if hangs == "at the association":
        pacs.hangs_at_association = True
    else:
        pacs.deeds = [STALLS]
        grow(spool, database, job, 12_000_000)
    settings = {"timeout_s": 0.5, "connect_timeout_s": 0.5}
    with pacs.running():
        peer = open_peer(pacs.settings.model_copy(update=settings), config.node)
        begun = time.monotonic()
        queue_of(peer, config, spool, database).deliver_due(now=database.now())
        assert time.monotonic() - begun < 10  # though so large an object may take two minutes
        assert rows(database, job)[0] == ("seg", "pending", 1)
    pacs.hangs_at_association = False
    with pacs.running():
        to(pacs).deliver_due(now=later(database))
    assert (state(database, job), pacs.kept) == (JobState.DONE, made(spool, job))


def test_an_object_that_ends_associations_does_not_hold_up_the_others(
    spool: Spool, database: Database, to: Callable[[Pacs], PeerQueue]
) -> None:
    """Two that the PACS cannot bear are the oldest of a backlog, and are tried ever more slowly;
    the peer is not taken for dead as long as it takes the rest."""
    poison = [ready(spool, database, letter * 64) for letter in "ab"]
    good = [ready(spool, database, letter * 64) for letter in "cdef"]
    pacs = Poisoned(bad=frozenset(derived_uid(job.key, "seg") for job in poison))
    now = database.now()
    with pacs.running():
        queue = to(pacs)
        for step in range(200):
            queue.deliver_due(now=now + step * 10)
            if step == 5:
                assert {state(database, job) for job in good} == {JobState.DONE}
    assert [row[:2] for job in poison for row in rows(database, job)] == [
        ("seg", "pending"),
        ("sr", "stored"),
    ] * 2
    assert pacs.associations < 40
    uids = pacs.times
    assert all(uids[derived_uid(job.key, kind)] == 1 for job in good for kind in ("seg", "sr"))


class Poisoned(BadPacs):
    """Aborts at some objects, for ever."""

    def __init__(self, bad: frozenset[str]) -> None:
        super().__init__()
        self.bad = bad

    def _on_store(self, event: Any) -> int:
        if str(event.request.AffectedSOPInstanceUID) in self.bad:
            self.deeds = [ABORTS]
        return super()._on_store(event)


def test_a_slow_line_is_given_time_for_a_large_object(
    spool: Spool, database: Database, config: Config
) -> None:
    """`timeout_s` is for the answer; half a megabyte may take five seconds to get there."""
    job = ready(spool, database)
    grow(spool, database, job, 500_000)
    with BadPacs(deeds=[Deed(after_s=1.5)]).running() as pacs:
        peer = impatient(pacs, config, 0.5)
        queue_of(peer, config, spool, database).deliver_due(now=database.now())
    assert rows(database, job) == [("seg", "stored", 1), ("sr", "stored", 1)]
