"""A quiet study becomes jobs, or a refusal that says why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping

from dicom_ai_node import route
from dicom_ai_node.candidates import KEYWORDS, candidates
from dicom_ai_node.config.package import InstalledModel
from dicom_ai_node.config.settings import Config, Route
from dicom_ai_node.database import jobs, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.jobs import NewJob
from dicom_ai_node.header import read_values
from dicom_ai_node.job import Job, Outcome, job_key
from dicom_ai_node.log import get_logger, pseudonym, where
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import Instance, Series, StudyState, input_digest

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
        found = self._series(instances)
        judged = self._judged(found, row)
        new = self._jobs(row["id"], judged) or self._refusals(row["id"], judged)
        taken = any(verdict.matched for _, _, verdict in judged)
        state = StudyState.ROUTED if taken else StudyState.REFUSED
        reason = None if taken else self._why_not(found)
        with self.database.write() as connection:
            settled = studies.settle(
                connection,
                row,
                state,
                reason=reason,
                verdicts=[_verdict_row(series, verdict) for _, series, verdict in judged],
                now=now,
            )
            queued = [jobs.enqueue(connection, each, now=now) for each in new] if settled else []
        if settled:
            _log(row, state, queued)

    def _series(self, instances: Sequence[Instance]) -> list[Series]:
        wanted = KEYWORDS | route.keywords(self.config.routes)
        return candidates((each, read_values(each.path, wanted)) for each in instances)

    def _judged(
        self, found: Sequence[Series], row: RowMapping
    ) -> list[tuple[Route, Series, route.Verdict]]:
        named = {(series.series_instance_uid, series.part): series for series in found}
        return [
            (each, named[verdict.series_instance_uid, verdict.part], verdict)
            for each in self.config.routes
            for verdict in route.decide(
                each,
                found,
                calling_ae=row["calling_ae_title"],
                called_ae=row["called_ae_title"],
            ).verdicts
        ]

    def _jobs(
        self, study_id: int, judged: Sequence[tuple[Route, Series, route.Verdict]]
    ) -> list[NewJob]:
        """One job a series and model; two routes to one model share it and add their peers."""
        matched: dict[tuple[str, str, str], list[tuple[Route, Series]]] = {}
        for each, series, verdict in judged:
            if verdict.chosen:
                key = (series.series_instance_uid, series.part, each.model)
                matched.setdefault(key, []).append((each, series))
        return [
            self._job(study_id, [each for each, _ in pairs], pairs[0][1])
            for pairs in matched.values()
        ]

    def _refusals(
        self, study_id: int, judged: Sequence[tuple[Route, Series, route.Verdict]]
    ) -> list[NewJob]:
        """A report for each model whose routes want one, on the largest image series."""
        images = [entry for entry in judged if not route.not_an_image(entry[1])]
        if not images:
            return []
        largest = max(
            (series for _, series, _ in images),
            key=lambda series: (len(series.instances), series.series_instance_uid),
        )
        wanted: dict[str, list[Route]] = {}
        reasons: dict[str, dict[str, None]] = {}
        for each, series, verdict in images:
            if each.report_unsuitable and series is largest:
                wanted.setdefault(each.model, []).append(each)
                reasons.setdefault(each.model, {}).update(dict.fromkeys(verdict.failed))
        return [
            self._job(study_id, routes, largest, refusal="; ".join(reasons[name]))
            for name, routes in wanted.items()
        ]

    def _job(
        self, study_id: int, routes: Sequence[Route], series: Series, refusal: str | None = None
    ) -> NewJob:
        model = self.models[routes[0].model]
        uids = tuple(sorted(instance.sop_instance_uid for instance in series.instances))
        return NewJob(
            key=job_key(
                model=model.package.name,
                version=model.package.version,
                model_sha256=model.sha256,
                digest=input_digest(uids),
                variant=refusal or "",
            ),
            study_id=study_id,
            study_instance_uid=series.study_instance_uid,
            series_instance_uid=series.series_instance_uid,
            model=model.package.name,
            version=model.package.version,
            send_to=tuple(dict.fromkeys(peer for each in routes for peer in each.send_to)),
            inputs=uids,
            outcome=Outcome.NOT_SUITABLE if refusal else None,
            reason=f"No series suits {model.package.name}: {refusal}." if refusal else None,
        )

    def _why_not(self, found: Sequence[Series]) -> str:
        if not self.config.routes:
            return "no route is configured"
        modalities = sorted({series.modality for series in found})
        return (
            f"no route takes any of its {len(found)} series ({', '.join(modalities)}): "
            "see `dicom-ai-node studies explain`"
        )


def _verdict_row(series: Series, verdict: route.Verdict) -> dict[str, object]:
    return {
        "series_instance_uid": series.series_instance_uid,
        "modality": series.modality[:16],
        "instances": len(series.instances),
        "route": verdict.route,
        "matched": verdict.matched,
        "failed_clauses": list(verdict.failed),
    }


def _log(row: RowMapping, state: StudyState, queued: Sequence[Job | None]) -> None:
    log.info(
        "study_settled",
        study=pseudonym(row["study_instance_uid"]),
        state=state,
        jobs=[job.id for job in queued if job],
        known_already=sum(job is None for job in queued),
    )
