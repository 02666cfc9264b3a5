"""The next step of a study is one that works."""

from dataclasses import replace

from dicom_ai_node import next_step
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import NOTE_SUBJECT, JobState
from dicom_ai_node.study import LOST_INSTANCES, StudyState
from tests.database.made import enqueued


def test_after_a_retraction_nobody_is_told_that_every_result_is_delivered(
    database: Database,
) -> None:
    with database.write() as connection:
        job = enqueued(connection)
    done = replace(job, state=JobState.DONE)
    assert "every result is delivered" in next_step.of_study(StudyState.ROUTED, [done])
    note = replace(done, id=job.id + 1, subject=f"{NOTE_SUBJECT}pacs")
    told = next_step.of_study(StudyState.ROUTED, [done, note])
    assert "taken back" in told
    assert "`studies judge`" in told
    made_again = replace(done, id=job.id + 2)
    told = next_step.of_study(StudyState.ROUTED, [done, note, made_again])
    assert "every result is delivered" in told


def test_what_is_lost_is_sent_again_and_not_reviewed() -> None:
    """A person cannot say that images are right which are gone."""
    told = next_step.of_study(StudyState.NEEDS_REVIEW, [], reason=LOST_INSTANCES)
    assert told.startswith("send it again")
    told = next_step.of_study(StudyState.NEEDS_REVIEW, [], reason="something else")
    assert "`studies discard`" in told
