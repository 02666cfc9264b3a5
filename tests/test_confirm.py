"""What a PACS has said that it stored is not delivered before it has committed to it."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text

from dicom_ai_node.config.settings import Config
from dicom_ai_node.confirm import forget_others
from dicom_ai_node.database import commitment_requests, deliveries, jobs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.tables import commitment_request
from dicom_ai_node.job import JobState
from dicom_ai_node.spool import Spool
from dicom_ai_node.uids import is_uid
from tests.confirming import COMMITTED, PENDING, REFUSED, STORED, Site, SiteOf, site
from tests.delivering import told
from tests.peers.committing import CommittingPacs

HOUR_S, DAY_S = 3600.0, 86_400.0


@pytest.fixture
def at(config: Config, spool: Spool, database: Database) -> SiteOf:
    def make(pacs: CommittingPacs, **changes: Any) -> Site:
        return site(config, spool, database, pacs, **changes)

    return make


def requests(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        query = select(commitment_request.c.transaction_uid, commitment_request.c.state)
        return [(uid, state) for uid, state in connection.execute(query.order_by("id"))]


def test_a_job_is_done_when_its_peer_has_committed_to_everything(
    at: SiteOf, database: Database
) -> None:
    with CommittingPacs().running() as pacs:
        here = at(pacs)
        job = here.ready()
        assert here.send() == 2
        assert here.rows(job) == {"seg": (STORED, "0000"), "sr": (STORED, "0000")}
        assert here.state(job) is JobState.READY
        assert here.ask() == 2
        assert here.ask(after=2 * HOUR_S) == here.send(after=2 * HOUR_S) == 0
    assert here.states(job) == {COMMITTED}
    assert here.state(job) is JobState.DONE
    ((uid, asked),) = pacs.requests
    assert asked.keys() == pacs.held
    assert uid.startswith("2.25.")
    assert is_uid(uid)
    assert requests(database) == [(uid, "answered")]
    assert pacs.statuses == [0x0000]


def test_many_objects_are_one_request_and_no_two_requests_have_one_transaction(
    at: SiteOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitment_requests, "AT_ONCE", 6)
    with CommittingPacs().running() as pacs:
        here = at(pacs)
        every = [here.ready(f"job {number}") for number in range(4)]
        here.send()
        assert [here.ask(), here.ask(), here.ask()] == [6, 2, 0]
    assert {here.state(job) for job in every} == {JobState.DONE}
    assert [len(asked) for _, asked in pacs.requests] == [6, 2]
    assert len({uid for uid, _ in pacs.requests}) == 2


def test_the_request_is_in_the_table_before_the_peer_has_it(at: SiteOf, database: Database) -> None:
    seen = []
    with CommittingPacs().running() as pacs:
        pacs.on_request = lambda: seen.extend(requests(database))
        here = at(pacs)
        here.ready()
        here.send()
        here.ask()
    assert seen == [(pacs.requests[0][0], "asking")]


@pytest.mark.fault("F9")
def test_what_was_stored_and_forgotten_is_found_and_sent_again_unchanged(at: SiteOf) -> None:
    with CommittingPacs().running() as pacs:
        here = at(pacs)
        job = here.ready()
        here.send()
        (forgotten, first) = pacs.came[0]
        pacs.held.discard(forgotten)
        here.ask()
        states = here.rows(job)
        assert states["seg"] == (PENDING, "not committed: 0112 no such object instance")
        assert states["sr"] == (COMMITTED, "0000")
        assert here.state(job) is JobState.READY
        assert here.send() == 0  # it may take its time to have what it took
        assert here.send(after=11) == 1
        assert here.ask(after=11) == 1
        good = here.ready("another")
        here.send()
        here.ask()
    assert pacs.came[2] == (forgotten, first)
    assert len(pacs.came) == 5
    assert here.states(job) == here.states(good) == {COMMITTED}
    assert here.state(job) is here.state(good) is JobState.DONE


@pytest.mark.fault("F9")
def test_a_pacs_that_forgets_always_ends_in_an_alarm_and_not_in_a_loop(
    at: SiteOf, database: Database
) -> None:
    with told() as logs, CommittingPacs(reason=lambda _: 0x0112).running() as pacs:
        here = at(pacs)
        job = here.ready()
        for round_ in range(20):
            here.send(after=round_ * HOUR_S)
            here.ask(after=round_ * HOUR_S)
        assert len(pacs.came) == 2 * 5
        assert len(pacs.requests) == 5
        seg = here.rows(job)["seg"]
        assert seg[0] == REFUSED
        assert seg[1].startswith("not committed: 0112 no such object instance, 5 times")
        assert here.state(job) is JobState.UNDELIVERED
        alarms = [each["event"] for each in logs if each["log_level"] == "error"]
        assert "object_not_committed" in alarms
        pacs.reason = None  # somebody has seen to it
        with database.write() as connection:
            found = jobs.find(connection, job.id)
            assert found is not None
            deliveries.retry(connection, found, now=database.now())
        here.send()
        here.ask()
    assert here.state(job) is JobState.DONE


@pytest.mark.parametrize("reason", [0x0119, 0x0122, 0x0131, 0x4242])
def test_what_no_sending_cures_is_an_alarm(at: SiteOf, reason: int) -> None:
    with CommittingPacs(reason=lambda _: reason).running() as pacs:
        here = at(pacs)
        job = here.ready()
        here.send()
        here.ask()
        assert here.send(after=HOUR_S) == here.ask(after=HOUR_S) == 0
    assert here.states(job) == {REFUSED}
    assert here.state(job) is JobState.UNDELIVERED
    assert f"{reason:04X}" in here.rows(job)["seg"][1]


@pytest.mark.fault("F11")
def test_a_pacs_that_keeps_it_under_another_uid_is_found_out_and_makes_no_double_here(
    at: SiteOf,
) -> None:
    """It has renumbered the SEG when it came, and knows nothing of ours."""
    with CommittingPacs().running() as pacs:
        here = at(pacs)
        job = here.ready()
        renumbered = "2.25.4242"
        for round_ in range(20):
            here.send(after=round_ * HOUR_S)
            if (seg := pacs.came[0][0]) in pacs.held:
                pacs.held = (pacs.held - {seg}) | {renumbered}
            here.ask(after=round_ * HOUR_S)
        state, status = here.rows(job)["seg"]
        assert (state, here.rows(job)["sr"][0]) == (REFUSED, COMMITTED)
        assert "no such object instance" in status
        good = here.ready("another")
        here.send()
        here.ask()
    assert here.state(job) is JobState.UNDELIVERED
    assert here.state(good) is JobState.DONE
    assert {uid for uid, _ in pacs.came[:-2]} == {seg, *pacs.held} - {
        renumbered,
        *(uid for uid, _ in pacs.came[-2:]),
    }  # each time the same object
    assert len({content for uid, content in pacs.came if uid == seg}) == 1


def test_without_a_report_it_is_asked_anew_and_nothing_is_sent_twice(
    at: SiteOf, database: Database
) -> None:
    with CommittingPacs(silent=True).running() as pacs:
        here = at(pacs, answer_s=100, stay_s=0.1)
        job = here.ready()
        here.send()
        assert here.ask() == 2
        assert here.ask(after=99) == 0
        assert here.ask(after=101) == 2
        assert here.send(after=101) == 0
        assert here.state(job) is JobState.READY
        pacs.silent = False
        assert here.ask(after=300) == 2
    assert here.state(job) is JobState.DONE
    assert len(pacs.came) == 2
    assert [state for _, state in requests(database)] == ["expired", "expired", "answered"]


def test_what_is_never_committed_is_given_up_after_its_maximal_age(at: SiteOf) -> None:
    with CommittingPacs(silent=True).running() as pacs:
        here = at(pacs, answer_s=100, stay_s=0.1)
        job = here.ready()
        here.send()
        here.ask()
        here.ask(after=7.1 * DAY_S)
    status = "given up after its maximal age: stored, and never committed"
    assert set(here.rows(job).values()) == {(REFUSED, status)}
    assert here.state(job) is JobState.UNDELIVERED


def test_what_was_stored_after_days_is_given_as_long_to_be_committed(at: SiteOf) -> None:
    """Its peer had been down for nearly the maximal age."""
    with CommittingPacs().running() as pacs:
        here = at(pacs)
        committed = here.ready()
        assert here.send(after=6.9 * DAY_S) == 2
        assert here.ask(after=7.1 * DAY_S) == 2
    assert here.states(committed) == {COMMITTED}


@pytest.mark.parametrize("how", ["refuses", "knows nothing of it", "is down"])
def test_a_peer_that_cannot_be_asked_is_one_alarm_and_is_asked_later(at: SiteOf, how: str) -> None:
    pacs = CommittingPacs(
        action_status=0x0213 if how == "refuses" else 0, commits=how != "knows nothing of it"
    )
    with told() as logs:
        with pacs.running():
            here = at(pacs)
            job = here.ready()
            here.send()
            if how != "is down":
                assert [here.ask(), here.ask(), here.ask(after=5), here.ask(after=20)] == [0] * 4
        if how == "is down":
            assert [here.ask(), here.ask(), here.ask(after=5), here.ask(after=20)] == [0] * 4
    said = [each["log_level"] for each in logs if each["event"] == "commitment_not_asked"]
    assert said == ["error", "info", "info"]
    assert here.states(job) == {STORED}
    assert here.state(job) is JobState.READY
    pacs.action_status, pacs.commits = 0, True
    with pacs.running():
        assert here.ask(after=HOUR_S) == 2
    assert here.state(job) is JobState.DONE
    assert len(pacs.came) == 2


def test_a_clock_that_is_set_back_makes_nobody_wait(at: SiteOf) -> None:
    with CommittingPacs(action_status=0x0213).running() as pacs:
        here = at(pacs)
        job = here.ready()
        here.send()
        assert here.ask(after=DAY_S) == 0
        pacs.action_status = 0
        assert here.ask() == 2
    assert here.state(job) is JobState.DONE


def test_a_request_that_a_killed_process_left_is_asked_anew(at: SiteOf, database: Database) -> None:
    """Killed after the row, or after the N-ACTION: nobody knows; the report may still come."""
    with CommittingPacs().running() as pacs:
        here = at(pacs)
        job = here.ready()
        here.send()
        with database.write() as connection:
            commitment_requests.ask(
                connection, "pacs", "2.25.99", answer_s=1, now=database.now(), longest_s=1
            )
        assert here.ask() == 2
    assert here.state(job) is JobState.DONE
    assert [state for _, state in requests(database)] == ["expired", "answered"]


def test_who_is_no_longer_asked_is_no_longer_waited_for(at: SiteOf, database: Database) -> None:
    with CommittingPacs(silent=True).running() as pacs:
        here = at(pacs, stay_s=0.1)
        job = here.ready()
        here.send()
        here.ask()
        forget_others(database, ["pacs"])
        assert here.state(job) is JobState.READY
        forget_others(database, [])
        assert here.ask(after=2 * HOUR_S) == 0
    assert here.states(job) == {STORED}
    assert here.state(job) is JobState.DONE


def test_a_job_that_an_operator_cancelled_is_not_asked_for(at: SiteOf, database: Database) -> None:
    with CommittingPacs().running() as pacs:
        here = at(pacs)
        job = here.ready()
        here.send()
        with database.write() as connection:
            current = jobs.find(connection, job.id)
            assert current is not None
            jobs.move(connection, current, JobState.CANCELLED, now=database.now())
        assert here.ask() == 0
    assert pacs.requests == []


def test_rows_of_an_early_version_are_named_by_their_files(at: SiteOf) -> None:
    with CommittingPacs().running() as pacs:
        here = at(pacs)
        named, early = here.ready(), here.ready("early", with_classes=False)
        here.send()
        here.ask()
    assert here.state(named) is here.state(early) is JobState.DONE
    assert len(set(pacs.requests[0][1].values())) == 2


def test_the_thread_outlives_trouble_with_the_database(
    at: SiteOf, database: Database, wait: Callable[[Callable[[], bool]], None]
) -> None:
    with CommittingPacs().running() as pacs:
        here = at(pacs)
        job = here.ready()
        here.send()
        with database.write() as connection:
            connection.execute(text("ALTER TABLE commitment_request RENAME TO gone"))
        stop = threading.Event()
        thread = threading.Thread(target=here.confirmation.run, args=(stop,))
        thread.start()
        try:
            with database.write() as connection:
                connection.execute(text("ALTER TABLE gone RENAME TO commitment_request"))
            wait(lambda: here.state(job) is JobState.DONE)
        finally:
            stop.set()
            thread.join()


@pytest.fixture
def wait() -> Callable[[Callable[[], bool]], None]:
    def until(test: Callable[[], bool]) -> None:
        ticks = threading.Event()
        for _ in range(400):
            if test():
                return
            ticks.wait(0.05)
        raise TimeoutError

    return until
