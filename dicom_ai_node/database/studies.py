"""Studies: what is stored of them, how they were judged, when they may go."""

from collections.abc import Sequence

from sqlalchemy import (
    Connection,
    RowMapping,
    delete,
    func,
    insert,
    select,
    true,
    update,
)

from dicom_ai_node.database.open_studies import next_change
from dicom_ai_node.database.rejections import is_rejected
from dicom_ai_node.database.tables import delivery, fetch, instance, job, study, verdict
from dicom_ai_node.job import FINAL_STATES, JobState
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import OPEN_STATES, Instance, StudyState

_WITH_STUDY = select(instance, study.c.study_instance_uid).join(study)
_OF_STUDY = _WITH_STUDY.order_by(instance.c.sop_instance_uid)
_SETTLED = (StudyState.ROUTED, StudyState.REFUSED, StudyState.PRIOR)
_LIVE = tuple(state for state in JobState if state not in FINAL_STATES)
_AT_ONCE = 500  # bound parameters of one statement


def settle(
    connection: Connection,
    row: RowMapping,
    state: StudyState,
    *,
    reason: str | None,
    verdicts: Sequence[dict[str, object]],
    evidence: str | None = None,
    now: float,
) -> bool:
    """Record how a complete study was judged; False when it has grown since `row` was read.

    `evidence` says by what it was found complete.
    """
    settled = connection.execute(
        update(study)
        .where(
            study.c.id == row["id"],
            study.c.state.in_(OPEN_STATES),
            study.c.last_received_at == row["last_received_at"],
        )
        .values(
            state=state,
            reason=reason,
            evidence=evidence,
            revision=study.c.revision + 1,
            routed_at=now,
        )
    )
    if settled.rowcount != 1:
        return False
    connection.execute(delete(verdict).where(verdict.c.study_id == row["id"]))
    if verdicts:
        rows = [{**entry, "study_id": row["id"], "at": now} for entry in verdicts]
        connection.execute(insert(verdict), rows)
    return True


def instances(connection: Connection, spool: Spool, study_id: int) -> Sequence[Instance]:
    """Of a study, those that no note rejects, in the order of their UIDs."""
    query = _OF_STUDY.where(instance.c.study_id == study_id, ~is_rejected())
    return [_instance(row, spool) for row in connection.execute(query).mappings()]


def instances_after(
    connection: Connection, spool: Spool, study_id: int, instance_id: int, *, most: int
) -> Sequence[tuple[RowMapping, Instance]]:
    """Those that came after an instance of the same study, in the order of their coming."""
    query = (
        _WITH_STUDY.where(instance.c.study_id == study_id, instance.c.id > instance_id)
        .order_by(instance.c.id)
        .limit(most)
    )
    return [(row, _instance(row, spool)) for row in connection.execute(query).mappings()]


def instances_named(
    connection: Connection, spool: Spool, uids: Sequence[str]
) -> Sequence[Instance]:
    """Those of these SOP Instance UIDs that are there, of whatever study, in their order."""
    found: list[RowMapping] = []
    for at in range(0, len(uids), _AT_ONCE):
        named = instance.c.sop_instance_uid.in_(uids[at : at + _AT_ONCE])
        found += connection.execute(_WITH_STUDY.where(named)).mappings().all()
    return sorted((_instance(row, spool) for row in found), key=lambda each: each.sop_instance_uid)


def instance_rows(connection: Connection, study_id: int) -> Sequence[RowMapping]:
    """All that is here of a study."""
    query = _OF_STUDY.where(instance.c.study_id == study_id)
    return connection.execute(query).mappings().all()


def _instance(row: RowMapping, spool: Spool) -> Instance:
    return Instance(
        study_instance_uid=row["study_instance_uid"],
        series_instance_uid=row["series_instance_uid"],
        sop_class_uid=row["sop_class_uid"],
        sop_instance_uid=row["sop_instance_uid"],
        transfer_syntax_uid=row["transfer_syntax_uid"],
        sha256=row["sha256"],
        path=spool.instance_path(row["file"]),
    )


def a_file(connection: Connection, study_instance_uid: str) -> str | None:
    """The first of its instances that came, where its files are still here."""
    found: str | None = connection.execute(
        select(instance.c.file)
        .join(study, study.c.id == instance.c.study_id)
        .where(study.c.study_instance_uid == study_instance_uid)
        .limit(1)
    ).scalar()
    return found


def find(connection: Connection, study_instance_uid: str) -> RowMapping | None:
    return (
        connection.execute(select(study).where(study.c.study_instance_uid == study_instance_uid))
        .mappings()
        .one_or_none()
    )


def patient_digest(connection: Connection, study_id: int) -> str:
    return str(connection.scalar(select(study.c.patient_digest).where(study.c.id == study_id)))


def of_patient(connection: Connection, patient_digest: str) -> Sequence[RowMapping]:
    """Settled studies of one patient of which nothing was deleted, in no order."""
    query = select(study).where(
        study.c.patient_digest == patient_digest, study.c.state.in_(_SETTLED)
    )
    return connection.execute(query).mappings().all()


def reopen_prior(
    connection: Connection,
    study_instance_uid: str,
    *,
    calling_ae_title: str,
    called_ae_title: str,
    now: float,
) -> None:
    """Somebody sends what was only fetched for comparison: it is judged like any other study."""
    connection.execute(
        update(study)
        .where(study.c.study_instance_uid == study_instance_uid, study.c.state == StudyState.PRIOR)
        .values(
            state=StudyState.RECEIVING,
            reason=None,
            calling_ae_title=calling_ae_title,
            called_ae_title=called_ae_title,
            last_received_at=now,
            changed=next_change(),
        )
    )


def reopen(connection: Connection, study_instance_uid: str) -> bool:
    """Have a study judged again, by the routes as they are now; False where it is not settled."""
    reopened = connection.execute(
        update(study)
        .where(
            study.c.study_instance_uid == study_instance_uid,
            study.c.state.in_((StudyState.ROUTED, StudyState.REFUSED)),
        )
        .values(state=StudyState.RECEIVING, reason=None, changed=next_change())
    )
    return reopened.rowcount == 1


def listing(connection: Connection, *, limit: int = 100) -> Sequence[RowMapping]:
    """The newest studies first, with the number of their instances."""
    newest = select(study.c.id).order_by(study.c.last_received_at.desc()).limit(limit)
    counted = select(func.count()).where(instance.c.study_id == study.c.id).scalar_subquery()
    query = (
        select(study, counted.label("instances"))
        .where(study.c.id.in_(newest))
        .order_by(study.c.last_received_at.desc())
    )
    return connection.execute(query).mappings().all()


def verdicts(connection: Connection, study_id: int) -> Sequence[RowMapping]:
    query = select(verdict).where(verdict.c.study_id == study_id).order_by(verdict.c.id)
    return connection.execute(query).mappings().all()


def waiting(connection: Connection) -> int:
    """Studies that are still coming, or of which a job has not begun."""
    # one after the other: for a condition with OR, SQLite looks at every study
    coming = select(func.count()).where(study.c.state.in_(OPEN_STATES))
    queued = select(job.c.study_id).where(job.c.state == JobState.QUEUED)
    others = select(func.count()).where(study.c.id.in_(queued), study.c.state.not_in(OPEN_STATES))
    return int(connection.scalar(coming) or 0) + int(connection.scalar(others) or 0)


def expired(
    connection: Connection, *, before: float, study_id: int | None = None
) -> Sequence[RowMapping]:
    """Studies that may be purged, or one of them: nothing came and nothing was delivered since
    `before`, and no job still needs them."""
    busy = select(job.c.study_id).where(job.c.state.in_(_LIVE))
    delivered_since = (
        select(delivery.c.id)
        .join_from(delivery, job)
        .where(job.c.study_id == study.c.id, delivery.c.finished_at >= before)
        .exists()
    )
    compared = select(fetch.c.study_instance_uid).where(fetch.c.for_study_id.in_(busy))
    query = select(study).where(
        study.c.id == study_id if study_id is not None else true(),
        study.c.last_received_at < before,
        study.c.held_at.is_(None),
        study.c.state.in_((*_SETTLED, StudyState.DISCARDED)),  # of which results are left
        study.c.id.not_in(busy),
        study.c.study_instance_uid.not_in(compared),
        ~delivered_since,
    )
    return connection.execute(query).mappings().all()


def purge(connection: Connection, study_id: int) -> list[str]:
    """Forget the instances of a study and return their files; the study and its jobs stay known."""
    rows = connection.execute(select(instance.c.file).where(instance.c.study_id == study_id))
    names = list(rows.scalars())
    connection.execute(delete(instance).where(instance.c.study_id == study_id))
    connection.execute(
        update(study).where(study.c.id == study_id).values(state=StudyState.PURGED, reason=None)
    )
    return names
