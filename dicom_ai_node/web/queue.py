"""The queue: jobs, the books, alarms, and what may be done about a job."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlalchemy import Connection, RowMapping

from dicom_ai_node.config.disabled import read_disabled
from dicom_ai_node.database import alarms, jobs, operated, overview
from dicom_ai_node.database.books import books
from dicom_ai_node.in_words import moment, state_in_words
from dicom_ai_node.job import DEAD, FINAL_STATES, DeliveryState, Job, JobState, Priority
from dicom_ai_node.web.person import may_look
from dicom_ai_node.web.site import Site, render, site_of

router = APIRouter(dependencies=[Depends(may_look)])

DEAD_LETTERS = "dead"
ALL = "all"  # in a form: an empty field would be none
_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A job as the queue shows it."""

    job: Job
    why: str
    peers: Sequence[str]  # "pacs: 2 stored"

    @property
    def may_be_retried(self) -> bool:
        return self.job.state in DEAD

    @property
    def may_be_cancelled(self) -> bool:
        return self.job.state not in FINAL_STATES

    @property
    def may_be_prioritised(self) -> bool:
        return self.job.state is JobState.QUEUED and self.job.priority is not Priority.URGENT


@router.get("/")
def page(request: Request, state: str = "") -> Response:
    """With `HX-Request`, only what is refreshed."""
    is_part = request.headers.get("hx-request") == "true"
    found = read_queue(site_of(request), state)
    return render(request, "queue_part.html" if is_part else "queue.html", **found)


def read_queue(site: Site, state: str) -> dict[str, Any]:
    """`state` is one of a job, or DEAD_LETTERS; of anything else, all are shown."""
    now = site.database.now()
    with site.database.read() as connection:
        lines = read_lines(site, connection, _wanted(connection, state), now=now)
        return {
            "lines": lines,
            "books": books(connection),
            "alarms": alarms.active(connection),
            "disabled": list(read_disabled(site.config.node.models).values()),
            "state": "" if state == ALL else state,
            "states": [*JobState],
            "dead": DEAD_LETTERS,
            "shown": _SHOWN,
        }


def _wanted(connection: Connection, state: str) -> Sequence[Job]:
    states = DEAD if state == DEAD_LETTERS else [each for each in JobState if each == state]
    return jobs.listing(connection, states=states, limit=_SHOWN)


def read_lines(
    site: Site, connection: Connection, found: Sequence[Job], *, now: float
) -> list[Line]:
    disabled = read_disabled(site.config.node.models)
    waits = operated.why_they_wait(connection, found, disabled=disabled, peers=site.config.peers)
    sent = overview.deliveries_of(connection, [job.id for job in found])
    return [
        Line(
            job=job,
            why=waits.get(job.id) or why(job, now=now),
            peers=[_at_peer(row) for row in sent.get(job.id, ())],
        )
        for job in found
    ]


def why(job: Job, *, now: float) -> str:
    """It does not run yet, or came to what it did."""
    if job.state is JobState.QUEUED and job.run_after >= jobs.NOT_YET:
        return "waits for the result that it builds on"
    said = job.error_text or job.reason or ""
    if job.state is JobState.QUEUED and job.run_after > now:
        return f"not before {moment(job.run_after)}" + (f": {said}" if said else "")
    return said


def _at_peer(row: RowMapping) -> str:
    state = DeliveryState(row["state"])
    words = state_in_words(state, wants_commitment=row["wants_commitment"])
    return f"{row['peer']}: {row['number']} {words}"
