"""A complete study becomes jobs, or a refusal that says why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping

from dicom_ai_node import route
from dicom_ai_node.candidates import KEYWORDS, candidates
from dicom_ai_node.config.package import InstalledModel
from dicom_ai_node.config.settings import Config, Route
from dicom_ai_node.database import jobs, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.jobs import NewJob
from dicom_ai_node.header import read_values
from dicom_ai_node.intake.plan import Plan, Planner
from dicom_ai_node.job import Job
from dicom_ai_node.log import get_logger, pseudonym, where
from dicom_ai_node.route import Decision
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import Instance, Series, StudyState
from dicom_ai_node.verdict import row_of

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What the decision needs; `settle_quiet()` may be repeated at any time, by one role."""

    config: Config
    models: Mapping[str, InstalledModel]
    spool: Spool
    database: Database

    def settle_quiet(self, *, now: float) -> int:
        """Judge every study that has been quiet long enough; the number of them."""
        with self.database.read() as connection:
            rows = studies.quiet(connection, quiet_s=self.config.study.quiet_s, now=now)
        for row in rows:
            try:
                self._settle(row, now)
            except Exception as error:  # the tick boundary, drawn around each study
                log.exception("study_not_settled", study=pseudonym(row["study_instance_uid"]))
                self._set_aside(row, f"it cannot be judged: {where(error)}", now)
        return len(rows)

    def _set_aside(self, row: RowMapping, reason: str, now: float) -> None:
        """A study that nobody can judge waits for a person, and never blocks the others."""
        with self.database.write() as connection:
            studies.settle(
                connection, row, StudyState.NEEDS_REVIEW, reason=reason, verdicts=[], now=now
            )

    def _settle(self, row: RowMapping, now: float) -> None:
        with self.database.read() as connection:
            instances = studies.instances(connection, self.spool, row["id"])
        series = self._series(instances)
        decided = self._decide(self.config.routes, series, row)
        planner = Planner(models=self.models)
        plan = planner.plan(row["id"], decided, now=now)
        wanted = [*plan.jobs, *planner.refusals(row["id"], decided, series)]
        state = StudyState.ROUTED if plan.jobs else StudyState.REFUSED
        with self.database.write() as connection:
            settled = studies.settle(
                connection,
                row,
                state,
                reason=None if plan.jobs else self._why_not(series, plan),
                verdicts=[row_of(each) for _, decision in decided for each in decision.verdicts],
                now=now,
            )
            queued = _enqueue(connection, row["id"], wanted, now) if settled else []
        if settled:
            _log(row, state, queued)

    def _series(self, instances: Sequence[Instance]) -> list[Series]:
        wanted = KEYWORDS | route.keywords(self.config.routes)
        return candidates((each, read_values(each.path, wanted)) for each in instances)

    def _decide(
        self, routes: Sequence[Route], series: Sequence[Series], row: RowMapping
    ) -> list[tuple[Route, Decision]]:
        titles = {"calling_ae": row["calling_ae_title"], "called_ae": row["called_ae_title"]}
        return [(each, route.decide(each, series, **titles)) for each in routes]

    def _why_not(self, series: Sequence[Series], plan: Plan) -> str:
        if not self.config.routes:
            return "no route is configured"
        if plan.missing:
            return "; ".join(plan.missing)
        modalities = sorted({each.modality for each in series})
        return (
            f"no route takes any of its {len(series)} series ({', '.join(modalities)}): "
            "see `dicom-ai-node studies explain`"
        )


def _enqueue(
    connection: Connection, study_id: int, wanted: Sequence[NewJob], now: float
) -> list[Job | None]:
    """What this revision wants is queued, once; what only an earlier one wanted is stopped."""
    queued = [jobs.enqueue(connection, each, now=now) for each in wanted]
    jobs.cancel_all_but(
        connection,
        study_id,
        [each.key for each in wanted],
        why="the study has grown, and no route wants this any more",
        now=now,
    )
    return queued


def _log(row: RowMapping, state: StudyState, queued: Sequence[Job | None]) -> None:
    log.info(
        "study_settled",
        study=pseudonym(row["study_instance_uid"]),
        state=state,
        jobs=[job.id for job in queued if job],
        known_already=sum(job is None for job in queued),
    )
