"""Studies that are stopped by what came: nothing goes on before a person has looked (P3, P6)."""

from typing import TYPE_CHECKING

from sqlalchemy import Connection, select, update

from dicom_ai_node.database import jobs_of_study, retractions
from dicom_ai_node.database.open_studies import next_change
from dicom_ai_node.database.tables import instance, study
from dicom_ai_node.study import StudyState

if TYPE_CHECKING:
    from dicom_ai_node.database.arrivals import ReceivedInstance

PATIENT_DIFFERS = (
    "instances of this study name different patients: nothing is analysed until the PACS has "
    "corrected it and sends it under a Study Instance UID of its own"
)
BYTES_DIFFER = (
    "an instance came twice with the same UID and different contents: nothing is analysed until "
    "the PACS sends the right one under UIDs of its own"
)


def conflict(
    connection: Connection,
    sop_instance_uid: str,
    *,
    now: float,
    came: "ReceivedInstance | None" = None,
) -> None:
    """Stop the study of the instance that was kept: a person must say which one is right.

    Where what `came` beside it is of the same study and another patient, that is what is wrong.
    """
    query = select(study).join(instance).where(instance.c.sop_instance_uid == sop_instance_uid)
    row = connection.execute(query).mappings().one()
    of_study = came is not None and came.study_instance_uid == row["study_instance_uid"]
    patient = came.patient_digest if came is not None and of_study else row["patient_digest"]
    differs = patient != row["patient_digest"] or row["reason"] == PATIENT_DIFFERS
    stop(connection, row["id"], PATIENT_DIFFERS if differs else BYTES_DIFFER, now)


def stop(connection: Connection, study_id: int, reason: str, now: float) -> None:
    """No processing, and no result that is not out already (P3, P6)."""
    connection.execute(
        update(study)
        .where(study.c.id == study_id)
        .values(state=StudyState.NEEDS_REVIEW, reason=reason, changed=next_change())
    )
    for job_id in jobs_of_study.ready_of_study(connection, study_id):
        retractions.count_as_tried(connection, job_id)
    jobs_of_study.cancel_of_study(connection, study_id, why=reason, now=now)
