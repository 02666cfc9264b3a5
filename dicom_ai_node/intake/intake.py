"""A complete study becomes jobs, or a refusal that says why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from sqlalchemy import RowMapping

from dicom_ai_node import route
from dicom_ai_node.config.package import InstalledModel
from dicom_ai_node.config.settings import Config, Route
from dicom_ai_node.database import jobs, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.jobs import NewJob
from dicom_ai_node.intake import came
from dicom_ai_node.intake.ask import Asker
from dicom_ai_node.intake.headers import Headers, Values
from dicom_ai_node.intake.watch import Judged, Watch
from dicom_ai_node.job import Job, Outcome, job_key
from dicom_ai_node.log import get_logger, pseudonym, where
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import IMAGE, Instance, Series, StudyState, input_digest

log = get_logger(__name__)

_ALWAYS = frozenset({"Modality", "BodyPartExamined", "ImageType"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What the decision needs; `settle_quiet()` may be repeated at any time, by one role."""

    config: Config
    models: Mapping[str, InstalledModel]
    spool: Spool
    database: Database
    headers: Headers = field(init=False)
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        node = self.config.node
        headers = Headers(_ALWAYS | came.KEYWORDS | route.keywords(self.config.routes))
        asker = Asker(self.config.peers, self.database, calling_ae_title=node.ae_title[0])
        watch = Watch(self.config, self.spool, self.database, headers, asker)
        object.__setattr__(self, "headers", headers)
        object.__setattr__(self, "watch", watch)

    def settle_quiet(self, *, now: float) -> int:
        """Judge every study that is complete, or has waited long enough; the number of them."""
        closed = self.watch.look(now=now).closed
        for each in closed:
            row = each.row
            try:
                self._settle(each, now)
            except Exception as error:  # the tick boundary, drawn around each study
                log.exception("study_not_settled", study=pseudonym(row["study_instance_uid"]))
                self._set_aside(row, f"it cannot be judged: {where(error)}", now)
            self.watch.forget(row["id"])
        return len(closed)

    def _set_aside(self, row: RowMapping, reason: str, now: float) -> None:
        """A study that nobody can judge waits for a person, and never blocks the others."""
        with self.database.write() as connection:
            studies.settle(
                connection, row, StudyState.NEEDS_REVIEW, reason=reason, verdicts=[], now=now
            )

    def _settle(self, closed: Judged, now: float) -> None:
        row = closed.row
        with self.database.read() as connection:
            instances = studies.instances(connection, self.spool, row["id"])
        candidates = self._series(instances)
        judged = [
            (each, series, _with_gaps(self._judge(each, series, row), series, closed))
            for series in candidates
            for each in self.config.routes
        ]
        new = self._jobs(row["id"], judged) or self._refusals(row["id"], judged)
        taken = any(verdict.matched for _, _, verdict in judged)
        state = StudyState.ROUTED if taken else StudyState.REFUSED
        reason = None if taken else self._why_not(candidates)
        with self.database.write() as connection:
            settled = studies.settle(
                connection,
                row,
                state,
                reason=reason,
                verdicts=[_verdict_row(series, verdict) for _, series, verdict in judged],
                evidence=closed.decision.evidence,
                now=now,
            )
            queued = [jobs.enqueue(connection, each, now=now) for each in new] if settled else []
        if settled:
            _log(closed, state, queued)

    def _series(self, instances: Sequence[Instance]) -> list[Series]:
        wanted = _ALWAYS | route.keywords(self.config.routes)
        by_series = sorted(instances, key=lambda each: each.series_instance_uid)
        groups = groupby(by_series, key=lambda each: each.series_instance_uid)
        return [read_series(list(members), wanted, self.headers.of) for _, members in groups]

    def _judge(self, each: Route, series: Series, row: RowMapping) -> route.Verdict:
        known = route.facts(
            series, calling_ae=row["calling_ae_title"], called_ae=row["called_ae_title"]
        )
        return route.judge(each, series, known)

    def _jobs(
        self, study_id: int, judged: Sequence[tuple[Route, Series, route.Verdict]]
    ) -> list[NewJob]:
        """One job a series and model; two routes to one model share it and add their peers."""
        matched: dict[tuple[str, str], list[tuple[Route, Series]]] = {}
        for each, series, verdict in judged:
            if verdict.matched:
                matched.setdefault((series.series_instance_uid, each.model), []).append(
                    (each, series)
                )
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
        inputs = {IMAGE: tuple(sorted(each.sop_instance_uid for each in series.instances))}
        return NewJob(
            key=job_key(
                model=model.package.name,
                version=model.package.version,
                model_sha256=model.sha256,
                digest=input_digest(inputs),
                variant=refusal or "",
            ),
            study_id=study_id,
            study_instance_uid=series.study_instance_uid,
            series_instance_uid=series.series_instance_uid,
            model=model.package.name,
            version=model.package.version,
            subject=series.series_instance_uid,
            send_to=tuple(dict.fromkeys(peer for each in routes for peer in each.send_to)),
            inputs=inputs,
            outcome=Outcome.NOT_SUITABLE if refusal else None,
            reason=f"No series suits {model.package.name}: {refusal}." if refusal else None,
        )

    def _why_not(self, candidates: Sequence[Series]) -> str:
        if not self.config.routes:
            return "no route is configured"
        modalities = sorted({series.modality for series in candidates})
        return (
            f"no route takes any of its {len(candidates)} series ({', '.join(modalities)}): "
            "see `dicom-ai-node studies explain`"
        )


def _with_gaps(verdict: route.Verdict, series: Series, closed: Judged) -> route.Verdict:
    """A series that is known to be short suits nobody (P5)."""
    gap = closed.decision.missing_of(series.series_instance_uid)
    return verdict if gap is None else replace(verdict, failed=(*verdict.failed, gap))


def read_series(
    instances: Sequence[Instance], keywords: frozenset[str], values: Callable[[Instance], Values]
) -> Series:
    """The attributes of a series over all of its instances, in no order of arrival."""
    found: dict[str, dict[str | int | float, None]] = {}
    for instance in sorted(instances, key=lambda each: each.sop_instance_uid):
        of_instance = values(instance)
        for keyword in sorted(keywords):
            for value in of_instance.get(keyword, ()):
                found.setdefault(keyword, {})[value] = None
    attributes = {keyword: tuple(values) for keyword, values in found.items()}
    return Series(
        study_instance_uid=instances[0].study_instance_uid,
        series_instance_uid=instances[0].series_instance_uid,
        modality=", ".join(str(value) for value in attributes.get("Modality", ("unknown",))),
        instances=tuple(instances),
        attributes=attributes,
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


def _log(closed: Judged, state: StudyState, queued: Sequence[Job | None]) -> None:
    log.info(
        "study_settled",
        study=pseudonym(closed.row["study_instance_uid"]),
        state=state,
        proven=closed.decision.is_proven,
        jobs=[job.id for job in queued if job],
        known_already=sum(job is None for job in queued),
    )
