"""Routes of several inputs, from their studies to one result: fused series, priors, masks."""

import copy
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from sqlalchemy import RowMapping

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import fetches, retractions, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.intake.fetcher import Fetcher
from dicom_ai_node.job import Job, Outcome
from dicom_ai_node.report import REPORT
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import StudyState
from tests.dicom_factory import series
from tests.intake.in_process import Road
from tests.made import arrive, bright
from tests.peers.archive import Archive

DESCRIBED = {"attr": "SeriesDescription", "op": "eq"}
LONG_AGO = 1_600_000_000.0


def a_model(home: Path, name: str, *inputs: str, **between: tuple[float, float]) -> Any:
    return bright(home, name=name, inputs=inputs, between=between)


def route_to(model: str, **inputs: dict[str, Any]) -> dict[str, Any]:
    return {"model": model, "send_to": ["archive"], "inputs": inputs}


def described(value: str) -> dict[str, Any]:
    return {"require": [{**DESCRIBED, "value": value}]}


FUSED = {"routes": [route_to("fused", one=described("one"), two=described("two"))]}
CHAINED = {
    "routes": [
        {"model": "bright", "send_to": ["archive"], "require": [{**DESCRIBED, "value": "one"}]},
        route_to("within", image=described("two"), box={"result_of": "bright"}),
    ]
}
NO_MASKS = {
    "archive": {"kind": "folder", "path": "results", "results": {"segmentation": ["none"]}},
}


@pytest.fixture
def road(config: Config, spool: Spool, database: Database, tmp_path: Path) -> Road:
    models = [
        bright(tmp_path),
        a_model(tmp_path, "fused", "one", "two", one=(300, 3000), two=(100, 3000)),
        a_model(tmp_path, "within", "image", "box", image=(0, 3000), box=(1, 1)),
        a_model(tmp_path, "followed", "now", "then", now=(300, 3000), then=(300, 3000)),
    ]
    return Road(config, spool, database, {each.package.name: each for each in models})


def images(name: str, pixels: np.ndarray, **what: Any) -> list[Dataset]:
    made = series(name=name, study="fused", shape=pixels.shape, pixels=pixels, **what)
    return [copy.deepcopy(ds) for ds in made]


def halves() -> tuple[np.ndarray, np.ndarray]:
    """One is bright in its left half, the other in its upper half."""
    left, upper = (np.full((6, 8, 8), -900, np.int16) for _ in range(2))
    left[:, :, :4] = 400
    upper[:, :4, :] = 400
    return left, upper


def run(road: Road) -> None:
    road.intake.settle_quiet(now=road.database.now())
    road.work()


def seg_volume(road: Road, job: Job) -> int:
    seg = pydicom.dcmread(road.objects(job)["seg"])
    return int(seg.pixel_array.sum())


def evidence(report: Dataset) -> set[str]:
    """Series that a report speaks of, wherever it does."""
    return {
        str(of_series.SeriesInstanceUID)
        for keyword in (
            "CurrentRequestedProcedureEvidenceSequence",
            "PertinentOtherEvidenceSequence",
        )
        for study in report.get(keyword, [])
        for of_series in study.ReferencedSeriesSequence
    }


@pytest.mark.parametrize("config", [FUSED], indirect=True)
def test_two_series_make_one_result(road: Road) -> None:
    left, upper = halves()
    one, two = images("one", left), images("two", upper)
    arrive(road.spool, road.database, [*two, *one], now=LONG_AGO)
    run(road)
    (job,) = road.jobs()
    assert job.outcome is Outcome.FINDINGS
    assert seg_volume(road, job) == 6 * 4 * 4
    report = pydicom.dcmread(road.objects(job)["sr"])
    assert {one[0].SeriesInstanceUID, two[0].SeriesInstanceUID} <= evidence(report)


@pytest.mark.parametrize("config", [FUSED], indirect=True)
def test_the_second_is_resampled_to_the_grid_of_the_first(road: Road) -> None:
    """It has voxels of half the size and half a voxel's offset, and lies around the first."""
    left, upper = halves()
    one = images("one", left, spacing=(4, 2, 2), origin=(0, 0, 0))
    fine = upper.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    two = images("two", fine, spacing=(2, 1, 1), origin=(-0.5, -0.5, -1.0))
    arrive(road.spool, road.database, [*one, *two], now=LONG_AGO)
    run(road)
    (job,) = road.jobs()
    assert seg_volume(road, job) == 6 * 4 * 4


@pytest.mark.parametrize("config", [FUSED], indirect=True)
def test_series_of_different_frames_of_reference_are_not_laid_over_each_other(road: Road) -> None:
    one, two = (images(name, pixels) for name, pixels in zip(("one", "two"), halves(), strict=True))
    for ds in two:
        ds.FrameOfReferenceUID = "1.2.3"
    arrive(road.spool, road.database, [*one, *two], now=LONG_AGO)
    run(road)
    (job,) = road.jobs()
    assert job.outcome is Outcome.NOT_SUITABLE
    assert "different frames of reference" in str(job.reason)


@pytest.mark.parametrize("config", [CHAINED], indirect=True)
def test_a_model_works_on_the_mask_of_another(road: Road) -> None:
    """The mask lies on another series than the images; only in it the images count."""
    left, _ = halves()
    one = images("one", left)
    two = images("two", np.full((6, 8, 8), 50, np.int16))
    arrive(road.spool, road.database, [*one, *two], now=LONG_AGO)
    run(road)
    first, second = road.jobs()
    assert (first.model, second.model) == ("bright", "within")
    assert second.uses == {"box": first.id}
    assert seg_volume(road, second) == 6 * 8 * 4
    report = pydicom.dcmread(road.objects(second)["sr"])
    mask = pydicom.dcmread(road.objects(first)["seg"])
    assert mask.SeriesInstanceUID in evidence(report)


@pytest.mark.parametrize("config", [CHAINED | {"peers": NO_MASKS}], indirect=True)
def test_a_model_works_on_a_mask_that_nobody_is_sent(road: Road) -> None:
    """Whatever the peers of the other model take."""
    left, _ = halves()
    one = images("one", left)
    two = images("two", np.full((6, 8, 8), 50, np.int16))
    arrive(road.spool, road.database, [*one, *two], now=LONG_AGO)
    run(road)
    first, second = road.jobs()
    assert second.outcome is Outcome.FINDINGS
    assert "seg" not in road.objects(first)
    assert list(road.spool.outbox_path(first.key).glob("*-seg.dcm"))


@pytest.mark.parametrize("config", [CHAINED], indirect=True)
def test_a_model_works_on_a_mask_that_an_earlier_version_made(road: Road) -> None:
    """Which wrote of each object no more than kind, UID and file."""
    left, _ = halves()
    one, two = images("one", left), images("two", np.full((6, 8, 8), 50, np.int16))
    arrive(road.spool, road.database, [*one, *two], now=LONG_AGO)
    road.intake.settle_quiet(now=road.database.now())
    assert road.worker.work_once(threading.Event())
    first, _ = road.jobs()
    report = road.spool.outbox_path(first.key) / REPORT
    fields = json.loads(report.read_bytes())
    known = ("kind", "sop_instance_uid", "file")
    fields["objects"] = [{key: each[key] for key in known} for each in fields["objects"]]
    report.write_text(json.dumps(fields))
    road.work()
    _, second = road.jobs()
    assert seg_volume(road, second) == 6 * 8 * 4


@pytest.mark.parametrize("config", [CHAINED], indirect=True)
def test_a_mask_is_not_laid_over_images_of_another_frame_of_reference(road: Road) -> None:
    one, two = (images(name, pixels) for name, pixels in zip(("one", "two"), halves(), strict=True))
    for ds in two:
        ds.FrameOfReferenceUID = "1.2.3"
    arrive(road.spool, road.database, [*one, *two], now=LONG_AGO)
    run(road)
    _, second = road.jobs()
    assert second.outcome is Outcome.NOT_SUITABLE
    assert "different frames of reference" in str(second.reason)


@pytest.mark.parametrize("config", [CHAINED], indirect=True)
def test_a_mask_of_nothing_is_said(road: Road) -> None:
    dark = np.full((6, 8, 8), -900, np.int16)
    arrive(road.spool, road.database, [*images("one", dark), *images("two", dark)], now=LONG_AGO)
    run(road)
    _, second = road.jobs()
    assert second.outcome is Outcome.NOT_SUITABLE
    assert second.reason == "within works on what bright marks. bright found nothing."


@pytest.mark.parametrize("config", [CHAINED], indirect=True)
def test_a_mask_that_was_retracted_is_not_worked_on(road: Road) -> None:
    """By a job that waited when the model was recalled."""
    left, _ = halves()
    one, two = images("one", left), images("two", np.full((6, 8, 8), 50, np.int16))
    arrive(road.spool, road.database, [*one, *two], now=LONG_AGO)
    road.intake.settle_quiet(now=road.database.now())
    assert road.worker.work_once(threading.Event())
    first, _ = road.jobs()
    with road.database.write() as connection:
        retractions.mark(
            connection, [first], why="mirrored masks", is_delivering=False, now=LONG_AGO
        )
    road.work()
    _, second = road.jobs()
    assert second.outcome is Outcome.NOT_SUITABLE
    assert second.reason == (
        "within works on what bright marks. What bright marked here was retracted."
    )


def follow_up(**prior: Any) -> dict[str, Any]:
    return route_to("followed", now={"require": []}, then={"prior": prior, "tie": ["-StudyDate"]})


def dated(name: str, day: str, **what: Any) -> list[Dataset]:
    made = [copy.deepcopy(ds) for ds in series(name=name, shape=(6, 8, 8), **what)]
    for ds in made:
        ds.StudyDate = day
        ds.FrameOfReferenceUID = f"{ds.StudyInstanceUID[:50]}.7"
    return made


@pytest.mark.parametrize("config", [{"routes": [follow_up(within_days=400)]}], indirect=True)
def test_the_newest_earlier_study_of_the_patient_is_the_prior(road: Road) -> None:
    earlier = {day: dated(f"of {day}", day) for day in ("20230101", "20250301", "20250201")}
    stranger = dated("of somebody else", "20250901", patient_id="STRANGER")
    for instances in (*earlier.values(), stranger):
        arrive(road.spool, road.database, instances, now=LONG_AGO)
    today = dated("today", "20260102")
    arrive(road.spool, road.database, today, now=LONG_AGO + 1)
    run(road)
    (job,) = [each for each in road.jobs() if each.study_instance_uid == today[0].StudyInstanceUID]
    assert set(job.inputs["then"]) == {ds.SOPInstanceUID for ds in earlier["20250301"]}
    assert job.outcome is Outcome.FINDINGS
    report = pydicom.dcmread(road.objects(job)["sr"])
    assert earlier["20250301"][0].SeriesInstanceUID in evidence(report)
    assert report.StudyInstanceUID == today[0].StudyInstanceUID


def when(road: Road, state: StudyState, study: str) -> RowMapping:
    with road.database.read() as connection:
        row = studies.find(connection, study)
    assert row is not None
    assert row["state"] == state
    return row


FETCHED = {
    "peers": {
        "archive": {"kind": "folder", "path": "results"},
        "pacs": {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": 104},
    },
    "routes": [follow_up(**{"from": "pacs"})],
}


@pytest.mark.parametrize("config", [FETCHED], indirect=True)
def test_a_prior_is_fetched_when_a_route_wants_one(road: Road, receiver: int) -> None:
    """Asked for by C-FIND and C-MOVE; it comes by C-STORE, and starts nothing of its own."""
    before, today = dated("before", "20250101"), dated("today", "20260102")
    with Archive(instances=[*before, *today], node_port=receiver).running() as pacs:
        fetcher = Fetcher(
            name="pacs",
            settings=pacs.settings,
            ae_title="AI_NODE",
            spool=road.spool,
            database=road.database,
        )
        arrive(road.spool, road.database, today, now=LONG_AGO)
        road.intake.settle_quiet(now=road.database.now())
        when(road, StudyState.RECEIVING, today[0].StudyInstanceUID)
        while fetcher.fetch_due(now=road.database.now()):
            pass
        assert pacs.moved == [before[0].StudyInstanceUID]
    road.intake.settle_quiet(now=road.database.now())
    when(road, StudyState.PRIOR, before[0].StudyInstanceUID)
    run(road)
    (job,) = road.jobs()
    assert job.study_instance_uid == today[0].StudyInstanceUID
    assert set(job.inputs["then"]) == {ds.SOPInstanceUID for ds in before}
    assert job.outcome is Outcome.FINDINGS


@pytest.mark.parametrize("config", [FETCHED], indirect=True)
def test_a_study_goes_on_without_a_prior_that_does_not_come(road: Road) -> None:
    """And says which input it lacks."""
    today = dated("today", "20260102")
    arrive(road.spool, road.database, today, now=LONG_AGO)
    now = road.database.now()
    road.intake.settle_quiet(now=now)
    when(road, StudyState.RECEIVING, today[0].StudyInstanceUID)
    road.intake.settle_quiet(now=now + road.config.study.priors_s + 1)
    row = when(road, StudyState.REFUSED, today[0].StudyInstanceUID)
    assert "no series for the input then" in row["reason"]


@pytest.mark.parametrize("config", [FETCHED], indirect=True)
def test_nothing_is_asked_for_a_study_that_no_such_route_could_take(road: Road) -> None:
    images = dated("no images", "20260102")
    for ds in images:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    arrive(road.spool, road.database, images, now=LONG_AGO)
    road.intake.settle_quiet(now=road.database.now())
    row = when(road, StudyState.REFUSED, images[0].StudyInstanceUID)
    with road.database.read() as connection:
        assert fetches.of_study(connection, row["id"]) == []
