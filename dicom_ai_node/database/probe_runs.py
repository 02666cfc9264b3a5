"""How the node tried itself: one row a run, and the studies that are no patient's."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, insert, select, update

from dicom_ai_node.database.tables import job, probe_run, study
from dicom_ai_node.study import StudyState


class Stage(enum.StrEnum):
    """Where a run is, or where it stopped; in this order."""

    SENDING = "sending"  # to the node's own receiver
    JUDGING = "judging"  # by the routes, once it is complete
    WORKING = "working"  # by the model
    DELIVERING = "delivering"
    ASKING = "asking"  # the peer, whether it has what it took
    COMPARING = "comparing"  # the answer with the known one


STAGES = tuple(Stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRun:
    """`passed` is None until it has ended; times are seconds since the epoch."""

    id: int
    study_instance_uid: str
    model: str
    peer: str
    stage: Stage
    waits_for: str | None  # why it does not go on, in a sentence
    started_at: float
    looked_at: float | None  # when the node last saw to it
    finished_at: float | None
    passed: bool | None
    reason: str | None  # why it did not pass


_COLUMNS = tuple(probe_run.c[name] for name in ProbeRun.__dataclass_fields__)


def begin(
    connection: Connection, *, study_instance_uid: str, model: str, peer: str, now: float
) -> ProbeRun:
    """A run, or the one that has not ended yet: there is one at a time."""
    if (known := under_way(connection)) is not None:
        return known
    values = {
        "study_instance_uid": study_instance_uid,
        "model": model,
        "peer": peer,
        "stage": Stage.SENDING,
        "started_at": now,
    }
    inserted = connection.execute(insert(probe_run).values(values).returning(*_COLUMNS))
    return _run(inserted.mappings().one())


def under_way(connection: Connection) -> ProbeRun | None:
    return _first(connection, probe_run.c.finished_at.is_(None))


def last_finished(connection: Connection) -> ProbeRun | None:
    return _first(connection, probe_run.c.finished_at.is_not(None))


def last(connection: Connection) -> ProbeRun | None:
    return _first(connection)


def find(connection: Connection, run_id: int) -> ProbeRun | None:
    return _first(connection, probe_run.c.id == run_id)


def of_study(connection: Connection, study_instance_uid: str) -> ProbeRun | None:
    """None for a patient's."""
    return _first(connection, probe_run.c.study_instance_uid == study_instance_uid)


def _first(connection: Connection, *where: ColumnElement[bool]) -> ProbeRun | None:
    query = select(*_COLUMNS).where(*where).order_by(probe_run.c.id.desc()).limit(1)
    row = connection.execute(query).mappings().first()
    return _run(row) if row else None


def _run(row: RowMapping) -> ProbeRun:
    return ProbeRun(**{**row, "stage": Stage(row["stage"])})


def note(
    connection: Connection, run: ProbeRun, stage: Stage, *, waits_for: str | None, now: float
) -> None:
    """How far it is."""
    _set(connection, run, stage=stage, waits_for=waits_for, looked_at=now)


def finish(
    connection: Connection, run: ProbeRun, stage: Stage, *, reason: str | None, now: float
) -> None:
    """It has passed where there is no reason that it did not."""
    _set(
        connection,
        run,
        stage=stage,
        waits_for=None,
        looked_at=now,
        finished_at=now,
        passed=reason is None,
        reason=reason,
    )


def _set(connection: Connection, run: ProbeRun, **values: object) -> None:
    connection.execute(update(probe_run).where(probe_run.c.id == run.id).values(values))


def to_remove(
    connection: Connection, *, passed_before: float, failed_before: float
) -> Sequence[tuple[int, int | None]]:
    """Runs that ended before then and are not removed yet, and the row of the study, unless nothing
    of it is left here."""
    is_here = and_(
        study.c.study_instance_uid == probe_run.c.study_instance_uid,
        study.c.state != StudyState.PURGED,
    )
    query = (
        select(probe_run.c.id, study.c.id)
        .outerjoin(study, is_here)
        .where(
            ~probe_run.c.is_removed,
            (probe_run.c.passed & (probe_run.c.finished_at < passed_before))
            | (~probe_run.c.passed & (probe_run.c.finished_at < failed_before)),
        )
    )
    return [(run_id, study_id) for run_id, study_id in connection.execute(query)]


def removed(connection: Connection, run_id: int) -> None:
    connection.execute(update(probe_run).where(probe_run.c.id == run_id).values(is_removed=True))


def is_of_probe() -> ColumnElement[bool]:
    """Of a job: it is nobody's, and in no statistics."""
    return job.c.study_instance_uid.in_(select(probe_run.c.study_instance_uid))


def is_probe() -> ColumnElement[bool]:
    """The same of a study."""
    return study.c.study_instance_uid.in_(select(probe_run.c.study_instance_uid))
