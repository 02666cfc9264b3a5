"""The job table: one row a job, one way to change its state."""

import multiprocessing
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text

from dicom_ai_node.database import jobs, jobs_of_study, leases, new_jobs
from dicom_ai_node.database.books import books
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import LeaseLost
from dicom_ai_node.job import (
    FINAL_STATES,
    HEAD_START_S,
    TRANSITIONS,
    JobState,
    Priority,
    job_key,
)
from tests.database.made import NOW, a_study, again, claimed, enqueued, new_job, publish


def test_the_same_work_is_queued_once(database: Database) -> None:
    with database.write() as connection:
        first = enqueued(connection, "k")
        assert first.state is JobState.QUEUED
        assert new_jobs.enqueue(connection, new_job(first.study_id, "k"), now=NOW + 1) is None
        assert jobs.counts(connection)[JobState.QUEUED] == 1


@pytest.mark.parametrize("running", [False, True])
def test_a_revision_cancels_the_job_before_it(database: Database, running: bool) -> None:
    with database.write() as connection:
        enqueued(connection, "a", series_instance_uid="1.2.3")
        first = claimed(connection) if running else again(connection, jobs.listing(connection)[0])
        second = enqueued(connection, "b", series_instance_uid="1.2.3", now=NOW + 5)
        assert second.supersedes == first.id
        assert again(connection, first).state is JobState.CANCELLED
        assert jobs.events(connection, first.id)[-1]["why"] == f"superseded by job {second.id}"
        if running:
            with pytest.raises(LeaseLost):
                leases.renew(connection, first, lease_s=60, now=NOW + 6)


def test_a_revision_leaves_results_that_are_out(database: Database) -> None:
    with database.write() as connection:
        enqueued(connection, "a", series_instance_uid="1.2.3")
        first = claimed(connection)
        jobs.move(connection, first, JobState.READY, now=NOW)
        second = enqueued(connection, "b", series_instance_uid="1.2.3")
        assert (again(connection, first).state, second.supersedes) == (JobState.READY, first.id)


def test_another_model_or_series_is_no_revision(database: Database) -> None:
    with database.write() as connection:
        enqueued(connection, "a", series_instance_uid="1.2.3")
        for key, changes in (("b", {"model": "other"}), ("c", {"series_instance_uid": "1.2.4"})):
            other = enqueued(connection, key, **{"series_instance_uid": "1.2.3"} | changes)
            assert other.supersedes is None
        assert jobs.counts(connection)[JobState.QUEUED] == 3


def test_the_oldest_job_that_may_run_is_claimed(database: Database) -> None:
    with database.write() as connection:
        first = enqueued(connection, "a")
        second = enqueued(connection, "b")
        later = enqueued(connection, "c", now=NOW + 100)
        assert [claimed(connection).id, claimed(connection).id] == [first.id, second.id]
        assert leases.claim(connection, worker="here", lease_s=60, now=NOW + 99) is None
        assert claimed(connection, now=NOW + 100).id == later.id


def test_an_urgent_job_comes_first(database: Database) -> None:
    with database.write() as connection:
        enqueued(connection, "a")
        urgent = enqueued(connection, "b", priority=Priority.URGENT)
        assert claimed(connection).id == urgent.id


def test_urgent_jobs_overtake_for_so_long_and_no_longer(database: Database) -> None:
    """No job starves, however many of a higher priority come."""
    head_start = HEAD_START_S[Priority.BACKGROUND]
    with database.write() as connection:
        patient = enqueued(connection, "a", priority=Priority.BACKGROUND)
        soon = enqueued(connection, "b", priority=Priority.URGENT, now=NOW + head_start - 1)
        late = enqueued(connection, "c", priority=Priority.URGENT, now=NOW + head_start + 1)
        claims = [claimed(connection, now=NOW + head_start + 2).id for _ in range(3)]
    assert claims == [soon.id, patient.id, late.id]


def test_a_job_does_not_run_before_its_time(database: Database) -> None:
    with database.write() as connection:
        enqueued(connection, "a", run_after=NOW + 100)
        assert leases.claim(connection, worker="here", lease_s=60, now=NOW + 99) is None
        assert claimed(connection, now=NOW + 100)


def test_an_attempt_is_counted_before_it_starts(database: Database) -> None:
    with database.write() as connection:
        enqueued(connection)
        job = claimed(connection, lease_s=60)
    assert (job.attempts, job.state, job.lease_expires_at) == (1, JobState.RUNNING, NOW + 60)
    assert job.lease_id


def _claim_all(url: str, found: "multiprocessing.Queue[list[int]]") -> None:
    database = Database(url)
    mine = []
    while True:
        with database.write() as connection:
            job = leases.claim(connection, worker="here", lease_s=60, now=NOW)
        if job is None:
            break
        mine.append(job.id)
    database.close()
    found.put(mine)


def test_four_processes_claim_each_job_once(database: Database) -> None:
    with database.write() as connection:
        study_id = a_study(connection)
        for number in range(300):
            new_jobs.enqueue(connection, new_job(study_id, f"k{number}"), now=NOW)
    spawn = multiprocessing.get_context("spawn")
    found: multiprocessing.Queue[list[int]] = spawn.Queue()
    url = str(database.url)
    workers = [spawn.Process(target=_claim_all, args=(url, found)) for _ in range(4)]
    for worker in workers:
        worker.start()
    claims = Counter(number for _ in workers for number in found.get(timeout=60))
    for worker in workers:
        worker.join()
    assert len(claims) == 300
    assert set(claims.values()) == {1}
    with database.read() as connection:
        assert connection.scalar(text("SELECT min(attempts) || max(attempts) FROM job")) == "11"


@pytest.mark.parametrize("start", list(JobState))
def test_a_job_moves_only_as_the_table_of_transitions_says(
    database: Database, start: JobState
) -> None:
    for target in JobState:
        with database.write() as connection:
            job = enqueued(connection, f"{start}-{target}")
            connection.execute(
                text("UPDATE job SET state = :state WHERE id = :id"),
                {"state": start, "id": job.id},
            )
            job = again(connection, job)
            if target in TRANSITIONS[start]:
                jobs.move(connection, job, target, now=NOW, why="told to")
                event = jobs.events(connection, job.id)[-1]
                assert (event["from_state"], event["to_state"]) == (start, target)
            else:
                with pytest.raises(ValueError, match="does not go"):
                    jobs.move(connection, job, target, now=NOW)
            expected = target if target in TRANSITIONS[start] else start
            assert again(connection, job).state is expected


def test_done_and_cancelled_are_final() -> None:
    assert {JobState.DONE, JobState.CANCELLED} == FINAL_STATES


def test_a_worker_that_lost_its_lease_changes_nothing(database: Database) -> None:
    """The lease is a fence: a worker that slept through its end cannot publish (P12)."""
    with database.write() as connection:
        enqueued(connection)
        asleep = claimed(connection)
        leases.give_back(
            connection, asleep, error_kind="lease_expired", error_text="", max_attempts=3, now=NOW
        )
        awake = claimed(connection)
        for act in (
            lambda: jobs.move(connection, asleep, JobState.READY, now=NOW),
            lambda: leases.renew(connection, asleep, lease_s=60, now=NOW),
        ):
            with pytest.raises(LeaseLost):
                act()
        assert again(connection, awake).lease_id == awake.lease_id
        leases.renew(connection, awake, lease_s=60, now=NOW + 30)
        assert again(connection, awake).lease_expires_at == NOW + 90


def test_only_leases_that_ran_out_are_expired(database: Database) -> None:
    with database.write() as connection:
        enqueued(connection)
        job = claimed(connection, lease_s=60)
        assert leases.expired_leases(connection, now=NOW + 60) == []
        assert [each.id for each in leases.expired_leases(connection, now=NOW + 61)] == [job.id]


def test_a_job_that_keeps_failing_is_quarantined(database: Database) -> None:
    with database.write() as connection:
        enqueued(connection)
        states = []
        for attempt in range(3):
            now = NOW + 10 * attempt
            job = claimed(connection, now=now)
            state = leases.give_back(
                connection,
                job,
                error_kind="crash",
                error_text="SIGSEGV",
                max_attempts=3,
                backoff_s=10,
                now=now,
            )
            states.append(state)
            assert leases.claim(connection, worker="here", lease_s=60, now=now + 9) is None
        assert states == [JobState.QUEUED, JobState.QUEUED, JobState.QUARANTINED]
        last = again(connection, job)
        assert (last.error_kind, last.error_text, last.lease_id) == ("crash", "SIGSEGV", None)
        assert leases.claim(connection, worker="here", lease_s=60, now=NOW + 1e6) is None


def test_jobs_of_a_worker_are_found_by_its_name(database: Database) -> None:
    with database.write() as connection:
        enqueued(connection, "a")
        enqueued(connection, "b")
        mine = leases.claim(connection, worker="mine", lease_s=60, now=NOW)
        leases.claim(connection, worker="other", lease_s=60, now=NOW)
        assert mine is not None
        assert [job.id for job in leases.running_on(connection, "mine")] == [mine.id]


def test_the_books_count_every_state(database: Database) -> None:
    with database.write() as connection:
        enqueued(connection, "a")
        enqueued(connection, "b")
        claimed(connection)
        counted = books(connection).as_dict()
    assert counted["instances"] == 1
    assert counted["studies"]["receiving"] == 1
    assert {name: number for name, number in counted["jobs"].items() if number} == {
        "queued": 1,
        "running": 1,
    }


def test_listing_is_newest_first_and_can_be_narrowed(database: Database) -> None:
    with database.write() as connection:
        first, second = enqueued(connection, "a"), enqueued(connection, "b")
        claimed(connection)
        assert [job.id for job in jobs.listing(connection)] == [second.id, first.id]
        assert [job.id for job in jobs.listing(connection, state=JobState.QUEUED)] == [second.id]
        assert jobs.listing(connection, study_instance_uid="1.9") == []


def test_whatever_changes_the_work_changes_its_key() -> None:
    parts = {"model": "m", "version": "1", "model_sha256": "a", "digest": "d", "variant": ""}
    keys = {job_key(**(parts | {name: "other"})) for name in parts}
    assert len(keys | {job_key(**parts)}) == 6
    assert job_key(**parts) == job_key(**parts)


def test_the_database_lies_where_the_url_says(database: Database, tmp_path: Path) -> None:
    assert database.path == tmp_path / "node.db"
    assert database.path.is_file()


def test_a_job_waits_for_the_mask_that_it_needs(database: Database) -> None:
    with database.write() as connection:
        first = enqueued(connection, "a")
        enqueued(connection, "b", uses={"brain": "a"})
        job = claimed(connection)
        assert job.id == first.id
        assert leases.claim(connection, worker="here", lease_s=60, now=NOW) is None
        publish(connection, job)
        second = claimed(connection)
    assert second.uses == {"brain": first.id}


def test_what_needs_a_mask_that_is_there_runs_at_once(database: Database) -> None:
    with database.write() as connection:
        enqueued(connection, "a")
        publish(connection, claimed(connection))
        enqueued(connection, "b", uses={"brain": "a"})
        assert claimed(connection).key == "b"


def test_what_needs_the_mask_of_a_cancelled_job_goes_with_it(database: Database) -> None:
    with database.write() as connection:
        first = enqueued(connection, "a")
        second = enqueued(connection, "b", uses={"brain": "a"})
        third = enqueued(connection, "c", uses={"lesions": "b"})
        jobs.move(connection, first, JobState.CANCELLED, now=NOW, why="operator")
        states = [again(connection, job).state for job in (second, third)]
    assert states == [JobState.CANCELLED] * 2


def test_what_is_no_longer_wanted_of_a_study_is_stopped(database: Database) -> None:
    with database.write() as connection:
        kept, queued = enqueued(connection, "a"), enqueued(connection, "b")
        dependent = enqueued(connection, "c", uses={"brain": "b"})
        jobs_of_study.cancel_all_but(connection, kept.study_id, {"a"}, now=NOW)
        states = [again(connection, job).state for job in (kept, queued, dependent)]
    assert states == [JobState.QUEUED, JobState.CANCELLED, JobState.CANCELLED]


def test_a_queued_job_can_be_put_first(database: Database) -> None:
    with database.write() as connection:
        enqueued(connection, "a")
        second = enqueued(connection, "b")
        jobs.prioritise(connection, second, Priority.URGENT)
        assert claimed(connection).id == second.id
        with pytest.raises(LeaseLost):
            jobs.prioritise(connection, second, Priority.ROUTINE)


def test_work_that_the_node_stopped_runs_again_when_it_is_wanted_after_all(
    database: Database,
) -> None:
    with database.write() as connection:
        first = enqueued(connection, "a", subject="s")
        other = enqueued(connection, "b", subject="s")
        assert again(connection, first).state is JobState.CANCELLED
        new = new_job(first.study_id, "a", subject="s")
        second = new_jobs.enqueue(connection, new, now=NOW)
        assert second is not None
        assert second.key != first.key
        assert again(connection, other).state is JobState.CANCELLED
        assert new_jobs.enqueue(connection, new, now=NOW) is None
        jobs_of_study.cancel_all_but(connection, first.study_id, {"a"}, now=NOW)
        assert again(connection, second).state is JobState.QUEUED


def test_work_that_an_operator_stopped_does_not(database: Database) -> None:
    with database.write() as connection:
        first = enqueued(connection, "a")
        jobs.move(connection, first, JobState.CANCELLED, now=NOW, why="operator")
        assert new_jobs.enqueue(connection, new_job(first.study_id, "a"), now=NOW) is None
