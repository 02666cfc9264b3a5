"""One series for one input of a route: whether it suits, why not, and how well."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dicom_ai_node.config.rules import Selection
from dicom_ai_node.config.standing import STANDING
from dicom_ai_node.routing import clause as clauses
from dicom_ai_node.study import Series, Values, in_order


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One series for one input of a route, a sentence for each clause; `score` is of `prefer`.

    `plain` says what failed to a radiologist, who does not know the rules; it is not kept.
    """

    route: str
    input: str
    series_instance_uid: str
    part: str
    modality: str
    instances: int
    matched: bool
    chosen: bool
    score: float
    failed: tuple[str, ...]
    held: tuple[str, ...]
    plain: tuple[str, ...] = ()


def row_of(verdict: Verdict) -> dict[str, Any]:
    """The columns of a verdict, as its table has them and `--json` prints them."""
    fields = asdict(verdict)
    del fields["plain"]
    clauses = {f"{how}_clauses": list(fields.pop(how)) for how in ("failed", "held")}
    return {**fields, **clauses, "modality": verdict.modality[:16], "part": verdict.part[:64]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A verdict with what it was made on; `known` has attributes, and facts with their `$`."""

    verdict: Verdict
    series: Series
    known: Mapping[str, Values]


def judge(
    selection: Selection,
    series: Series,
    sender: Mapping[str, Values],
    *,
    route: str,
    input: str,  # noqa: A002 — the word of the field, of the table, and of the configuration
    unfit: str | None,
) -> Judged:
    """`unfit` says why no rule needs to be asked; else every clause is, to name all at once."""
    known = {**series.attributes, **{f"${fact}": found for fact, found in series.facts.items()}}
    known |= sender
    held: list[str]
    if unfit:
        held, failed, score = [], [clauses.Judged(holds=False, why=unfit, plain=unfit)], 0.0
    else:
        held, failed, score = _judge_clauses(selection, known)
    verdict = Verdict(
        route=route,
        input=input,
        series_instance_uid=series.series_instance_uid,
        part=series.part,
        modality=series.modality,
        instances=len(series.instances),
        matched=not failed,
        chosen=False,
        score=score,
        failed=tuple(each.why for each in failed),
        held=tuple(held),
        plain=tuple(each.plain for each in failed),
    )
    return Judged(verdict=verdict, series=series, known=known)


def _judge_clauses(
    selection: Selection, known: Mapping[str, Values]
) -> tuple[list[str], list[clauses.Judged], float]:
    """What held, what failed, and the score."""
    held: list[str] = []
    failed: list[clauses.Judged] = []
    score = 0.0
    for each in selection.require:
        found = clauses.judge(each, known)
        if found.holds:
            held.append(found.why)
        else:
            failed.append(found)
    excluding = [(each, "") for each in selection.exclude]
    for name, each in STANDING.items():
        if name not in selection.allow:
            excluding.append((each, f"; `allow: [{name}]` would take it"))
    for each, advice in excluding:
        if (found := clauses.judge(each, known)).holds:
            why = f"excluded, because {found.why}{advice}"
            plain = f"{found.plain}, and such series are left out"
            failed.append(clauses.Judged(holds=False, why=why, plain=plain))
    for preference in selection.prefer:
        if (found := clauses.judge(preference.when, known)).holds:
            score += preference.weight
            held.append(f"preferred by {preference.weight:g}: {found.why}")
    return held, failed, score


def ranked(selection: Selection, judged: Sequence[Judged], *, newest_first: bool) -> list[Judged]:
    """The best first: by score, then as `tie` says, then by UID and part."""
    ranked = sorted(judged, key=lambda each: in_order(each.series))
    for tie in reversed((*selection.tie, *(("-StudyDate",) if newest_first else ()))):
        ranked = _by_tie(tie, ranked)
    return sorted(ranked, key=lambda each: -each.verdict.score)


def _by_tie(tie: str, ranked: Sequence[Judged]) -> list[Judged]:
    """Stable; a series that has no such value comes last, upwards and downwards."""
    attr = tie.removeprefix("-")
    there = [each for each in ranked if each.known.get(attr)]
    there.sort(key=lambda each: _comparable(each.known[attr]), reverse=tie.startswith("-"))
    return there + [each for each in ranked if not each.known.get(attr)]


def _comparable(values: Values) -> tuple[bool, float, str]:
    """Numbers before text; of several values the smallest."""
    return min(
        (True, 0.0, str(value).upper()) if number is None else (False, number, "")
        for value in values
        for number in (clauses.number_of(value),)
    )
