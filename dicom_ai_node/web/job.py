"""One job: its events, its deliveries, pictures of its result, and what may be done."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from dicom_ai_node import next_step
from dicom_ai_node.database import dead_letters, deliveries, jobs, operated
from dicom_ai_node.in_words import state_in_words
from dicom_ai_node.job import DeliveryState, Priority
from dicom_ai_node.web.person import Person, may_act, may_look
from dicom_ai_node.web.preview import picture_of, pictures
from dicom_ai_node.web.queue import ALL, read_lines, read_queue
from dicom_ai_node.web.record import on_record
from dicom_ai_node.web.site import Site, go, render, site_of
from dicom_ai_node.web.timeline import of_jobs

router = APIRouter(dependencies=[Depends(may_look)])

MAX_ID = 2**62
Acting = Annotated[Person, Depends(may_act)]
ACTS = ("retry", "cancel", "prioritise")


@router.get("/jobs/{job_id}")
def page(request: Request, job_id: int) -> Response:
    return render(request, "job.html", **read_job(site_of(request), job_id))


def read_job(site: Site, job_id: int) -> dict[str, Any]:
    """Raises NodeError where there is none."""
    now = site.database.now()
    with site.database.read() as connection:
        found = operated.job_of(connection, min(job_id, MAX_ID))
        (line,) = read_lines(site, connection, [found], now=now)
        events = jobs.events(connection, found.id)
        return {
            "line": line,
            "job": found,
            "events": events,
            "deliveries": _deliveries(connection, found.id),
            "lanes": of_jobs([found], {found.id: events}, now=now),
            "next_step": next_step.of_job(found, line.why if "waits" in line.why else None),
            "pictures": pictures(connection, site.spool, found),
        }


def _deliveries(connection: Connection, job_id: int) -> list[dict[str, Any]]:
    return [
        {
            **row,
            "words": state_in_words(
                DeliveryState(row["state"]), wants_commitment=row["wants_commitment"]
            ),
        }
        for row in deliveries.of_job(connection, job_id)
    ]


@router.post("/jobs/{job_id}/retry")
def retry(
    request: Request, job_id: int, person: Acting, state: Annotated[str | None, Form()] = None
) -> Response:
    return _answer(request, job_id, act(site_of(request), person, "retry", job_id), state)


@router.post("/jobs/{job_id}/cancel")
def cancel(
    request: Request, job_id: int, person: Acting, state: Annotated[str | None, Form()] = None
) -> Response:
    return _answer(request, job_id, act(site_of(request), person, "cancel", job_id), state)


@router.post("/jobs/{job_id}/prioritise")
def prioritise(
    request: Request, job_id: int, person: Acting, state: Annotated[str | None, Form()] = None
) -> Response:
    return _answer(request, job_id, act(site_of(request), person, "prioritise", job_id), state)


def act(site: Site, person: Person, verb: str, job_id: int) -> str:
    """What was done, in a sentence; on record, also where it could not be done."""
    record = on_record(site, person, f"jobs {verb}", job_id=job_id)
    with record, site.database.write() as connection:
        return _act(connection, verb, min(job_id, MAX_ID), now=site.database.now())


def _act(connection: Connection, verb: str, job_id: int, *, now: float) -> str:
    if verb == "retry":
        found = operated.job_of(connection, job_id)
        return dead_letters.retry(connection, found, now=now)
    if verb == "cancel":
        operated.cancel(connection, job_id, now=now)
        return f"Job {job_id} is cancelled."
    operated.prioritise(connection, job_id, Priority.URGENT)
    return f"Job {job_id} is urgent."


def _answer(request: Request, job_id: int, said: str, state: str | None) -> Response:
    """The queue anew where htmx asks for it; `state` is its filter, None: not from the queue."""
    if request.headers.get("hx-request") == "true":
        found = read_queue(site_of(request), state or "")
        return render(request, "queue_part.html", **found, just_said=said)
    if state is None:
        return go(request, f"/jobs/{job_id}", said)
    is_filter = state.isalpha() and state != ALL
    return go(request, f"/?state={state}" if is_filter else "/", said)


@router.get("/jobs/{job_id}/pictures/{number}.png")
def picture(request: Request, job_id: int, number: int, person: Acting) -> Response:
    """Each look is on record: it is an image of a patient."""
    site = site_of(request)
    with site.database.read() as connection:
        found = operated.job_of(connection, min(job_id, MAX_ID))
        content = picture_of(connection, site.spool, found, number)
    site.trail.acted(
        person.actor, "preview", job_id=found.id, study_instance_uid=found.study_instance_uid
    )
    return Response(content, media_type="image/png", headers={"Cache-Control": "no-store"})
