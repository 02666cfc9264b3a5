"""Which series a route takes, and why not the others: pure, no clock, no disk, no database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from dicom_ai_node.config.rules import AllOf, AnyOf, Clause, InputSelection, Selection
from dicom_ai_node.config.settings import Route
from dicom_ai_node.config.standing import STANDING
from dicom_ai_node.routing.earlier import not_earlier
from dicom_ai_node.routing.modality import not_an_image
from dicom_ai_node.routing.pairing import pair
from dicom_ai_node.routing.verdict import Judged, Verdict, judge, ranked
from dicom_ai_node.study import IMAGE, Series, Values, in_order

__all__ = ["IMAGE", "Decision", "Verdict", "decide", "keywords", "not_an_image"]

_NAMED = 4  # parts of a series, in a sentence about them


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a route does with a study: `chosen` has one entry a job, series by input name.

    Inputs that are results of other models are not in there, nor optional ones without a series.
    """

    verdicts: tuple[Verdict, ...]
    chosen: tuple[Mapping[str, Series], ...]
    missing: tuple[str, ...] = ()  # a sentence for each input without a series: no job
    missing_plain: tuple[str, ...] = ()  # the same to somebody who does not know the rules


def keywords(routes: Iterable[Route]) -> frozenset[str]:
    """The DICOM keywords that these routes ask about, standing exclusions included."""
    found: set[str] = set()
    for route in routes:
        for selection in (route, *route.inputs.values()):
            found |= _asked([*selection.require, *selection.exclude, *STANDING.values()])
            found |= _asked([each.when for each in selection.prefer])
            found |= {each.removeprefix("-") for each in selection.tie}
    return frozenset(each for each in found if not each.startswith("$"))


def decide(
    route: Route,
    candidates: Sequence[Series],
    priors: Sequence[Series] = (),
    *,
    short: Mapping[str, str] = MappingProxyType({}),
    calling_ae: str,
    called_ae: str,
) -> Decision:
    """Judge every series for every input; `priors` are series of earlier studies of the patient.

    `short` says of series by their UID that images are missing: they suit nobody. The answer is the
    same in whatever order the series are given.
    """
    titles = {"$calling_ae": calling_ae, "$called_ae": called_ae}
    sender: dict[str, Values] = {fact: (title,) for fact, title in titles.items() if title}
    judged: dict[str, list[Judged]] = {}
    for name, selection in selections_of(route).items():
        prior = selection.prior if isinstance(selection, InputSelection) else None
        found = [
            judge(
                selection,
                series,
                sender,
                route=route.label,
                input=name,
                unfit=not_an_image(series)
                or short.get(series.series_instance_uid)
                or (not_earlier(series, candidates, prior) if prior else None),
            )
            for series in (priors if prior else candidates)
        ]
        if not route.picks_one:
            found = _one_part_each(found)
        judged[name] = ranked(selection, found, newest_first=prior is not None)
    chosen, missing = _choose(route, judged)
    taken = {(name, id(series)) for job in chosen for name, series in job.items()}
    verdicts = [
        replace(each.verdict, chosen=(name, id(each.series)) in taken)
        for name, of_input in judged.items()
        for each in sorted(of_input, key=lambda one: in_order(one.series))
    ]
    return Decision(
        verdicts=tuple(verdicts),
        chosen=chosen,
        missing=tuple(why for why, _ in missing),
        missing_plain=tuple(plain for _, plain in missing),
    )


def selections_of(route: Route) -> Mapping[str, Selection]:
    """By the name of the input; those that are results of other models have none."""
    if not route.inputs:
        return {IMAGE: route}
    return {name: each for name, each in route.inputs.items() if each.result_of is None}


def _choose(
    route: Route, judged: Mapping[str, Sequence[Judged]]
) -> tuple[tuple[Mapping[str, Series], ...], tuple[tuple[str, str], ...]]:
    """The series of each job; for each input without one, why, and the same plainly."""
    suits = {name: [e.series for e in each if e.verdict.matched] for name, each in judged.items()}
    if not route.inputs:
        found = suits[IMAGE][:1] if route.picks_one else sorted(suits[IMAGE], key=in_order)
        return tuple({IMAGE: series} for series in found), ()
    optional = {name for name in judged if route.inputs[name].optional}
    pairs = pair(suits, optional)
    missing = tuple(
        _why_missing(name, judged[name], suits[name])
        for name in judged
        if name not in optional and name not in pairs
    )
    return ((), missing) if missing else ((pairs,), ())


def _one_part_each(judged: Sequence[Judged]) -> list[Judged]:
    """Several phases of one series suit: which one is meant, only a rule can say (D24)."""
    suits: dict[str, list[str]] = {}
    for each in judged:
        if each.verdict.matched:
            suits.setdefault(each.series.series_instance_uid, []).append(each.series.part)
    return [_unless_one_of(each, suits.get(each.series.series_instance_uid, ())) for each in judged]


def _unless_one_of(judged: Judged, parts: Sequence[str]) -> Judged:
    if not judged.verdict.matched or len(parts) < 2:
        return judged
    why = (
        f"{len(parts)} parts of the series suit ({', '.join(sorted(parts)[:_NAMED])}): "
        "`prefer` or `tie` chooses one"
    )
    plain = (
        f"{len(parts)} parts of one series suit the model ({', '.join(sorted(parts)[:_NAMED])}), "
        "and nothing says which one to take"
    )
    verdict = replace(judged.verdict, matched=False, failed=(why,), plain=(plain,))
    return replace(judged, verdict=verdict)


def _why_missing(name: str, judged: Sequence[Judged], suits: Sequence[Series]) -> tuple[str, str]:
    """In the words of the rules, and plainly."""
    why = f"no series for the input {name}: "
    if not judged:
        return (why + "there is none to choose from",) * 2
    if suits:
        return (why + "what suits it is taken by another input",) * 2
    nearest = min(judged, key=lambda each: (len(each.verdict.failed), in_order(each.series)))
    near = f"the nearest of {len(judged)}: "
    return why + near + "; ".join(nearest.verdict.failed), why + "; ".join(nearest.verdict.plain)


def _asked(of: Iterable[Clause]) -> set[str]:
    found: set[str] = set()
    for each in of:
        if isinstance(each, (AnyOf, AllOf)):
            found |= _asked(each.any if isinstance(each, AnyOf) else each.all)
        else:
            found.add(each.attr)
    return found
