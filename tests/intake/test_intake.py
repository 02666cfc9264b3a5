"""A quiet study becomes jobs, or a refusal that says why."""

import copy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import RowMapping

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import jobs, open_studies, studies
from dicom_ai_node.database.arrivals import Arrival
from dicom_ai_node.database.engine import Database
from dicom_ai_node.intake.intake import Intake
from dicom_ai_node.intake.plan import Plan
from dicom_ai_node.job import Job, JobState, Outcome
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import IMAGE, StudyState
from tests.dicom_factory import series
from tests.made import IS_CT, IS_MR, arrive, bright

NOW = 1_700_000_000.0
QUIET = NOW + 61  # a little more than the quiet time
FULL = {"attr": "$instances", "op": "ge", "value": 4}


def routes(*entries: dict[str, Any]) -> dict[str, Any]:
    """A configuration of two peers and these routes."""
    peers = {name: {"kind": "folder", "path": f"/{name}"} for name in ("archive", "pacs")}
    return {"peers": peers, "routes": entries}


def a_route(*require: dict[str, Any], name: str = "r", to: str = "archive", **more: Any) -> Any:
    return {"model": "bright", "name": name, "send_to": [to], "require": require, **more}


@pytest.fixture
def intake(config: Config, spool: Spool, database: Database, tmp_path: Path) -> Intake:
    models = {"bright": bright(tmp_path), "other": bright(tmp_path, name="other")}
    return Intake(config=config, models=models, spool=spool, database=database)


def come(intake: Intake, *, now: float = NOW, number: int = 4, **what: Any) -> list[Arrival]:
    instances = series(shape=(number, 8, 8), **what)
    return arrive(intake.spool, intake.database, instances, now=now)


def the_study(intake: Intake, name: str = "phantom") -> RowMapping:
    uid = series(name=name, shape=(1, 4, 4))[0].StudyInstanceUID
    with intake.database.read() as connection:
        row = studies.find(connection, uid)
    assert row is not None
    return row


def all_jobs(intake: Intake) -> list[Job]:
    """The oldest first."""
    with intake.database.read() as connection:
        return list(jobs.listing(connection))[::-1]


def verdicts(intake: Intake, name: str = "phantom") -> list[tuple[str, bool, list[str]]]:
    with intake.database.read() as connection:
        rows = studies.verdicts(connection, the_study(intake, name)["id"])
    return [(row["route"], row["matched"], row["failed_clauses"]) for row in rows]


def test_a_quiet_study_becomes_one_job(intake: Intake) -> None:
    come(intake)
    assert intake.settle_quiet(now=QUIET - 2) == 0
    assert intake.settle_quiet(now=QUIET) == 1
    (job,) = all_jobs(intake)
    assert (job.state, job.model, job.outcome) == (JobState.QUEUED, "bright", None)
    assert list(job.inputs[IMAGE]) == sorted(ds.SOPInstanceUID for ds in series(shape=(4, 8, 8)))
    assert (the_study(intake)["state"], verdicts(intake)) == (
        StudyState.ROUTED,
        [("bright", True, [])],
    )
    assert intake.settle_quiet(now=QUIET + 1000) == 0


def test_a_study_that_no_route_takes_is_refused_with_its_reason(intake: Intake) -> None:
    come(intake, modality="MR")
    intake.settle_quiet(now=QUIET)
    row = the_study(intake)
    assert (row["state"], all_jobs(intake)) == (StudyState.REFUSED, [])
    assert row["reason"].startswith("no route takes any of its 1 series (MR)")
    assert verdicts(intake) == [("bright", False, ["Modality is MR; wanted: eq CT"])]


@pytest.mark.parametrize("config", [{"routes": []}], indirect=True)
def test_a_node_without_routes_says_so(intake: Intake) -> None:
    come(intake)
    intake.settle_quiet(now=QUIET)
    assert the_study(intake)["reason"] == "no route is configured"


WANTS_REPORT = routes(a_route(IS_MR, name="bright", report_unsuitable=True))


@pytest.mark.parametrize("config", [WANTS_REPORT], indirect=True)
def test_a_refusal_is_reported_where_the_route_wants_it(intake: Intake) -> None:
    """On the largest series of images."""
    come(intake, name="large", study="phantom")
    come(intake, name="small", study="phantom", number=2)
    intake.settle_quiet(now=QUIET)
    (job,) = all_jobs(intake)
    assert (job.outcome, job.series_instance_uid) == (
        Outcome.NOT_SUITABLE,
        series(name="large", shape=(1, 4, 4))[0].SeriesInstanceUID,
    )
    assert job.reason == "No series suits bright: Modality is CT; needed: MR."
    assert the_study(intake)["state"] == StudyState.REFUSED


@pytest.mark.parametrize(
    "config",
    [
        routes(
            a_route(IS_MR, name="one", to="archive", report_unsuitable=True),
            a_route(IS_MR, name="two", to="pacs", report_unsuitable=True),
        ),
        routes(
            a_route(IS_MR, name="one", to="archive", report_unsuitable=True),
            a_route(IS_MR, FULL, name="two", to="pacs", report_unsuitable=True),
        ),
    ],
    ids=["for one reason", "for two reasons"],
    indirect=True,
)
def test_routes_to_one_model_share_the_report_of_a_refusal(intake: Intake) -> None:
    come(intake, number=3)
    intake.settle_quiet(now=QUIET)
    (job,) = all_jobs(intake)
    assert (job.state, job.send_to) == (JobState.QUEUED, ("archive", "pacs"))
    assert "Modality is CT" in (job.reason or "")


@pytest.mark.fault("D6")
def test_a_study_that_comes_twice_makes_one_job(intake: Intake) -> None:
    come(intake)
    intake.settle_quiet(now=QUIET)
    assert come(intake, now=NOW + 100) == [Arrival.DUPLICATE] * 4
    assert intake.settle_quiet(now=NOW + 1000) == 0
    assert len(all_jobs(intake)) == 1


def test_a_purged_study_that_comes_again_makes_no_second_job(intake: Intake) -> None:
    come(intake)
    intake.settle_quiet(now=QUIET)
    with intake.database.write() as connection:
        studies.purge(connection, the_study(intake)["id"])
    come(intake, now=NOW + 1000)
    assert intake.settle_quiet(now=NOW + 1061) == 1
    assert len(all_jobs(intake)) == 1
    assert the_study(intake)["state"] == StudyState.ROUTED


def test_a_late_slice_makes_a_job_that_supersedes(intake: Intake) -> None:
    come(intake)
    intake.settle_quiet(now=QUIET)
    come(intake, now=NOW + 100, number=5)
    assert intake.settle_quiet(now=NOW + 161) == 1
    first, second = all_jobs(intake)
    assert (first.state, second.state) == (JobState.CANCELLED, JobState.QUEUED)
    assert (second.supersedes, len(second.inputs[IMAGE])) == (first.id, 5)


def test_a_series_that_comes_later_leaves_the_first_job(intake: Intake) -> None:
    come(intake)
    intake.settle_quiet(now=QUIET)
    come(intake, now=NOW + 100, name="second", study="phantom")
    intake.settle_quiet(now=NOW + 161)
    assert [(job.state, job.supersedes) for job in all_jobs(intake)] == [("queued", None)] * 2


@pytest.mark.parametrize(
    "config",
    [routes(a_route(IS_CT, name="one", to="archive"), a_route(name="two", to="pacs"))],
    indirect=True,
)
def test_two_routes_to_one_model_share_a_job(intake: Intake) -> None:
    come(intake)
    intake.settle_quiet(now=QUIET)
    (job,) = all_jobs(intake)
    assert job.send_to == ("archive", "pacs")


@pytest.mark.parametrize(
    "config",
    [routes(a_route(IS_CT), {"model": "other", "send_to": ["pacs"], "require": [IS_CT]})],
    indirect=True,
)
def test_two_models_have_jobs_of_their_own(intake: Intake) -> None:
    come(intake)
    intake.settle_quiet(now=QUIET)
    assert {(job.model, job.send_to) for job in all_jobs(intake)} == {
        ("bright", ("archive",)),
        ("other", ("pacs",)),
    }
    assert len({job.key for job in all_jobs(intake)}) == 2


@pytest.mark.parametrize(
    "config", [routes(a_route({"attr": "$calling_ae", "op": "eq", "value": "CT1"}))], indirect=True
)
def test_who_sent_it_can_be_asked(intake: Intake) -> None:
    for name, calling in (("one", "CT1"), ("two", "CT2")):
        instances = series(name=name, shape=(2, 8, 8))
        arrive(intake.spool, intake.database, instances, now=NOW, calling=calling)
    intake.settle_quiet(now=QUIET)
    states = [the_study(intake, name)["state"] for name in ("one", "two")]
    assert states == [StudyState.ROUTED, StudyState.REFUSED]


def test_a_study_that_cannot_be_read_waits_for_a_person_and_stops_nobody(intake: Intake) -> None:
    come(intake, name="bad")
    come(intake, name="good", now=NOW + 1)
    with intake.database.read() as connection:
        (bad, *_) = studies.instance_rows(connection, the_study(intake, "bad")["id"])
    intake.spool.instance_path(bad["file"]).write_bytes(b"Phantom^Left")
    assert intake.settle_quiet(now=NOW + 62) == 2
    row = the_study(intake, "bad")
    assert row["state"] == StudyState.NEEDS_REVIEW
    assert row["reason"].startswith("it cannot be judged: ")
    assert "Phantom" not in row["reason"]
    assert the_study(intake, "good")["state"] == StudyState.ROUTED


@pytest.mark.parametrize(
    "config",
    [routes({"model": "gone", "send_to": ["archive"], "require": [IS_CT]})],
    indirect=True,
)
def test_a_model_that_is_gone_sets_the_study_aside(intake: Intake) -> None:
    come(intake)
    intake.settle_quiet(now=QUIET)
    assert the_study(intake)["state"] == StudyState.NEEDS_REVIEW


SERIES_ROUTE = a_route(IS_CT, when="series")


@pytest.mark.parametrize("config", [routes(SERIES_ROUTE)], indirect=True)
def test_a_route_for_series_does_not_wait_for_the_study(intake: Intake) -> None:
    """Its series is proven complete while others of the study may still come."""
    instances = series(shape=(4, 8, 8))
    for ds in instances:
        ds.ImagesInAcquisition = 4
    arrive(intake.spool, intake.database, instances, now=NOW)
    study = instances[0].StudyInstanceUID
    assert intake.settle_quiet(now=NOW + 0.1) == 0
    assert all_jobs(intake) == []  # its association goes on
    with intake.database.write() as connection:
        open_studies.association_ended(connection, study, at=NOW + 0.2)
    assert intake.settle_quiet(now=NOW + 0.3) == 0
    (job,) = all_jobs(intake)
    assert the_study(intake)["state"] == StudyState.RECEIVING
    assert intake.settle_quiet(now=QUIET) == 1
    assert [each.id for each in all_jobs(intake)] == [job.id]


@pytest.mark.parametrize("config", [routes(SERIES_ROUTE)], indirect=True)
def test_a_route_for_series_takes_nothing_of_a_study_that_has_just_been_stopped(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another image comes under a known UID while the series is looked at."""
    instances = series(shape=(4, 8, 8))
    for ds in instances:
        ds.ImagesInAcquisition = 4
    arrive(intake.spool, intake.database, instances, now=NOW)
    with intake.database.write() as connection:
        open_studies.association_ended(connection, instances[0].StudyInstanceUID, at=NOW + 0.2)
    plan = intake._plan
    said: list[Arrival] = []

    def meanwhile(*args: Any, **keywords: Any) -> Plan:
        planned = plan(*args, **keywords)
        assert planned.jobs
        other = copy.deepcopy(instances[0])
        other.ContentTime = "120001"
        said.extend(arrive(intake.spool, intake.database, [other], now=NOW + 0.3))
        return planned

    monkeypatch.setattr(intake, "_plan", meanwhile)
    intake.settle_quiet(now=NOW + 0.3)
    assert said == [Arrival.CONFLICT]
    assert the_study(intake)["state"] == StudyState.NEEDS_REVIEW
    assert all_jobs(intake) == []


@pytest.mark.fault("D3")
def test_a_series_that_is_short_suits_nobody(intake: Intake) -> None:
    instances = series(shape=(4, 8, 8))
    for ds in instances:
        ds.ImagesInAcquisition = 6
    arrive(intake.spool, intake.database, instances, now=NOW)
    assert intake.settle_quiet(now=QUIET) == 0
    assert the_study(intake)["state"] == StudyState.INCOMPLETE
    assert intake.settle_quiet(now=NOW + intake.config.study.incomplete_s + 1) == 1
    assert all_jobs(intake) == []
    ((_, matched, failed),) = verdicts(intake)
    assert (matched, failed) == (False, ["4 of 6 images came, by Images in Acquisition"])


PICKS = {"tie": ["-$instances"]}


@pytest.mark.parametrize("config", [routes(a_route(IS_CT, **PICKS))], indirect=True)
def test_a_better_series_that_came_late_replaces_the_choice(intake: Intake) -> None:
    come(intake)
    intake.settle_quiet(now=QUIET)
    come(intake, name="larger", study="phantom", number=6, now=QUIET)
    intake.settle_quiet(now=QUIET + 61)
    first, second = all_jobs(intake)
    assert first.state is JobState.CANCELLED
    assert (second.supersedes, len(second.inputs[IMAGE])) == (first.id, 6)
    assert the_study(intake)["revision"] == 2


@pytest.mark.parametrize("config", [routes(a_route(IS_CT))], indirect=True)
def test_what_comes_late_for_no_selected_series_changes_nothing(intake: Intake) -> None:
    come(intake)
    intake.settle_quiet(now=QUIET)
    come(intake, name="other", study="phantom", modality="MR", now=QUIET)
    intake.settle_quiet(now=QUIET + 61)
    (job,) = all_jobs(intake)
    assert job.state is JobState.QUEUED
