"""A PACS that is down for hours, days or a week, on a clock that the test sets (P8)."""

from collections.abc import Callable

import pytest

from dicom_ai_node import send_now
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries
from dicom_ai_node.database.engine import Database
from dicom_ai_node.deliver import PeerQueue
from dicom_ai_node.job import Job, JobState
from dicom_ai_node.spool import Spool
from tests.database.made import again
from tests.day_without_pacs import day_without, gone
from tests.delivering import made, pass_time, queue_of, ready, rows, state, statuses, told
from tests.peers.bad_pacs import CONGESTED, BadPacs, answers
from tests.peers.pacs import Pacs

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S

To = Callable[[Pacs], PeerQueue]


@pytest.fixture
def to(config: Config, spool: Spool, database: Database) -> To:
    return lambda pacs: queue_of(pacs, config, spool, database)


def all_done(database: Database, jobs: list[Job]) -> Callable[[], bool]:
    return lambda: {state(database, job) for job in jobs} == {JobState.DONE}


@pytest.mark.fault("F1", "F2")
@pytest.mark.slow
def test_a_day_without_the_pacs_is_made_up_for_without_a_hand(
    spool: Spool, database: Database, to: To, config: Config
) -> None:
    """Two hours in which nobody listens, 22 in which it is congested; a result each half hour."""
    pacs = gone()
    day = day_without(pacs, to(pacs), spool, database)
    longest_s = config.delivery.backoff_max_s
    assert day.waiting == day.results == 48
    assert DAY_S / longest_s <= day.attempts < 400
    assert day.drained_s <= longest_s + 10
    assert (day.lost, day.doubled, day.altered) == (0, 0, 0)
    assert day.is_in_order


@pytest.mark.parametrize("config", [{"delivery": {"backoff_max_s": 6 * HOUR_S}}], indirect=True)
def test_what_is_too_old_is_given_up_with_an_alarm_and_goes_out_unchanged_by_a_retry(
    spool: Spool, database: Database, to: To
) -> None:
    """Seven days and a pause after it was made; what is younger still waits."""
    begin = database.now()
    pacs = gone()
    queue = to(pacs)
    old = ready(spool, database, "0" * 64, now=begin)
    young = ready(spool, database, "1" * 64, now=begin + 2 * DAY_S)
    pass_time(queue, begin, begin + 7 * DAY_S, step_s=600, until=lambda: False)
    assert state(database, old) is JobState.READY
    with told() as logs:
        end = begin + 7 * DAY_S + 7 * HOUR_S
        pass_time(queue, begin + 7 * DAY_S, end, step_s=600, until=lambda: False)
    alarms = [each["event"] for each in logs if each["log_level"] == "error"]
    assert alarms == ["object_refused"] * 2
    assert state(database, old) is JobState.UNDELIVERED
    assert statuses(database, old)[0].startswith("given up after its maximal age: PACS at ")
    assert [said for _, said, _ in rows(database, young)] == ["pending"] * 2
    with database.write() as connection:
        assert deliveries.retry(connection, again(connection, old), now=end) == 2
    with pacs.running():
        pass_time(queue, end, end + 8 * HOUR_S, step_s=600, until=all_done(database, [old, young]))
    assert pacs.kept == made(spool, old, young)
    assert set(pacs.times.values()) == {1}


def test_while_the_peer_is_down_one_try_is_one_for_all(
    spool: Spool, database: Database, to: To
) -> None:
    """What waits, what is new, and what a node has that was started meanwhile."""
    now = database.now()
    jobs = [ready(spool, database, letter * 64, now=now) for letter in "abc"]
    pacs = BadPacs(then_refuses=CONGESTED)
    with pacs.running():
        queue = to(pacs)
        queue.deliver_due(now=now)
        assert [rows(database, job)[0][2] for job in jobs] == [1, 1, 1]
        until = queue.contact.until
        new = ready(spool, database, "d" * 64, now=now + 0.5)
        assert queue.deliver_due(now=until - 0.1) == 0
        assert pacs.associations == 1
        restarted = to(pacs)
        assert restarted.deliver_due(now=until - 0.1) == 2  # it has the new result to ask with
        assert restarted.deliver_due(now=until + 0.01) == 0
        assert pacs.associations == 2
        pacs.then_refuses = None
        restarted.deliver_due(now=restarted.contact.until + 0.1)
    assert all_done(database, [*jobs, new])()
    assert pacs.associations == 3


def test_what_waits_is_sent_at_once_when_a_person_says_so(
    spool: Spool, database: Database, to: To
) -> None:
    """The peer is back long before the pause after its last failure is over."""
    now = database.now()
    job = ready(spool, database, "a" * 64, now=now)
    pacs = BadPacs(then_refuses=CONGESTED)
    with pacs.running():
        queue = to(pacs)
        queue.deliver_due(now=now)
        pacs.then_refuses = None
        assert queue.deliver_due(now=now + 0.1) == 0
        send_now.ask(spool, "another")
        assert queue.deliver_due(now=now + 0.1) == 0
        send_now.ask(spool, queue.name)
        assert queue.deliver_due(now=now + 0.1) == 2
    assert all_done(database, [job])()
    assert not send_now.take(spool, queue.name)  # once said, once done


def test_a_clock_that_was_set_back_leaves_nothing_waiting(
    spool: Spool, database: Database, to: To
) -> None:
    """A pause is never longer than the longest, whatever the next time says."""
    job, now = ready(spool, database), database.now()
    with BadPacs(refusals=[CONGESTED]).running() as pacs:
        queue = to(pacs)
        queue.deliver_due(now=now + DAY_S)
        assert queue.deliver_due(now=now) == 2
    assert state(database, job) is JobState.DONE


def test_a_full_pacs_is_not_sent_the_whole_backlog_again_and_again(
    spool: Spool, database: Database, to: To
) -> None:
    """Three objects show that it has no room; when it has, everything goes out, once."""
    begin = database.now()
    jobs = [ready(spool, database, f"{n:064x}", now=begin) for n in range(12)]
    pacs = BadPacs(then=answers(0xA700))
    with pacs.running():
        queue = to(pacs)
        queue.deliver_due(now=begin)
        assert len(pacs.received) == 6  # of three jobs
        pass_time(queue, begin + 10, begin + HOUR_S, until=lambda: False)
        assert len(pacs.received) < 6 + 2 * 40
        assert pacs.kept == {}
        pacs.then = None
        pacs.received.clear()
        end = begin + HOUR_S
        pass_time(queue, end, end + 700, until=all_done(database, jobs))
    assert pacs.kept == made(spool, *jobs)
    assert set(pacs.times.values()) == {1}


@pytest.mark.slow
def test_a_backlog_of_500_goes_out_on_few_associations(
    spool: Spool, database: Database, to: To
) -> None:
    now = database.now()
    jobs = [ready(spool, database, f"{n:064x}", now=now) for n in range(250)]
    with BadPacs().running() as pacs:
        queue = to(pacs)
        pass_time(queue, now + 1, now + 20, step_s=1, until=lambda: len(pacs.kept) == 500)
    assert all_done(database, jobs)()
    assert [uid for uid, _, _ in pacs.received] == list(made(spool, *jobs))
    assert pacs.associations <= 5
