"""From the outbox to each peer, whatever the peer says."""

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydicom.uid import UID, ExplicitVRLittleEndian, SegmentationStorage

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, jobs, waiting
from dicom_ai_node.database.engine import Database
from dicom_ai_node.deliver import PeerQueue
from dicom_ai_node.header import data_of
from dicom_ai_node.job import DeliveryState, JobState
from dicom_ai_node.peers.peer import Offer, Peer, StoreOutcome
from dicom_ai_node.spool import Spool
from dicom_ai_node.uids import derived_uid
from tests.database.made import again
from tests.delivering import KINDS, later, queue_of, ready, rows, state
from tests.peers.pacs import Pacs

DAY_S = 86_400


@pytest.fixture
def queue(config: Config, spool: Spool, database: Database) -> Callable[[Peer], PeerQueue]:
    return lambda peer: queue_of(peer, config, spool, database)


@pytest.fixture
def to(config: Config, spool: Spool, database: Database) -> Callable[[Pacs], PeerQueue]:
    return lambda pacs: queue_of(pacs, config, spool, database)


def test_what_is_ready_is_sent_once(spool: Spool, database: Database, to: Any) -> None:
    job = ready(spool, database)
    with Pacs().running() as pacs:
        assert to(pacs).deliver_due(now=database.now()) == 2
        assert to(pacs).deliver_due(now=later(database)) == 0
    assert rows(database, job) == [("seg", "stored", 1), ("sr", "stored", 1)]
    assert state(database, job) is JobState.DONE
    assert [uid for uid, _, _ in pacs.received] == [
        derived_uid(job.key, "seg"),
        derived_uid(job.key, "sr"),
    ]


def test_one_refused_object_does_not_stop_the_other(
    spool: Spool, database: Database, to: Any
) -> None:
    def answer(sop_class: UID) -> int:
        return 0xC000 if sop_class == SegmentationStorage else 0x0000

    job = ready(spool, database)
    with Pacs(answer=answer).running() as pacs:
        to(pacs).deliver_due(now=database.now())
    assert rows(database, job) == [("seg", "refused", 1), ("sr", "stored", 1)]
    assert state(database, job) is JobState.UNDELIVERED


def test_a_full_pacs_gets_the_same_bytes_when_it_has_room(
    spool: Spool, database: Database, to: Any
) -> None:
    job = ready(spool, database)
    answers = iter([0xA700, 0x0000, 0x0000])
    with Pacs(answer=lambda _: next(answers)).running() as pacs:
        to(pacs).deliver_due(now=database.now())
        assert rows(database, job) == [("seg", "pending", 1), ("sr", "stored", 1)]
        assert to(pacs).deliver_due(now=database.now()) == 0  # not yet
        assert to(pacs).deliver_due(now=later(database)) == 1
    assert state(database, job) is JobState.DONE
    first, _, second = pacs.received
    assert first == second


@pytest.mark.fault("F7")
def test_an_aborted_association_is_taken_up_where_it_broke(
    spool: Spool, database: Database, to: Any
) -> None:
    job = ready(spool, database)
    with Pacs(abort_after=1).running() as pacs:
        to(pacs).deliver_due(now=database.now())
        assert rows(database, job) == [("seg", "stored", 1), ("sr", "pending", 1)]
        pacs.abort_after = None
        to(pacs).deliver_due(now=later(database))
    assert state(database, job) is JobState.DONE
    assert [uid for uid, _, _ in pacs.received] == [
        derived_uid(job.key, "seg"),
        derived_uid(job.key, "sr"),
    ]


def test_a_pacs_that_was_down_gets_everything_oldest_first(
    spool: Spool, database: Database, to: Any
) -> None:
    made = [ready(spool, database, letter * 64) for letter in "cab"]
    with Pacs().running() as pacs:
        pass
    assert to(pacs).deliver_due(now=database.now()) == 6
    assert {state(database, job) for job in made} == {JobState.READY}
    pacs.syntaxes = [ExplicitVRLittleEndian]
    with pacs.running():
        assert to(pacs).deliver_due(now=later(database)) == 6
    assert {state(database, job) for job in made} == {JobState.DONE}
    expected = [derived_uid(job.key, kind) for job in made for kind in ("seg", "sr")]
    assert [uid for uid, _, _ in pacs.received] == expected
    for job in made:
        for path in sorted(spool.outbox_path(job.key).iterdir()):
            assert data_of(path.read_bytes()) in [data for _, _, data in pacs.received]


class Told:
    """A peer of which only the outcome matters."""

    def __init__(self, outcome: StoreOutcome | Exception) -> None:
        self.outcome = outcome

    def store(self, offers: Sequence[Offer]) -> Sequence[Sequence[StoreOutcome]]:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return [[self.outcome] * len(offer.paths) for offer in offers]


NOT_NOW = StoreOutcome(state=DeliveryState.PENDING, status="A700")


def test_a_bug_is_no_reason_to_lose_an_object(spool: Spool, database: Database, queue: Any) -> None:
    job = ready(spool, database)
    queue(Told(ValueError("Phantom^Left"))).deliver_due(now=database.now())
    assert rows(database, job) == [("seg", "pending", 1), ("sr", "pending", 1)]
    with database.read() as connection:
        (status, *_) = [row["status"] for row in deliveries.of_job(connection, job.id)]
    assert status.startswith("ValueError at ")
    assert "Phantom" not in status


def test_an_object_is_given_up_after_its_maximal_age(
    spool: Spool, database: Database, queue: Any, config: Config
) -> None:
    job = ready(spool, database)
    with database.write() as connection:
        created_at = database.now() - config.delivery.max_age_days * DAY_S - 60
        connection.exec_driver_sql("UPDATE delivery SET created_at = ?", (created_at,))
    queue(Told(NOT_NOW)).deliver_due(now=database.now())
    assert rows(database, job) == [("seg", "refused", 1), ("sr", "refused", 1)]
    assert state(database, job) is JobState.UNDELIVERED


def test_the_pause_doubles_up_to_its_maximum(queue: Any, config: Config) -> None:
    pauses = [queue(Told(NOT_NOW)).backoff_s(tries) for tries in (0, 1, 2, 3, 50, 10_000)]
    for pause, longest in zip(pauses, (2, 4, 8, 16, 300, 300), strict=True):
        assert longest / 2 <= pause <= longest
    assert config.delivery.backoff_max_s == 300


def test_the_next_time_is_stored(spool: Spool, database: Database, queue: Any) -> None:
    """So that a restart does not start knocking again (P8)."""
    job = ready(spool, database)
    now = database.now()
    for tries in range(3):
        queue(Told(NOT_NOW)).deliver_due(now=now)
        with database.read() as connection:
            row, _ = deliveries.of_job(connection, job.id)
        assert row["tries"] == tries + 1
        assert 2**tries <= row["next_try_at"] - now <= 2 ** (tries + 1) + 1
        now = row["next_try_at"]


def test_the_queue_of_one_peer_does_not_touch_another(
    spool: Spool, database: Database, queue: Any
) -> None:
    job = ready(spool, database)
    other = replace(queue(Told(NOT_NOW)), name="archive")
    assert other.deliver_due(now=later(database)) == 0
    assert rows(database, job) == [("seg", "pending", 0), ("sr", "pending", 0)]


def test_results_of_a_cancelled_job_stay_here(spool: Spool, database: Database, to: Any) -> None:
    job = ready(spool, database)
    with database.write() as connection:
        jobs.move(connection, job, JobState.CANCELLED, now=database.now(), why="operator")
    with Pacs().running() as pacs:
        assert to(pacs).deliver_due(now=later(database)) == 0
    assert pacs.received == []


def test_what_is_cancelled_while_another_job_is_sent_stays_here(
    spool: Spool, database: Database, to: Any
) -> None:
    """All that is due is read at once; the peer takes its time over the first of it."""
    first, *others, last = (ready(spool, database, letter * 64) for letter in "abcdef")

    def answer(_: UID) -> int:
        for job in others:
            if state(database, job) is JobState.READY:
                with database.write() as connection:
                    jobs.move(connection, job, JobState.CANCELLED, now=database.now(), why="-")
        return 0x0000

    with Pacs(answer=answer).running() as pacs:
        queue = to(pacs)
        queue.deliver_due(now=database.now())
    sent = [derived_uid(job.key, kind) for job in (first, last) for kind in KINDS]
    assert [uid for uid, _, _ in pacs.received] == sent
    assert state(database, last) is JobState.DONE
    for job in others:
        assert rows(database, job) == [("seg", "pending", 0), ("sr", "pending", 0)]
    assert not queue.contact.suspects  # it was not the peer


def test_what_is_given_up_for_a_peer_while_another_job_is_sent_stays_here(
    spool: Spool, database: Database, to: Any
) -> None:
    """Its job goes on: somebody else waits for it, too."""
    first = ready(spool, database, "a" * 64)
    both = ready(spool, database, "b" * 64, send_to=("pacs", "archive"))

    def answer(_: UID) -> int:
        with database.write() as connection:
            waiting.give_up(connection, "pacs", [both.id], now=database.now())
        return 0x0000

    with Pacs(answer=answer).running() as pacs:
        to(pacs).deliver_due(now=database.now())
    assert [uid for uid, _, _ in pacs.received] == [derived_uid(first.key, each) for each in KINDS]
    assert state(database, both) is JobState.READY


def test_a_cancelled_result_in_a_form_that_its_peer_does_not_take_stays_here(
    config: Config, spool: Spool, database: Database, to: Any
) -> None:
    """Nor is another form of it sent instead."""
    first, other = ready(spool, database, "a" * 64), ready(spool, database, "b" * 64)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE delivery SET rungs = '[1]'")
        connection.exec_driver_sql(
            "INSERT INTO delivery (job_id, peer, kind, sop_instance_uid, file, rungs, sha256, "
            "state, tries, next_try_at, created_at, sop_class_uid, series_instance_uid, forgotten,"
            " wants_commitment) SELECT job_id, peer, kind, sop_instance_uid || '.1', file, '[2]', "
            "sha256, 'spare', 0, next_try_at, created_at, sop_class_uid, series_instance_uid, 0, 0 "
            "FROM delivery"
        )

    def answer(_: UID) -> int:
        if state(database, other) is JobState.READY:
            with database.write() as connection:
                jobs.move(connection, again(connection, other), JobState.CANCELLED, now=1, why="-")
        return 0x0000

    with Pacs(answer=answer).running() as pacs:
        to(pacs).deliver_due(now=database.now())
    assert [uid for uid, _, _ in pacs.received] == [derived_uid(first.key, each) for each in KINDS]
    assert {(said, tries) for _, said, tries in rows(database, other)} == {
        ("pending", 0),
        ("spare", 0),
    }


def test_an_outbox_that_is_gone_is_an_alarm_and_not_a_loop(
    spool: Spool, database: Database, to: Any
) -> None:
    lost, kept = ready(spool, database, "a" * 64), ready(spool, database, "b" * 64)
    shutil.rmtree(spool.outbox_path(lost.key))
    with Pacs().running() as pacs:
        to(pacs).deliver_due(now=database.now())
    assert state(database, lost) is JobState.UNDELIVERED
    assert state(database, kept) is JobState.DONE


def run_until(queue: PeerQueue, done: Callable[[], bool], meanwhile: Callable[[], None]) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=queue.run, args=(stop,))
    thread.start()
    try:
        meanwhile()
        deadline = time.monotonic() + 20
        while not done() and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        stop.set()
        thread.join()


def test_the_queue_outlives_trouble_with_the_database(
    spool: Spool, database: Database, to: Any
) -> None:
    job = ready(spool, database)

    def rename(before: str, after: str) -> None:
        with database.write() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {before} RENAME TO {after}")

    def mend() -> None:
        time.sleep(0.4)
        rename("aside", "delivery")

    with Pacs().running() as pacs:
        rename("delivery", "aside")
        run_until(to(pacs), lambda: state(database, job) is JobState.DONE, mend)
    assert state(database, job) is JobState.DONE
    assert len(pacs.received) == 2


def test_what_was_altered_after_it_was_made_is_never_sent(
    spool: Spool, database: Database, to: Callable[[Pacs], PeerQueue]
) -> None:
    """Nor what refers to it; the next result is, and a retry does not help."""
    bad, good = ready(spool, database), ready(spool, database, "cd" * 32)
    path = next(iter(sorted(spool.outbox_path(bad.key).glob("*.dcm"))))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with Pacs().running() as pacs:
        queue = to(pacs)
        queue.deliver_due(now=database.now())
        assert len(pacs.received) == 2
        assert state(database, good) is JobState.DONE
        assert state(database, bad) is JobState.UNDELIVERED
        with database.write() as connection:
            deliveries.retry(connection, again(connection, bad), now=database.now())
        queue.deliver_due(now=database.now())
        assert len(pacs.received) == 2
    assert {(kind, said) for kind, said, _ in rows(database, bad)} == {
        ("seg", "refused"),
        ("sr", "refused"),
    }


def test_files_are_read_only_once_the_peer_is_there(
    spool: Spool, database: Database, to: Callable[[Pacs], PeerQueue]
) -> None:
    """One that is down for days is tried every few minutes, with all that waits for it: gigabytes.
    So an altered object is found out when it would be sent."""
    job = ready(spool, database)
    (path, *_) = sorted(spool.outbox_path(job.key).glob("*.dcm"))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    pacs = Pacs()
    with pacs.running():
        queue = to(pacs)
    queue.deliver_due(now=database.now())
    assert [said for _, said, _ in rows(database, job)] == ["pending", "pending"]
    with pacs.running():
        queue.deliver_due(now=later(database))
    assert [said for _, said, _ in rows(database, job)] == ["refused", "refused"]
    assert pacs.received == []
