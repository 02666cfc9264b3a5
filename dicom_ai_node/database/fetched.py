"""What came because it was fetched as a prior, and not because somebody sent it."""

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, exists, func, or_, select

from dicom_ai_node.database import missed
from dicom_ai_node.database.fetches import OF_PRIORS, QUESTION, FetchState
from dicom_ai_node.database.tables import fetch, instance, study
from dicom_ai_node.study import StudyState

# after the last answer to C-MOVE, in which some of the study may still come (some peers answer
# first); who sends it in this time is taken for the fetch
STRAGGLERS_S = 60.0


def receiving(connection: Connection) -> Sequence[RowMapping]:
    """Studies that are coming, of those that were ever fetched."""
    fetched = select(fetch.c.study_instance_uid).where(OF_PRIORS, fetch.c.started_at.is_not(None))
    query = select(study).where(
        study.c.state == StudyState.RECEIVING, study.c.study_instance_uid.in_(fetched)
    )
    return connection.execute(query).mappings().all()


def came_by_fetch(connection: Connection, row: RowMapping) -> bool:
    """True for a study whose first and last instance came while it was fetched.

    What somebody sends at any other time makes it a study like all others; and so does that it was
    missed.
    """
    uid, last = row["study_instance_uid"], row["last_received_at"]
    first = connection.scalar(
        select(func.min(instance.c.received_at)).where(instance.c.study_id == row["id"])
    )
    return (
        first is not None
        and not missed.was_missed(connection, uid)
        and _is_fetched_at(connection, uid, first)
        and _is_fetched_at(connection, uid, last)
    )


def has_come(connection: Connection, row: RowMapping) -> bool:
    """True when every fetch of it has ended well, and all that peers say they sent is here."""
    fetched = OF_PRIORS & (fetch.c.study_instance_uid == row["study_instance_uid"])
    others = select(fetch.c.id).where(fetched, fetch.c.state != FetchState.MOVED).limit(1)
    expected = connection.scalar(select(func.max(fetch.c.instances)).where(fetched))
    here = connection.scalar(
        select(func.count()).select_from(instance).where(instance.c.study_id == row["id"])
    )
    return connection.scalar(others) is None and (here or 0) >= (expected or 0)


def is_idle_prior(connection: Connection, study_instance_uid: str, *, now: float) -> bool:
    """True for a study that is here only because it was fetched, and is not fetched now."""
    state = connection.scalar(
        select(study.c.state).where(study.c.study_instance_uid == study_instance_uid)
    )
    return state == StudyState.PRIOR and (
        missed.was_missed(connection, study_instance_uid)
        or not _is_fetched_at(connection, study_instance_uid, now)
    )


def is_under_way(connection: Connection, row: RowMapping, *, now: float) -> bool:
    """True while a study is fetched, for whatever reason, or its priors are: something may still
    come, or came and is not settled. Without the rows, it would be taken for what somebody sends.
    """
    of_it = or_(
        fetch.c.for_study_id == row["id"],
        fetch.c.study_instance_uid == row["study_instance_uid"],
    )
    still_comes = (fetch.c.state == FetchState.MOVING) | (fetch.c.finished_at >= now - STRAGGLERS_S)
    unsettled = exists().where(
        study.c.study_instance_uid == fetch.c.study_instance_uid,
        study.c.state == StudyState.RECEIVING,
        study.c.id != row["id"],
    )
    query = select(fetch.c.id).where(
        of_it, fetch.c.started_at.is_not(None), fetch.c.study_instance_uid != QUESTION
    )
    return connection.scalar(query.where(still_comes | unsettled).limit(1)) is not None


def _is_fetched_at(connection: Connection, study_instance_uid: str, when: float) -> bool:
    query = select(fetch.c.id).where(
        OF_PRIORS,
        fetch.c.study_instance_uid == study_instance_uid,
        fetch.c.started_at <= when,
        or_(fetch.c.finished_at.is_(None), fetch.c.finished_at >= when - STRAGGLERS_S),
    )
    return connection.scalar(query.limit(1)) is not None
