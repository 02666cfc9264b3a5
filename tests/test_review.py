"""A study that waits for a person: the person has seen that it is right, or takes it out."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_ai_node import review
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, jobs, leases, studies, tallies
from dicom_ai_node.database.books import books
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import NodeError
from dicom_ai_node.job import DeliveryState, JobState
from dicom_ai_node.spool import Spool
from tests.dicom_factory import series
from tests.intake.in_process import Road
from tests.made import arrive, bright
from tests.operator import Operator
from tests.receive.scu import store

LONG_AGO = 1_600_000_000.0


@pytest.fixture
def road(config: Config, spool: Spool, database: Database, tmp_path: Path) -> Road:
    return Road(config, spool, database, {"bright": bright(tmp_path)})


def study(*, patient: str = "", contents: int = 0) -> list[Dataset]:
    made = [copy.deepcopy(ds) for ds in series(name="reviewed", shape=(6, 8, 8))]
    for ds in made:
        ds.PatientID = patient or ds.PatientID
        ds.ContentTime = f"12000{contents}"
    return made


UID = str(study()[0].StudyInstanceUID)


def come(road: Road, instances: list[Dataset], *, after: float = 0) -> None:
    arrive(road.spool, road.database, instances, now=LONG_AGO + after)


def judge(road: Road) -> None:
    road.intake.settle_quiet(now=road.database.now())


def state(road: Road) -> str:
    with road.database.read() as connection:
        row = studies.find(connection, UID)
    assert row is not None
    return str(row["state"])


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(NodeError) as caught:
        act()
    return str(caught.value)


def files(spool: Spool) -> int:
    return len(list(spool.instance_files()))


def test_what_a_person_has_looked_at_is_analysed(road: Road) -> None:
    """The conflict came while the job was queued: it was cancelled, and is made anew."""
    come(road, study())
    judge(road)
    assert [job.state for job in road.jobs()] == [JobState.QUEUED]
    store(road.spool, road.database, study(contents=1)[2])
    assert (state(road), road.jobs()[0].state) == ("needs_review", JobState.CANCELLED)

    assert review.accept_first(road.spool, road.database, UID) == 6
    judge(road)
    assert road.work() == 1
    assert (state(road), road.jobs()[-1].state) == ("routed", JobState.READY)


def test_what_is_kept_aside_is_named(road: Road) -> None:
    come(road, study())
    store(road.spool, road.database, study(contents=1)[2])
    store(road.spool, road.database, series(name="another", shape=(1, 4, 4))[0])
    with road.database.read() as connection:
        stored = studies.instances(connection, road.spool, 1)
    (aside,) = review.kept_aside(road.spool, stored)
    assert aside.is_relative_to(road.spool.conflict)


def test_mixed_patients_are_never_accepted(road: Road) -> None:
    come(road, study()[:3])
    come(road, study(patient="SOMEBODY-ELSE")[3:], after=1)
    assert state(road) == "needs_review"
    said = refusal(lambda: review.accept_first(road.spool, road.database, UID))
    assert "different patients" in said
    assert "studies discard" in said
    assert "SOMEBODY" not in said
    assert state(road) == "needs_review"


def test_a_file_that_is_not_what_was_received_is_not_accepted(road: Road) -> None:
    come(road, study())
    store(road.spool, road.database, study(contents=1)[2])
    path = next(iter(road.spool.instance_files()))
    path.write_bytes(path.read_bytes()[:-2] + b"\1\1")
    said = refusal(lambda: review.accept_first(road.spool, road.database, UID))
    assert "not what was received" in said


def test_only_what_needs_a_review_is_reviewed(road: Road) -> None:
    come(road, study())
    judge(road)
    said = refusal(lambda: review.accept_first(road.spool, road.database, UID))
    assert "is routed" in said


def test_after_a_discard_the_right_one_is_taken_and_analysed(road: Road) -> None:
    """The wrong patient's result was made; the same SOP Instance UIDs come with the right one."""
    come(road, study(patient="WRONG"))
    judge(road)
    road.work()
    (before,) = road.jobs()
    assert review.look_at(road.spool, road.database, UID)[1] == [("bright", "1.0", "archive")]
    assert review.discard(road.spool, road.database, UID) == 6
    assert (state(road), files(road.spool)) == ("discarded", 0)
    with road.database.read() as connection:
        assert jobs.find(connection, before.id).state is JobState.CANCELLED  # type: ignore[union-attr]
        assert books(connection).balanced

    come(road, study(), after=10)
    judge(road)
    assert road.work() == 1
    assert state(road) == "routed"
    after = road.jobs()[-1]
    assert (after.state, after.supersedes) == (JobState.READY, None)
    assert after.key != before.key
    with road.database.read() as connection:
        assert tallies.differences(connection) == []
        assert books(connection).balanced


def test_nothing_is_discarded_while_a_job_runs(road: Road) -> None:
    come(road, study())
    judge(road)
    with road.database.write() as connection:
        connection.exec_driver_sql("UPDATE job SET state = 'running'")
    assert "is working on it" in refusal(lambda: review.discard(road.spool, road.database, UID))
    assert files(road.spool) == 6


def test_what_still_comes_or_is_gone_is_not_discarded(road: Road) -> None:
    come(road, study())
    assert "still coming" in refusal(lambda: review.look_at(road.spool, road.database, UID))
    judge(road)
    review.discard(road.spool, road.database, UID)
    assert "discarded already" in refusal(lambda: review.discard(road.spool, road.database, UID))


def test_a_conflict_in_a_study_whose_jobs_build_on_each_other(road: Road) -> None:
    """The one that waits for the other's mask goes with it, and that is no error."""
    come(road, study())
    judge(road)
    (first,) = road.jobs()
    with road.database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO job (key, study_id, study_instance_uid, series_instance_uid, model, "
            "version, subject, send_to, inputs, uses, maps, state, priority, rank, attempts, "
            "run_after, created_at, timings) SELECT 'second', study_id, study_instance_uid, "
            "series_instance_uid, 'other', version, subject, send_to, inputs, '{\"mask\": 1}', "
            "maps, state, priority, rank, attempts, 1e18, created_at, timings FROM job"
        )
    assert first.id == 1
    store(road.spool, road.database, study(contents=1)[2])
    assert [job.state for job in road.jobs()] == [JobState.CANCELLED] * 2


def test_the_verbs_say_what_they_do_and_ask_first(road: Road, tmp_path: Path) -> None:
    operator = Operator(tmp_path, road.config)
    come(road, study())
    judge(road)
    road.work()
    with road.database.write() as connection:  # an association broke: who knows what is there
        connection.exec_driver_sql("UPDATE delivery SET tries = 1")
    store(road.spool, road.database, study(contents=1)[2])
    shown = operator.data("studies", "show", UID)
    assert "studies judge --reviewed" in shown["next_step"]
    assert len(shown["kept_aside"]) == 1
    assert "--reviewed" in operator.ask("studies", "judge", UID)[1]
    assert shown["kept_aside"][0] in operator.must("studies", "judge", UID, "--reviewed")
    judge(road)

    assert operator.ask("studies", "discard", UID)[0] == 1  # nobody said yes
    assert files(road.spool) == 6
    said = operator.must("studies", "discard", UID, "--yes")
    assert "archive has results of bright 1.0" in said
    assert "results retract" in said
    assert (files(road.spool), state(road)) == (0, "discarded")
    (listed,) = operator.data("studies", "list")
    assert listed["next_step"].startswith("send the right one")


def lose(road: Road, number: int) -> Dataset:
    """One of the stored images is gone from the disk; what it was."""
    with road.database.read() as connection:
        gone = studies.instances(connection, road.spool, 1)[number]
    gone.path.unlink()
    return next(ds for ds in study() if ds.SOPInstanceUID == gone.sop_instance_uid)


def test_a_lost_image_that_comes_again_starts_nothing_while_a_person_is_to_look(road: Road) -> None:
    """Meanwhile an image of another patient has come under the study's UID."""
    come(road, study())
    judge(road)
    lost = lose(road, 2)
    assert road.work() == 0
    assert [job.state for job in road.jobs()] == [JobState.QUARANTINED]
    other = study(patient="SOMEBODY-ELSE")[0]
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = f"{other.SOPInstanceUID}.9"
    store(road.spool, road.database, other)
    assert state(road) == "needs_review"

    store(road.spool, road.database, lost)
    judge(road)
    assert road.work() == 0
    assert (state(road), road.jobs()[0].state) == ("needs_review", JobState.QUARANTINED)


def test_a_lost_image_that_comes_again_starts_its_job(road: Road) -> None:
    come(road, study())
    judge(road)
    lost = lose(road, 2)
    assert road.work() == 0
    store(road.spool, road.database, lost)
    judge(road)
    assert road.work() == 1
    assert [job.state for job in road.jobs()] == [JobState.READY]


@pytest.mark.parametrize("dead", [JobState.QUARANTINED, JobState.UNDELIVERED])
def test_dead_jobs_are_not_retried_before_a_person_has_looked_at_their_study(
    road: Road, tmp_path: Path, dead: JobState
) -> None:
    operator = Operator(tmp_path, road.config)
    come(road, study())
    judge(road)
    if dead is JobState.UNDELIVERED:
        road.work()
    with road.database.write() as connection:
        connection.exec_driver_sql("UPDATE delivery SET state = 'refused'")
        connection.exec_driver_sql(f"UPDATE job SET state = '{dead}'")  # noqa: S608 - ours
    store(road.spool, road.database, study(contents=1)[2])
    assert state(road) == "needs_review"

    assert "nothing to be retried" in operator.must("jobs", "retry", "--dead")
    status, said = operator.ask("jobs", "retry", "1")
    assert status == 1
    assert "`studies judge --reviewed`, or `studies discard`" in said
    assert [job.state for job in road.jobs()] == [dead]

    operator.must("studies", "judge", UID, "--reviewed")
    operator.must("jobs", "retry", "--dead")
    assert road.jobs()[0].state in (JobState.QUEUED, JobState.READY)


@pytest.mark.parametrize("how", ["jobs cancel", "models disable --cancel"])
def test_what_a_person_cancelled_is_made_anew_where_a_person_asks_for_it(
    road: Road, tmp_path: Path, how: str
) -> None:
    """And once: what is queued or made by then stays as it is."""
    operator = Operator(tmp_path, road.config)
    come(road, study())
    judge(road)
    if how == "jobs cancel":
        operator.must("jobs", "cancel", "1")
    else:
        with road.database.write() as connection:
            leases.cancel_of_model(connection, "bright", "1.0", why="disabled", now=1)
    judge(road)
    assert [job.state for job in road.jobs()] == [JobState.CANCELLED]
    assert "`studies judge`" in operator.data("studies", "show", UID)["next_step"]

    operator.must("studies", "judge", UID)
    judge(road)
    assert [job.state for job in road.jobs()] == [JobState.CANCELLED, JobState.QUEUED]
    assert road.jobs()[1].key != road.jobs()[0].key
    assert road.work() == 1
    operator.must("studies", "judge", UID)
    judge(road)
    assert [job.state for job in road.jobs()] == [JobState.CANCELLED, JobState.READY]


@pytest.mark.parametrize("stopped_by", ["a conflict", "jobs cancel"])
def test_what_was_being_sent_is_sent_on_under_the_uids_that_a_peer_may_have(
    road: Road, tmp_path: Path, stopped_by: str
) -> None:
    """Made anew, it would be at that peer twice."""
    operator = Operator(tmp_path, road.config)
    come(road, study())
    judge(road)
    assert road.work() == 1
    with road.database.write() as connection:  # one of its objects has arrived
        first, *others = deliveries.due(connection, "archive", now=road.database.now())
        deliveries.record(
            connection, first[0], DeliveryState.STORED, status="0000", next_try_at=0, now=1
        )
    if stopped_by == "jobs cancel":
        operator.must("jobs", "cancel", "1")
        operator.must("studies", "judge", UID)
    else:
        store(road.spool, road.database, study(contents=1)[2])
        assert (state(road), road.jobs()[0].state) == ("needs_review", JobState.CANCELLED)
        operator.must("studies", "judge", UID, "--reviewed")
    judge(road)
    assert road.work() == 0
    assert [each.state for each in road.jobs()] == [JobState.READY]
    with road.database.read() as connection:
        left = deliveries.due(connection, "archive", now=road.database.now())
    assert [row.sop_instance_uid for row, _ in left] == [row.sop_instance_uid for row, _ in others]
