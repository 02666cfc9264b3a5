"""A result that a study, as it has grown, no longer bears out is taken back."""

import copy
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import Outcome
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import StudyState
from tests.dicom_factory import series
from tests.intake.in_process import Road
from tests.made import arrive, bright, configuration

LONG_AGO = 1_600_000_000.0


@pytest.fixture
def road(config: Config, spool: Spool, database: Database, tmp_path: Path) -> Road:
    return Road(config, spool, database, {"bright": bright(tmp_path)})


def phase(number: int) -> list[Dataset]:
    """The same places again for each."""
    made = [copy.deepcopy(ds) for ds in series(name="revised", shape=(6, 8, 8))]
    for k, ds in enumerate(made):
        ds.TemporalPositionIdentifier = number
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.{number}.{k}"
    return made


def come(road: Road, instances: list[Dataset], *, after: float) -> None:
    arrive(road.spool, road.database, instances, now=LONG_AGO + after)
    road.intake.settle_quiet(now=road.database.now())
    road.work()


def test_a_result_is_taken_back_when_its_series_suits_no_longer(road: Road) -> None:
    """A second phase came late, and no rule says which is meant: the report says so."""
    come(road, phase(1), after=0)
    (first,) = road.jobs()
    assert first.outcome is Outcome.FINDINGS
    come(road, phase(2), after=1000)
    second = road.jobs()[-1]
    assert (second.outcome, second.supersedes) == (Outcome.NOT_SUITABLE, first.id)
    assert "2 parts of one series suit the model" in str(second.reason)
    assert second.send_to == first.send_to
    with road.database.read() as connection:
        row = studies.find(connection, second.study_instance_uid)
    assert row is not None
    assert row["state"] == StudyState.REFUSED
    before, report = (pydicom.dcmread(road.objects(job)["sr"]) for job in (first, second))
    (study,) = report.PredecessorDocumentsSequence
    (document,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert document.ReferencedSOPInstanceUID == before.SOPInstanceUID


def test_it_is_taken_back_once(road: Road) -> None:
    come(road, phase(1), after=0)
    come(road, phase(2), after=1000)
    come(road, phase(2), after=2000)
    assert len(road.jobs()) == 2


def test_a_result_stays_while_its_series_is_what_it_was(road: Road) -> None:
    come(road, phase(1), after=0)
    other = [copy.deepcopy(ds) for ds in series(name="other", study="revised", modality="MR")]
    come(road, other, after=1000)
    assert len(road.jobs()) == 1


def test_a_result_that_was_taken_back_and_holds_again_is_made_again(
    road: Road, tmp_path: Path
) -> None:
    """The rules were mended: what stands in the PACS must not be the report that took it back."""
    come(road, phase(1), after=0)
    come(road, phase(2), after=1000)
    choosing = configuration(
        tmp_path, routes=[{"model": "bright", "send_to": ["archive"], "tie": ["-$instances"]}]
    )
    mended = Road(choosing, road.spool, road.database, road.models)
    with mended.database.write() as connection:
        assert studies.reopen(connection, phase(1)[0].StudyInstanceUID)
    mended.intake.settle_quiet(now=mended.database.now())
    mended.work()
    assert mended.jobs()[-1].outcome is Outcome.FINDINGS
    first, second, third = mended.jobs()
    report = pydicom.dcmread(mended.objects(third)["sr"])
    (study,) = report.PredecessorDocumentsSequence
    (document,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    taken_back = pydicom.dcmread(mended.objects(second)["sr"])
    assert document.ReferencedSOPInstanceUID == taken_back.SOPInstanceUID
    assert third.inputs == first.inputs


@pytest.mark.parametrize("routes", [["1.0"], ["1.0", None], ["1.0", "2.0"]])
def test_a_route_that_names_its_version_takes_no_result_back(
    road: Road, tmp_path: Path, routes: list[str | None]
) -> None:
    """The same work under another name; another version beside it is work of its own."""
    come(road, phase(1), after=0)
    newer = bright(tmp_path, version="2.0").model_copy(update={"sha256": "6" * 64})
    models = {"bright": road.models["bright"], "bright 1.0": road.models["bright"]}
    named = [
        {"model": "bright", "version": version, "name": f"r{n}", "send_to": ["archive"]}
        for n, version in enumerate(routes)
    ]
    configured = configuration(tmp_path, routes=named)
    again = Road(configured, road.spool, road.database, models | {"bright 2.0": newer})
    with again.database.write() as connection:
        assert studies.reopen(connection, phase(1)[0].StudyInstanceUID)
    again.intake.settle_quiet(now=again.database.now())
    again.work()
    first, *others = again.jobs()
    assert [(job.version, job.outcome, job.supersedes) for job in others] == (
        [("2.0", Outcome.FINDINGS, None)] if "2.0" in routes else []
    )
    assert first in again.results()
