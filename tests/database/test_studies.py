"""Studies: what came, from whom, and whether it is one patient."""

import pytest
from sqlalchemy import Connection, RowMapping

from dicom_ai_node.database import arrivals, jobs, open_studies, studies
from dicom_ai_node.database.arrivals import Arrival
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.stopped import BYTES_DIFFER, PATIENT_DIFFERS
from dicom_ai_node.job import JobState
from dicom_ai_node.study import StudyState
from tests.database.made import NOW, claimed, enqueued, received


def add(connection: Connection, instance: str, *, now: float = NOW, **changes: object) -> Arrival:
    return arrivals.add(connection, received(instance, **changes), f"{instance}.dcm", now=now)


def the_study(connection: Connection) -> RowMapping:
    row = studies.find(connection, "1.2")
    assert row is not None
    return row


def settle(connection: Connection, row: RowMapping, *, now: float = NOW) -> bool:
    entry = {
        "series_instance_uid": "1.2.3",
        "modality": "CT",
        "instances": 1,
        "route": "bright",
        "matched": True,
        "failed_clauses": [],
    }
    return studies.settle(
        connection, row, StudyState.ROUTED, reason=None, verdicts=[entry], now=now
    )


def test_the_first_instance_opens_the_study(database: Database) -> None:
    with database.write() as connection:
        assert add(connection, "1") is Arrival.NEW
        row = the_study(connection)
        assert (row["state"], row["calling_ae_title"]) == (StudyState.RECEIVING, "PACS")
        (entry,) = studies.listing(connection)
        assert (entry["study_instance_uid"], entry["instances"]) == ("1.2", 1)


@pytest.mark.fault("D6")
def test_the_same_bytes_again_change_nothing(database: Database) -> None:
    with database.write() as connection:
        add(connection, "1")
        before = the_study(connection)
        again = arrivals.add(connection, received("1"), "again.dcm", now=NOW + 9)
        assert again is Arrival.DUPLICATE
        assert dict(the_study(connection)) == dict(before)


@pytest.mark.parametrize(
    "changes",
    [{"sha256": "b" * 64}, {"series_instance_uid": "1.2.4"}, {"study_instance_uid": "1.9"}],
    ids=["other bytes", "other series", "other study"],
)
def test_one_uid_for_two_things_needs_a_person(
    database: Database, changes: dict[str, object]
) -> None:
    with database.write() as connection:
        add(connection, "1")
        assert add(connection, "1", **changes) is Arrival.CONFLICT
        row = the_study(connection)
        assert (row["state"], row["reason"]) == (StudyState.NEEDS_REVIEW, BYTES_DIFFER)
        assert len(studies.instance_rows(connection, row["id"])) == 1


def test_two_patients_in_a_study_need_a_person_for_good(database: Database) -> None:
    with database.write() as connection:
        add(connection, "1")
        add(connection, "2", patient_digest="q" * 64)
        add(connection, "3")
        row = the_study(connection)
        assert (row["state"], row["reason"]) == (StudyState.NEEDS_REVIEW, PATIENT_DIFFERS)
        assert open_studies.changed(connection, after=-1) == []


def test_a_change_is_seen_once(database: Database) -> None:
    with database.write() as connection:
        add(connection, "1")
        (row,) = open_studies.changed(connection, after=-1)
        assert open_studies.changed(connection, after=row["changed"]) == []
        add(connection, "2")
        (again,) = open_studies.changed(connection, after=row["changed"])
        assert again["changed"] > row["changed"]


def test_the_end_of_an_association_is_a_change_until_more_comes(database: Database) -> None:
    with database.write() as connection:
        add(connection, "1")
        row = the_study(connection)
        assert row["association_ended_at"] is None
        open_studies.association_ended(connection, row["study_instance_uid"], at=NOW + 1)
        (again,) = open_studies.changed(connection, after=row["changed"])
        assert again["association_ended_at"] == NOW + 1
        add(connection, "2", now=NOW + 2)
        assert the_study(connection)["association_ended_at"] is None


def test_a_study_that_waits_for_what_is_missing_says_so_until_it_comes(
    database: Database,
) -> None:
    with database.write() as connection:
        add(connection, "1")
        row = the_study(connection)
        assert open_studies.mark_incomplete(connection, row, "1 of 2")
        assert (the_study(connection)["state"], the_study(connection)["reason"]) == (
            StudyState.INCOMPLETE,
            "1 of 2",
        )
        assert studies.waiting(connection) == 1
        add(connection, "2")
        assert the_study(connection)["state"] == StudyState.RECEIVING
        assert not open_studies.mark_incomplete(connection, row, "1 of 2")
        assert settle(connection, the_study(connection))
        assert not open_studies.mark_incomplete(connection, the_study(connection), "1 of 2")


def test_a_late_instance_reopens_the_study(database: Database) -> None:
    with database.write() as connection:
        add(connection, "1")
        assert settle(connection, the_study(connection))
        assert open_studies.changed(connection, after=-1) == []
        add(connection, "2", now=NOW + 50)
        assert the_study(connection)["state"] == StudyState.RECEIVING
        assert len(open_studies.changed(connection, after=-1)) == 1
        assert settle(connection, the_study(connection))
        assert the_study(connection)["revision"] == 2


@pytest.mark.parametrize("after", [5, 0, -5], ids=["later", "the same instant", "a file found"])
def test_a_study_that_has_grown_is_not_settled(database: Database, after: float) -> None:
    """Even where the clock did not move, or a rescan adopts an older file."""
    with database.write() as connection:
        add(connection, "1")
        row = the_study(connection)
        add(connection, "2", now=NOW + after)
        assert not settle(connection, row, now=NOW + 10)
        assert studies.verdicts(connection, row["id"]) == []
        assert settle(connection, the_study(connection), now=NOW + 20)


def test_a_second_judgement_replaces_the_first(database: Database) -> None:
    with database.write() as connection:
        add(connection, "1")
        for number in (2, 3):
            settle(connection, the_study(connection))
            add(connection, str(number))
        settle(connection, the_study(connection))
        assert len(studies.verdicts(connection, the_study(connection)["id"])) == 1


def test_what_is_old_and_finished_expires(database: Database) -> None:
    with database.write() as connection:
        add(connection, "1")
        assert studies.expired(connection, before=NOW + 1) == []
        settle(connection, the_study(connection))
        assert studies.expired(connection, before=NOW) == []
        assert len(studies.expired(connection, before=NOW + 1)) == 1
        enqueued(connection)
        assert studies.expired(connection, before=NOW + 1) == []
        jobs.move(connection, claimed(connection), JobState.CANCELLED, now=NOW)
        assert len(studies.expired(connection, before=NOW + 1)) == 1


def test_a_purged_study_is_still_known(database: Database) -> None:
    with database.write() as connection:
        add(connection, "1")
        add(connection, "2")
        assert arrivals.files(connection) == {"1.dcm", "2.dcm"}
        row = the_study(connection)
        assert sorted(studies.purge(connection, row["id"])) == ["1.dcm", "2.dcm"]
        assert the_study(connection)["state"] == StudyState.PURGED
        assert arrivals.files(connection) == set()


@pytest.mark.parametrize(
    ("instance", "changes"),
    [("1", {"sha256": "b" * 64}), ("2", {"patient_digest": "q" * 64})],
    ids=["other contents", "other patient"],
)
def test_doubt_about_a_study_stops_what_is_not_out_yet(
    database: Database, instance: str, changes: dict[str, str]
) -> None:
    """No result for a study of which it is not sure whose it is (P3, P6)."""
    with database.write() as connection:
        add(connection, "1")
        row = the_study(connection)
        settle(connection, row)
        for key in ("waits", "runs"):
            enqueued(connection, key)
        claimed(connection)
        add(connection, instance, **changes)
        assert the_study(connection)["state"] == StudyState.NEEDS_REVIEW
        states = {job.state for job in jobs.listing(connection)}
    assert states == {JobState.CANCELLED}
