"""What the routes of a study chose, as jobs: one for a model and its inputs, with all its peers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.settings import Route
from dicom_ai_node.database.new_jobs import NewJob
from dicom_ai_node.job import HEAD_START_S, Job, Outcome, Priority, job_key
from dicom_ai_node.routing.modality import not_an_image
from dicom_ai_node.routing.route import Decision
from dicom_ai_node.study import IMAGE, Series, input_digest

Decided = Sequence[tuple[Route, Decision]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Jobs in an order in which each comes after those whose masks it needs.

    `missing` says for each route that could not run, and might have, what it lacks.
    """

    jobs: tuple[NewJob, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Everything but the study is known before one comes.

    `side_by_side` are the models that routes run in several versions.
    """

    models: Mapping[str, InstalledModel]
    side_by_side: frozenset[str] = frozenset()

    def plan(self, study_id: int, decided: Decided, *, now: float) -> Plan:
        jobs: dict[str, NewJob] = {}
        missing = [f"{route.label}: {text}" for route, each in decided for text in each.missing]
        for route, decision in sorted(decided, key=lambda each: _depth(each[0], decided)):
            for inputs in decision.chosen:
                uses = self._uses(route, inputs, jobs.values())
                if lacking := [name for name, key in uses.items() if key is None]:
                    missing += [_no_mask(route, name) for name in lacking]
                    continue
                keys = {name: key for name, key in uses.items() if key}
                new = self._job(study_id, route, inputs, keys, now=now)
                jobs[new.key] = _merged(jobs[new.key], new) if new.key in jobs else new
        return Plan(jobs=tuple(jobs.values()), missing=tuple(missing))

    def refusals(self, study_id: int, decided: Decided, series: Sequence[Series]) -> list[NewJob]:
        """A report for each model whose routes want one, on the largest image series.

        A route of several inputs wants it where some of them are there; any other route where the
        study has nothing for anybody.
        """
        images = [each for each in series if not not_an_image(each)]
        if not images:
            return []
        largest = max(images, key=lambda each: (len(each.instances), each.series_instance_uid))
        nobody = not any(decision.chosen for _, decision in decided)
        refused: dict[str, tuple[list[Route], dict[str, None]]] = {}
        for route, decision in decided:
            begun = bool(decision.missing) and any(each.matched for each in decision.verdicts)
            if route.report_unsuitable and not decision.chosen and (nobody or begun):
                routes, reasons = refused.setdefault(route.model, ([], {}))
                routes.append(route)
                reasons.update(dict.fromkeys(_why(decision, largest)))
        return [
            self._refusal(study_id, routes, largest, "; ".join(reasons))
            for routes, reasons in refused.values()
        ]

    def retractions(
        self,
        study_id: int,
        standing: Sequence[Job],
        plan: Plan,
        decided: Decided,
        series: Sequence[Series],
    ) -> list[NewJob]:
        """A report for each result that the study, as it has grown, no longer bears out.

        It names the report that it replaces, and goes where that went. Results of models that no
        route runs any more are left alone.
        """
        wanted = {(job.model, job.subject) for job in plan.jobs}
        work = [(job.model, job.version, job.inputs) for job in plan.jobs]
        taken_back = []
        for earlier in standing:
            of_model = [each for each in decided if each[0].model == earlier.model]
            if (earlier.model, earlier.subject) in wanted or not of_model or not series:
                continue
            if (earlier.model, earlier.version, earlier.inputs) in work:
                continue  # the same by another name: the routes have changed, and not the study
            same = [e for e in series if e.series_instance_uid == earlier.series_instance_uid]
            largest = max(same or series, key=lambda each: len(each.instances))
            route, decision = of_model[0]
            why = "; ".join(_why(decision, largest)) or "another series of the study is meant"
            why = f"an earlier result holds no longer: {why}"
            new = self._refusal(study_id, [route], largest, why)
            taken_back.append(replace(new, subject=earlier.subject, send_to=earlier.send_to))
        return taken_back

    def _job(
        self,
        study_id: int,
        route: Route,
        chosen: Mapping[str, Series],
        uses: Mapping[str, str],
        *,
        now: float,
        refusal: str = "",
    ) -> NewJob:
        model = self.models[route.model_label]
        ordered = {name: chosen[name] for name in model.package.inputs if name in chosen} or chosen
        primary = next(iter(ordered.values()))
        inputs = {name: _uids(series) for name, series in ordered.items()}
        subject = route.label if route.picks_one else _name(primary)
        if route.model in self.side_by_side:  # else one version would replace the other's result
            subject = f"{subject} {model.package.version}"
        return NewJob(
            key=job_key(
                model=model.package.name,
                version=model.package.version,
                model_sha256=model.sha256,
                digest=input_digest({**inputs, **{name: [key] for name, key in uses.items()}}),
                variant="\n".join(filter(None, (refusal, *sorted(route.maps)))),
            ),
            study_id=study_id,
            study_instance_uid=primary.study_instance_uid,
            series_instance_uid=primary.series_instance_uid,
            model=model.package.name,
            version=model.package.version,
            subject=subject,
            send_to=route.send_to,
            inputs=inputs,
            uses=uses,
            maps=tuple(sorted(route.maps)),
            priority=Priority(route.priority),
            run_after=opens_at(route.between, now=now),
        )

    def _refusal(self, study_id: int, routes: Sequence[Route], series: Series, why: str) -> NewJob:
        new = self._job(study_id, routes[0], {IMAGE: series}, {}, now=0, refusal=why)
        return replace(
            new,
            send_to=tuple(dict.fromkeys(peer for each in routes for peer in each.send_to)),
            run_after=0.0,
            outcome=Outcome.NOT_SUITABLE,
            reason=f"No series suits {new.model}: {why}.",
        )

    def _uses(
        self, route: Route, chosen: Mapping[str, Series], planned: Iterable[NewJob]
    ) -> dict[str, str | None]:
        """Keys of the jobs whose masks are inputs; None where there is no such job, or several.

        Of several, that on the same series is meant.
        """
        wanted = {name: each.result_of for name, each in route.inputs.items() if each.result_of}
        jobs = list(planned)
        primary = next(iter(chosen.values())).series_instance_uid
        found: dict[str, str | None] = {}
        for name, model in wanted.items():
            of_model = [job for job in jobs if job.model == model]
            same = [job for job in of_model if job.series_instance_uid == primary] or of_model
            found[name] = same[0].key if len(same) == 1 else None
        return found


def side_by_side(routes: Iterable[Route]) -> frozenset[str]:
    """Models that routes name in several versions, the newest counting as one of them."""
    labels: dict[str, set[str]] = {}
    for route in routes:
        labels.setdefault(route.model, set()).add(route.model_label)
    return frozenset(model for model, several in labels.items() if len(several) > 1)


def opens_at(between: tuple[str, str] | None, *, now: float) -> float:
    """When a job that comes now may begin, in a window of local time that may span midnight."""
    if between is None:
        return now
    start, end = (time.fromisoformat(each) for each in between)
    moment = datetime.fromtimestamp(now).astimezone()
    clock = moment.time()
    is_open = start <= clock < end if start < end else clock >= start or clock < end
    if is_open:
        return now
    day = moment.date() if clock < start else moment.date() + timedelta(days=1)
    return datetime.combine(day, start).astimezone().timestamp()


def _merged(one: NewJob, other: NewJob) -> NewJob:
    """Two routes that want the same work share it: all their peers, and the sooner of both."""
    return replace(
        one,
        send_to=tuple(dict.fromkeys((*one.send_to, *other.send_to))),
        priority=min(one.priority, other.priority, key=lambda each: HEAD_START_S[each]),
        run_after=min(one.run_after, other.run_after),
    )


def _depth(route: Route, decided: Decided) -> int:
    """How many models run before this route's, one on the other's masks (there are no cycles)."""
    needed = {each.result_of for each in route.inputs.values() if each.result_of}
    before = [other for other, _ in decided if other.model in needed]
    return 1 + max((_depth(other, decided) for other in before), default=-1)


def _why(decision: Decision, series: Series) -> Sequence[str]:
    """What it lacks; of one input, what was wrong with that series. For a radiologist."""
    if decision.missing:
        return decision.missing_plain
    return [
        text
        for verdict in decision.verdicts
        if (verdict.series_instance_uid, verdict.part) == (series.series_instance_uid, series.part)
        for text in verdict.plain
    ]


def _no_mask(route: Route, name: str) -> str:
    model = route.inputs[name].result_of
    return f"{route.label}: no mask for the input {name}: {model} has not one job on this study"


def _uids(series: Series) -> tuple[str, ...]:
    return tuple(sorted(instance.sop_instance_uid for instance in series.instances))


def _name(series: Series) -> str:
    return f"{series.series_instance_uid} {series.part}".strip()
