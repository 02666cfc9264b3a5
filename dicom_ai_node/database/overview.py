"""What the web page asks beside what verbs ask: many jobs, peers or models at once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from sqlalchemy import ColumnElement, Connection, Integer, RowMapping, cast, func, select

from dicom_ai_node.database.tables import delivery, expectation, instance, job, job_event, study
from dicom_ai_node.job import DeliveryState, Outcome

_LAST = 200  # results of a model, of which timings are told
_LOOKED_AT = 20_000  # rows at most, so that a page takes no longer when the tables grow
_P95 = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Of seconds."""

    median: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFigures:
    """Of one version: what its jobs came to lately and before, and how long they took.

    `stages` are those of `Job.timings`, and of the last results alone.
    """

    lately: Mapping[str, int]
    before: Mapping[str, int]
    stages: Mapping[str, Spread]
    results: int  # from which the stages are told


def deliveries_of(connection: Connection, job_ids: Collection[int]) -> dict[int, list[RowMapping]]:
    """By job, how many of its objects are in which state at which peer."""
    query = (
        select(
            delivery.c.job_id,
            delivery.c.peer,
            delivery.c.state,
            delivery.c.wants_commitment,
            func.count().label("number"),
        )
        .where(delivery.c.job_id.in_(job_ids))
        .group_by(delivery.c.job_id, delivery.c.peer, delivery.c.state, delivery.c.wants_commitment)
        .order_by(delivery.c.peer)
    )
    found: dict[int, list[RowMapping]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["job_id"], []).append(row)
    return found


def last_answers(connection: Connection, peers: Collection[str]) -> dict[str, str]:
    """What each peer said last, in words: about what waits for it, else about what it took of
    the last objects; "" of one that had none of them."""
    lately = delivery.c.id > _newest(connection, delivery.c.id) - _LOOKED_AT
    found = {}
    for peer in peers:
        of = select(delivery.c.status).where(
            delivery.c.peer == peer, delivery.c.status.is_not(None)
        )
        waits = of.where(delivery.c.state == DeliveryState.PENDING)
        newest_first = delivery.c.id.desc()
        found[peer] = (
            connection.scalar(waits.order_by(newest_first).limit(1))
            or connection.scalar(of.where(lately).order_by(newest_first).limit(1))
            or ""
        )
    return found


def figures(connection: Connection, *, since: float) -> dict[tuple[str, str], ModelFigures]:
    """By model and version, of the last jobs; `since` parts lately from before."""
    oldest = _newest(connection, job.c.id) - _LOOKED_AT
    is_late = job.c.created_at >= since
    counted = (
        select(job.c.model, job.c.version, job.c.outcome, is_late, func.count())
        .where(job.c.id > oldest, job.c.outcome.is_not(None))
        .group_by(job.c.model, job.c.version, job.c.outcome, is_late)
    )
    outcomes: dict[tuple[str, str], tuple[dict[str, int], dict[str, int]]] = {}
    for model, version, outcome, late, number in connection.execute(counted):
        lately, before = outcomes.setdefault((model, version), ({}, {}))
        (lately if late else before)[outcome] = number
    found = {}
    for (model, version), (lately, before) in outcomes.items():
        timings = _timings(connection, model, version, oldest=oldest)
        found[model, version] = ModelFigures(
            lately=lately, before=before, stages=_stages(timings), results=len(timings)
        )
    return found


def share_refused(outcomes: Mapping[str, int]) -> float | None:
    """Of all that ended, what the model would not judge; None where nothing ended."""
    number = sum(outcomes.values())
    refused = outcomes.get(Outcome.NOT_SUITABLE, 0) + outcomes.get(Outcome.ABSTAINED, 0)
    return refused / number if number else None


def of_number(connection: Connection, study_id: int) -> RowMapping | None:
    """By the number of its row, which tells nobody anything."""
    query = select(study).where(study.c.id == study_id)
    return connection.execute(query).mappings().one_or_none()


def receptions(connection: Connection, study_id: int) -> Sequence[RowMapping]:
    """By second, how many instances came."""
    second = cast(instance.c.received_at, Integer)
    query = (
        select(func.min(instance.c.received_at).label("at"), func.count().label("number"))
        .where(instance.c.study_id == study_id)
        .group_by(second)
        .order_by(second)
    )
    return connection.execute(query).mappings().all()


def expected_of(connection: Connection, study_instance_uid: str) -> Sequence[RowMapping]:
    """How many instances there are, by whoever knows."""
    query = select(
        expectation.c.source,
        expectation.c.origin,
        expectation.c.series_instance_uid,
        expectation.c.instances,
        expectation.c.is_final,
    ).where(expectation.c.study_instance_uid == study_instance_uid)
    return connection.execute(query.order_by(expectation.c.id)).mappings().all()


def events_of(connection: Connection, job_ids: Collection[int]) -> dict[int, list[RowMapping]]:
    query = select(job_event).where(job_event.c.job_id.in_(job_ids)).order_by(job_event.c.id)
    found: dict[int, list[RowMapping]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["job_id"], []).append(row)
    return found


def _newest(connection: Connection, column: ColumnElement[int]) -> int:
    return connection.scalar(select(func.max(column))) or 0


def _timings(
    connection: Connection, model: str, version: str, *, oldest: int
) -> list[dict[str, float]]:
    query = (
        select(job.c.timings)
        .where(
            job.c.id > oldest,
            job.c.model == model,
            job.c.version == version,
            job.c.outcome.is_not(None),
        )
        .order_by(job.c.id.desc())
        .limit(_LAST)
    )
    return [timings for timings in connection.execute(query).scalars() if timings]


def _stages(timings: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    by_stage: dict[str, list[float]] = {}
    for each in timings:
        for stage, seconds in each.items():
            by_stage.setdefault(stage, []).append(seconds)
    return {
        stage: Spread(median=median(seconds), p95=_percentile(sorted(seconds)))
        for stage, seconds in by_stage.items()
    }


def _percentile(ordered: Sequence[float]) -> float:
    """The smallest that 95 of 100 do not exceed."""
    return ordered[ceil(_P95 * len(ordered)) - 1]
