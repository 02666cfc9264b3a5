"""Results of one model on other studies of the same patient."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from dicom_ai_node.database.retracted import was_corrected, was_retracted
from dicom_ai_node.database.tables import job, study
from dicom_ai_node.job import Job, JobState, Outcome

WITH_RESULT = (JobState.READY, JobState.DONE, JobState.UNDELIVERED)
MARKED = (Outcome.FINDINGS, Outcome.PARTLY)


def keys_of_patient(connection: Connection, current: Job, *, most: int) -> Sequence[str]:
    """The keys of jobs that found something, in any version of the model, and that nobody took
    back; newest first."""
    patient = select(study.c.patient_digest).where(study.c.id == current.study_id)
    query = (
        select(job.c.key)
        .join(study, job.c.study_id == study.c.id)
        .where(
            study.c.patient_digest == patient.scalar_subquery(),
            study.c.id != current.study_id,
            job.c.model == current.model,
            job.c.state.in_(WITH_RESULT),
            job.c.outcome.in_(MARKED),
            ~was_retracted(),
            ~was_corrected(),
        )
        .order_by(job.c.id.desc())
        .limit(most)
    )
    return connection.execute(query).scalars().all()
