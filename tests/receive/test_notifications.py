"""Notifications as a modality and an archive send them: what is answered, and what is kept."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    InstanceAvailabilityNotification,
    ModalityPerformedProcedureStep,
)

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import expectations
from dicom_ai_node.database.engine import Database
from dicom_ai_node.receive import attributes
from dicom_ai_node.study import WHOLE_STUDY, Expected
from tests.made import configuration
from tests.receive.scu import CT, association, slices

STUDY = "1.2.3"
UID = "2.25.77"
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
IAN = build_context(InstanceAvailabilityNotification, SYNTAXES)
MPPS = build_context(ModalityPerformedProcedureStep, SYNTAXES)


@pytest.fixture
def config(tmp_path: Path, request: pytest.FixtureRequest) -> Config:
    """PACS may notify, unless it is said what it may."""
    may = getattr(request, "param", ["echo", "store", "notify"])
    return configuration(
        tmp_path, accept=[{"ae_title": "PACS", "from": ["127.0.0.1/32"], "may": may}]
    )


@pytest.fixture
def assoc(receiver: int) -> Iterator[Association]:
    with association(receiver, [CT, IAN, MPPS]) as established:
        yield established


def reference(uid: str, sop_class: str = CTImageStorage, **more: Any) -> Dataset:
    ds = Dataset()
    ds.ReferencedSOPClassUID, ds.ReferencedSOPInstanceUID = sop_class, uid
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def availability(**series: Sequence[Dataset]) -> Dataset:
    """Series are called s1, s2, …; the patient is named, as everywhere in DICOM."""
    ds = Dataset()
    ds.PatientName, ds.PatientID = "Phantom^Left", "PHANTOM-1"
    ds.StudyInstanceUID = STUDY
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.ReferencedSeriesSequence = []
    for name, references in series.items():
        item = Dataset()
        item.SeriesInstanceUID = name.replace("s", "1.")
        item.ReferencedSOPSequence = list(references)
        ds.ReferencedSeriesSequence.append(item)
    return ds


def step(status: str | None = "IN PROGRESS", *studies: str) -> Dataset:
    ds = Dataset()
    ds.PatientName, ds.PatientID = "Phantom^Left", "PHANTOM-1"
    ds.Modality = "CT"
    if status is not None:
        ds.PerformedProcedureStepStatus = status
    ds.ScheduledStepAttributesSequence = []
    for uid in studies:
        item = Dataset()
        item.StudyInstanceUID = uid
        ds.ScheduledStepAttributesSequence.append(item)
    return ds


def performed(status: str | None = None, **series: Sequence[Dataset]) -> Dataset:
    """What an N-SET sets anew."""
    ds = Dataset()
    if status is not None:
        ds.PerformedProcedureStepStatus = status
    ds.PerformedSeriesSequence = []
    for name, references in series.items():
        item = Dataset()
        item.SeriesInstanceUID = name.replace("s", "1.")
        item.ReferencedImageSequence = list(references)
        item.ReferencedNonImageCompositeSOPInstanceSequence = []
        ds.PerformedSeriesSequence.append(item)
    return ds


def create(
    assoc: Association, ds: Dataset | None, service: str = InstanceAvailabilityNotification
) -> int:
    answer, _ = assoc.send_n_create(ds, service, UID)
    return int(answer.Status)


def begin(assoc: Association, ds: Dataset) -> int:
    return create(assoc, ds, ModalityPerformedProcedureStep)


def go_on(assoc: Association, ds: Dataset, uid: str = UID) -> int:
    answer, _ = assoc.send_n_set(ds, ModalityPerformedProcedureStep, uid)
    return int(answer.Status)


def kept(database: Database, study: str = STUDY) -> dict[str, tuple[int, set[str] | None, bool]]:
    """By series: how many images, which ones, and whether that is all."""
    with database.read() as connection:
        found = expectations.of_study(connection, study)
    return {each.series_instance_uid: _said(each) for each in found}


def _said(each: Expected) -> tuple[int, set[str] | None, bool]:
    names = each.sop_instance_uids
    return each.instances, None if names is None else set(names), each.is_final


TWO = [reference("1.1.1"), reference("1.1.2")]


def test_what_is_available_is_kept_by_its_uids(assoc: Association, database: Database) -> None:
    gone = reference("1.1.3", InstanceAvailability="UNAVAILABLE")
    report = reference("1.2.1", ComprehensiveSRStorage)
    assert create(assoc, availability(s1=[*TWO, gone], s2=[report])) == 0x0000
    assert kept(database) == {
        WHOLE_STUDY: (2, None, True),
        "1.1": (2, {"1.1.1", "1.1.2"}, True),
    }


def test_nothing_of_the_patient_is_kept(assoc: Association, database: Database) -> None:
    create(assoc, availability(s1=TWO))
    assert b"Phantom" not in database.path.read_bytes()


def test_a_notification_of_the_same_uid_is_refused(assoc: Association, database: Database) -> None:
    assert create(assoc, availability(s1=TWO)) == 0x0000
    assert create(assoc, availability(s1=TWO[:1])) == 0x0111
    assert kept(database)["1.1"][0] == 2
    assert begin(assoc, step("IN PROGRESS", STUDY)) == 0x0000  # another service: another object
    assert begin(assoc, step("IN PROGRESS", STUDY)) == 0x0111


def test_a_step_counts_when_it_is_completed(assoc: Association, database: Database) -> None:
    assert begin(assoc, step("IN PROGRESS", STUDY)) == 0x0000
    assert kept(database) == {WHOLE_STUDY: (0, None, False)}
    assert go_on(assoc, performed(s1=TWO[:1])) == 0x0000
    assert kept(database)["1.1"] == (1, {"1.1.1"}, False)
    assert go_on(assoc, performed("COMPLETED", s1=TWO)) == 0x0000
    assert kept(database) == {
        WHOLE_STUDY: (2, None, True),
        "1.1": (2, {"1.1.1", "1.1.2"}, True),
    }


def test_a_step_may_be_completed_without_saying_its_series_again(
    assoc: Association, database: Database
) -> None:
    begin(assoc, step("IN PROGRESS", STUDY))
    go_on(assoc, performed(s1=TWO))
    only_status = Dataset()
    only_status.PerformedProcedureStepStatus = "COMPLETED"
    assert go_on(assoc, only_status) == 0x0000
    assert kept(database)["1.1"] == (2, {"1.1.1", "1.1.2"}, True)


def test_a_step_that_is_discontinued_says_nothing(assoc: Association, database: Database) -> None:
    begin(assoc, step("IN PROGRESS", STUDY))
    assert go_on(assoc, performed("DISCONTINUED", s1=TWO)) == 0x0000
    assert kept(database) == {WHOLE_STUDY: (0, None, True)}


@pytest.mark.parametrize("status", ["COMPLETED", "DISCONTINUED"])
def test_a_step_that_has_ended_is_not_changed(
    assoc: Association, database: Database, status: str
) -> None:
    begin(assoc, step("IN PROGRESS", STUDY))
    go_on(assoc, performed(status, s1=TWO))
    before = kept(database)
    assert go_on(assoc, performed("COMPLETED", s1=TWO[:1])) == 0x0110
    assert kept(database) == before


def test_a_step_that_never_began_is_not_known(assoc: Association, database: Database) -> None:
    assert go_on(assoc, performed("COMPLETED", s1=TWO)) == 0x0112
    assert kept(database) == {}


def test_of_a_step_for_two_studies_only_its_end_is_known(
    assoc: Association, database: Database
) -> None:
    begin(assoc, step("IN PROGRESS", STUDY, "1.2.4"))
    go_on(assoc, performed("COMPLETED", s1=TWO))
    assert kept(database) == kept(database, "1.2.4") == {WHOLE_STUDY: (0, None, True)}


@pytest.mark.parametrize(
    ("ds", "status"),
    [
        (step("COMPLETED", STUDY), 0x0106),
        (step("FINISHED", STUDY), 0x0106),
        (step(None, STUDY), 0x0106),
        (step("IN PROGRESS"), 0x0120),
        (step("IN PROGRESS", "no UID"), 0x0106),
    ],
    ids=["completed", "no such status", "no status", "no study", "no UID"],
)
def test_a_step_that_does_not_begin_right_is_refused(
    assoc: Association, database: Database, ds: Dataset, status: int
) -> None:
    assert begin(assoc, ds) == status
    assert go_on(assoc, performed("COMPLETED", s1=TWO)) == 0x0112


def test_an_availability_that_cannot_be_read_is_refused(
    assoc: Association, database: Database
) -> None:
    without_study = availability(s1=TWO)
    del without_study.StudyInstanceUID
    assert create(assoc, without_study) == 0x0110
    assert create(assoc, availability(s1=[reference("../../etc")])) == 0x0106
    assert create(assoc, None) == 0x0110
    assert kept(database) == {}
    assert assoc.is_established


def test_a_data_set_without_end_is_refused(
    assoc: Association, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributes, "MAX_BYTES", 100)
    assert create(assoc, availability(s1=TWO)) == 0x0213
    monkeypatch.undo()
    monkeypatch.setattr(attributes, "MAX_ITEMS", 2)
    assert create(assoc, availability(s1=TWO)) == 0x0213
    monkeypatch.undo()
    assert create(assoc, availability(s1=TWO)) == 0x0000


def test_without_a_database_nothing_is_acknowledged(assoc: Association, database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE expectation RENAME TO aside")
    assert create(assoc, availability(s1=TWO)) == 0x0110


@pytest.mark.parametrize("config", [["echo", "store", "commitment"]], indirect=True)
def test_who_may_not_notify_gets_no_context_for_it(assoc: Association) -> None:
    assert {cx.abstract_syntax for cx in assoc.accepted_contexts} == {CTImageStorage}


def test_images_and_notifications_share_an_association(
    assoc: Association, database: Database
) -> None:
    assert [assoc.send_c_store(ds).Status for ds in slices(2)] == [0x0000] * 2
    assert create(assoc, availability(s1=TWO)) == 0x0000
    assert kept(database)["1.1"][0] == 2
