"""Which jobs were made of an image: also by comparison with it, and on the mask that it gave."""

from dataclasses import replace

from sqlalchemy import Connection

from dicom_ai_node.database import corrections, jobs, new_jobs, rejections, studies
from dicom_ai_node.database.corrections import Correction
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.new_jobs import NewJob
from dicom_ai_node.database.rejections import RejectedImages
from dicom_ai_node.job import Job, JobState
from dicom_ai_node.spool import Spool
from tests.dicom_factory import series
from tests.made import arrive

NOW = 1_700_000_000.0
WRONG = Correction(why="a note came", rejection="quality")


def wanted(study_id: int, study: str, name: str, *uids: str) -> NewJob:
    return NewJob(
        key=name,
        study_id=study_id,
        study_instance_uid=study,
        series_instance_uid="1.2",
        model=name,
        version="1",
        subject=name,
        send_to=("pacs",),
        inputs={"image": uids},
    )


def queued(connection: Connection, new: NewJob) -> Job:
    job = new_jobs.enqueue(connection, new, now=NOW)
    assert job is not None
    return job


def test_comparisons_and_what_was_built_on_a_mask_are_found(
    database: Database, spool: Spool
) -> None:
    before, after, strange = (
        series(name=name, shape=(2, 4, 4), patient_id=patient)
        for name, patient in (("before", "A"), ("after", "A"), ("strange", "B"))
    )
    arrive(spool, database, [*before, *after, *strange], now=NOW)
    (bad,), study = [before[0].SOPInstanceUID], before[0].StudyInstanceUID
    with database.write() as connection:
        ids = {}
        for made in (before, after, strange):
            row = studies.find(connection, made[0].StudyInstanceUID)
            assert row is not None
            ids[made[0].StudyInstanceUID] = row["id"]
        later, other = after[0].StudyInstanceUID, strange[0].StudyInstanceUID
        first = queued(connection, wanted(ids[study], study, "first", bad))
        on_mask = replace(wanted(ids[study], study, "on-mask", "1.9"), uses={"mask": "first"})
        second = queued(connection, on_mask)
        compared = queued(connection, wanted(ids[later], later, "compared", "1.8", bad))
        queued(connection, wanted(ids[study], study, "another", "1.7"))
        queued(connection, wanted(ids[other], other, "unrelated", "1.6"))
        found = corrections.made_from(connection, [study], [bad])
        assert [each.id for each in found] == [first.id, second.id, compared.id]
        assert corrections.correct(connection, found, WRONG, now=NOW) == []
        states = {job.model: job.state for job in jobs.listing(connection)}
    stopped = {name for name, state in states.items() if state is JobState.CANCELLED}
    assert stopped == {"first", "on-mask", "compared"}


def test_what_two_notes_reject_counts_once(database: Database, spool: Spool) -> None:
    made = series(shape=(3, 4, 4))
    arrive(spool, database, made, now=NOW)
    uids = [ds.SOPInstanceUID for ds in made]
    with database.write() as connection:
        rejections.add(connection, "1.1", "113001", uids[:2], now=NOW)
        rejections.add(connection, "1.2", "113001", [uids[1], "1.2.3"], now=NOW)
        rejections.add(connection, "1.3", "113039", [], now=NOW)
        found = rejections.of_study(connection, 1)
        left = studies.instances(connection, spool, 1)
    assert found == [RejectedImages(code="113001", instances=2)]
    assert str(found[0]) == (
        "2 of its instances were rejected by a note (Rejected for Quality Reasons)"
    )
    assert [each.sop_instance_uid for each in left] == [uids[2]]
