"""A complete study becomes jobs, or a refusal that says why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, RowMapping

from dicom_ai_node import metrics
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.settings import Config, Route
from dicom_ai_node.database import (
    jobs_of_study,
    missed,
    new_jobs,
    open_studies,
    probe_runs,
    rejections,
    studies,
)
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.new_jobs import NewJob
from dicom_ai_node.database.probe_runs import ProbeRun
from dicom_ai_node.durable_steps import Step, reached
from dicom_ai_node.intake import came
from dicom_ai_node.intake.ask import Asker
from dicom_ai_node.intake.comparison import Comparison
from dicom_ai_node.intake.corrections import Corrections
from dicom_ai_node.intake.headers import Headers
from dicom_ai_node.intake.missed import behind_live
from dicom_ai_node.intake.plan import Decided, Plan, Planner, side_by_side
from dicom_ai_node.intake.watch import Judged, Watch
from dicom_ai_node.job import Job
from dicom_ai_node.log import get_logger, pseudonym, where
from dicom_ai_node.routing import route
from dicom_ai_node.routing.candidates import KEYWORDS, candidates
from dicom_ai_node.routing.route import Decision
from dicom_ai_node.routing.verdict import row_of
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import Series, StudyState

log = get_logger(__name__)

_TRIAL_ENDED = "it is of a trial of the node that has ended"


class Intake:
    """What the decision needs; `settle_quiet()` may be repeated at any time, by one role."""

    def __init__(
        self,
        *,
        config: Config,
        models: Mapping[str, InstalledModel],
        spool: Spool,
        database: Database,
    ) -> None:
        self.config = config
        self.spool = spool
        self.database = database
        self.headers = Headers(KEYWORDS | came.KEYWORDS | route.keywords(config.routes))
        asker = Asker(config.peers, database, calling_ae_title=config.node.ae_title[0])
        self.watch = Watch(config, spool, database, self.headers, asker)
        self._planner = Planner(models=models, side_by_side=side_by_side(config.routes))
        self._corrections = Corrections(config=config, spool=spool, database=database)
        self._comparison = Comparison(
            config=config, spool=spool, database=database, headers=self.headers
        )

    def settle_quiet(self, *, now: float) -> int:
        """Judge every study that is complete, or has waited long enough; the number of them."""
        self._corrections.look(now=now)
        self._comparison.settle_fetched(now=now)
        look = self.watch.look(now=now)
        for each in look.open:
            self._guarded(self._settle_series, each, now)
        return sum(self._guarded(self._settle, each, now) for each in look.closed)

    def _guarded(self, settle: Callable[[Judged, float], bool], judged: Judged, now: float) -> bool:
        """The tick boundary, drawn around each study; True when it is settled."""
        row = judged.row
        try:
            is_settled = settle(judged, now)
        except Exception as error:
            log.exception("study_not_settled", study=pseudonym(row["study_instance_uid"]))
            self._set_aside(row, f"it cannot be judged: {where(error)}", now)
            is_settled = True
        if is_settled:
            self.watch.forget(row["id"])
        return is_settled

    def _set_aside(self, row: RowMapping, reason: str, now: float) -> None:
        """A study that nobody can judge waits for a person, and never blocks the others."""
        with self.database.write() as connection:
            studies.settle(
                connection, row, StudyState.NEEDS_REVIEW, reason=reason, verdicts=[], now=now
            )

    def _settle_series(self, judged: Judged, now: float) -> bool:
        """Routes for series need not wait for the others of the study, which stays open."""
        run = self._run_of(judged)
        routes = [each for each in self._routes(run) if each.when == "series"]
        if not routes or _has_ended(run) or self._comparison.is_fetched(judged.row):
            return False
        complete = judged.decision.complete_series
        series = [each for each in self._series(judged) if each.series_instance_uid in complete]
        plan = self._plan(judged, self._decide(routes, series, judged), now)
        with self.database.write() as connection:
            # one that has grown meanwhile makes no difference to a series that is complete
            if open_studies.find_open(connection, judged.row["id"]) is None:
                return False
            if run is not None and _has_ended(probe_runs.find(connection, run.id)):
                return False
            queued = [new_jobs.enqueue(connection, each, now=now) for each in plan.jobs]
        if any(queued):
            log.info(
                "series_settled",
                study=pseudonym(judged.row["study_instance_uid"]),
                jobs=[job.id for job in queued if job],
            )
        return False

    def _settle(self, closed: Judged, now: float) -> bool:
        """False for one that waits: for its priors, or to be known as one itself."""
        row, run = closed.row, self._run_of(closed)
        if _has_ended(run):
            return self._refuse_ended(row, now)
        if self._comparison.is_fetched(row):
            return False
        if self._comparison.is_waiting(row, lambda: self._series(closed), now):
            return False
        series = self._series(closed)
        decided = self._decide(self._routes(run), series, closed)
        plan = self._plan(closed, decided, now)
        with self.database.read() as connection:
            standing = jobs_of_study.standing_results(connection, row["id"])
            rejected = [str(each) for each in rejections.of_study(connection, row["id"])]
            if rejected:  # what was made of those, its note has decided about
                standing = [e for e in standing if not rejections.names_any(connection, e.inputs)]
        refused = self._planner.refusals(row["id"], decided, series)
        taken_back = self._planner.retractions(row["id"], standing, plan, decided, series)
        wanted = [*plan.jobs, *taken_back, *refused]
        state = StudyState.ROUTED if plan.jobs else StudyState.REFUSED
        with self.database.write() as connection:
            if run is not None and _has_ended(probe_runs.find(connection, run.id)):
                return False  # meanwhile: the next look refuses it
            settled = studies.settle(
                connection,
                row,
                state,
                reason=_reason(series, plan, decided, rejected),
                verdicts=[row_of(each) for _, decision in decided for each in decision.verdicts],
                evidence=closed.decision.evidence,
                now=now,
            )
            queued = _enqueue(connection, row["id"], wanted, now) if settled else []
            reached(Step.JOBS_WRITTEN)
        reached(Step.STUDY_SETTLED)
        if settled:
            metrics.observe_stage("complete", "", now - row["last_received_at"])
            _log(closed, state, queued)
        return True

    def _refuse_ended(self, row: RowMapping, now: float) -> bool:
        """Nobody waits for what would be made of it; one that has grown is looked at again."""
        with self.database.write() as connection:
            if studies.settle(
                connection, row, StudyState.REFUSED, reason=_TRIAL_ENDED, verdicts=[], now=now
            ):
                jobs_of_study.cancel_all_but(connection, row["id"], [], now=now)
        return True

    def _plan(self, judged: Judged, decided: Decided, now: float) -> Plan:
        plan = self._planner.plan(judged.row["id"], decided, now=now)
        with self.database.read() as connection:
            was_missed = missed.was_missed(connection, judged.row["study_instance_uid"])
        return replace(plan, jobs=behind_live(plan.jobs)) if was_missed else plan

    def _series(self, judged: Judged) -> list[Series]:
        with self.database.read() as connection:
            instances = studies.instances(connection, self.spool, judged.row["id"])
        return candidates((each, self.headers.of(each)) for each in instances)

    def _run_of(self, judged: Judged) -> ProbeRun | None:
        with self.database.read() as connection:
            return probe_runs.of_study(connection, judged.row["study_instance_uid"])

    def _routes(self, run: ProbeRun | None) -> Sequence[Route]:
        """A trial's study is known by its UID, whatever stands in the configuration by now."""
        return (
            self.config.routes if run is None else self.config.routes_of_probe(run.model, run.peer)
        )

    def _decide(
        self, routes: Sequence[Route], series: Sequence[Series], judged: Judged
    ) -> list[tuple[Route, Decision]]:
        """A series that is known to be short suits nobody (P5)."""
        row = judged.row
        earlier = self._comparison.series(row)
        return [
            (
                each,
                route.decide(
                    each,
                    series,
                    earlier,
                    short=judged.decision.missing,
                    calling_ae=row["calling_ae_title"],
                    called_ae=row["called_ae_title"],
                ),
            )
            for each in routes
        ]


def _has_ended(run: ProbeRun | None) -> bool:
    return run is not None and run.finished_at is not None


def _reason(
    series: Sequence[Series], plan: Plan, decided: Decided, rejected: Sequence[str]
) -> str | None:
    if not series:
        return "; ".join(rejected)
    return (
        "; ".join(rejected if plan.jobs else [*rejected, _why_not(series, plan, decided)]) or None
    )


def _why_not(series: Sequence[Series], plan: Plan, decided: Decided) -> str:
    """What a route lacks that had something; else what is wrong with the series that comes nearest.

    `studies explain` has it all.
    """
    if not decided:
        return "no route is configured"
    if plan.missing:
        return "; ".join(plan.missing)
    modalities = ", ".join(sorted({each.modality for each in series}))
    verdicts = [verdict for _, decision in decided for verdict in decision.verdicts]
    nearest = min(verdicts, key=lambda each: (len(each.failed), -each.instances))
    return (
        f"no route takes any of its {len(series)} series ({modalities}); "
        f"nearest to {nearest.route}: {'; '.join(nearest.failed)}"
    )


def _enqueue(
    connection: Connection, study_id: int, wanted: Sequence[NewJob], now: float
) -> list[Job | None]:
    """What this revision wants is queued, once; what only an earlier one wanted is stopped."""
    queued = [new_jobs.enqueue(connection, each, now=now) for each in wanted]
    jobs_of_study.cancel_all_but(connection, study_id, [each.key for each in wanted], now=now)
    return queued


def _log(closed: Judged, state: StudyState, queued: Sequence[Job | None]) -> None:
    log.info(
        "study_settled",
        study=pseudonym(closed.row["study_instance_uid"]),
        state=state,
        proven=closed.decision.is_proven,
        jobs=[job.id for job in queued if job],
        known_already=sum(job is None for job in queued),
    )
