"""When what happened to a study or a job: lanes with bars, for eyes.

A study takes seconds, or, with a PACS that is down, days: the axis is drawn by the logarithm of
each pause, so that both can be seen on one picture. The true times stand beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log1p

from sqlalchemy import RowMapping

from dicom_ai_node.in_words import age, moment
from dicom_ai_node.job import FINAL_STATES, Job, JobState

_WIDTH = 1000.0
_LEAST = 6.0  # so that what took no time can be seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """`what` is a word of ours, which is its colour too."""

    what: str
    begins: float
    ends: float

    @property
    def words(self) -> str:
        took = age(self.ends - self.begins)
        return f"{self.what}, {moment(self.begins)}" + (f", {took}" if took != "0 s" else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    what: str
    words: str
    x: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    title: str
    bars: Sequence[Bar]


def of_study(
    row: RowMapping,
    receptions: Sequence[RowMapping],
    jobs: Sequence[Job],
    events: Mapping[int, Sequence[RowMapping]],
    *,
    now: float,
) -> list[Lane]:
    """Reception, the wait until it was complete, and every job."""
    ended, judged = row["association_ended_at"], row["routed_at"]
    came = [Span(what="received", begins=each["at"], ends=each["at"]) for each in receptions]
    first, last = row["first_received_at"], row["last_received_at"]
    lanes = [("images", [Span(what="received", begins=first, ends=last), *came])]
    waits = [Span(what="waiting", begins=ended or last, ends=judged or now)]
    if judged:
        waits.append(Span(what="judged", begins=judged, ends=judged))
    lanes.append(("complete?", [each for each in waits if each.ends >= each.begins]))
    lanes += [(f"job {job.id}", _spans(events.get(job.id, ()), now)) for job in jobs]
    return _drawn(lanes)


def of_jobs(
    jobs: Sequence[Job], events: Mapping[int, Sequence[RowMapping]], *, now: float
) -> list[Lane]:
    return _drawn([(f"job {job.id}", _spans(events.get(job.id, ()), now)) for job in jobs])


def _spans(events: Sequence[RowMapping], now: float) -> list[Span]:
    """From each event to the next; a final state has no end, and takes no time."""
    spans = []
    for at, each in enumerate(events):
        state = JobState(each["to_state"])
        is_last = at == len(events) - 1
        ends = each["at"] if is_last and state in FINAL_STATES else now
        spans.append(
            Span(
                what=str(state),
                begins=each["at"],
                ends=ends if is_last else events[at + 1]["at"],
            )
        )
    return spans


def _drawn(lanes: Sequence[tuple[str, Sequence[Span]]]) -> list[Lane]:
    moments = sorted(
        {at for _, spans in lanes for span in spans for at in (span.begins, span.ends)}
    )
    place, x = {}, 0.0
    for before, at in zip([moments[0] if moments else 0, *moments], moments, strict=False):
        x += log1p(max(0.0, at - before))
        place[at] = x
    scale = (_WIDTH - _LEAST) / x if x else 0.0
    return [
        Lane(
            title=title,
            bars=[
                Bar(
                    what=span.what,
                    words=span.words,
                    x=round(place[span.begins] * scale, 1),
                    width=round(max(_LEAST, (place[span.ends] - place[span.begins]) * scale), 1),
                )
                for span in spans
            ],
        )
        for title, spans in lanes
    ]
