"""The same for programs, as JSON: `Authorization: Bearer TOKEN`."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from dicom_ai_node.database import alarms, jobs
from dicom_ai_node.database.books import books
from dicom_ai_node.draining import is_draining
from dicom_ai_node.job import JobState
from dicom_ai_node.known_peers import read_peers
from dicom_ai_node.web.job import act, read_job
from dicom_ai_node.web.models import read_models
from dicom_ai_node.web.person import Person, may_act, may_look
from dicom_ai_node.web.site import seen_by, site_of
from dicom_ai_node.web.studies import read_studies
from dicom_ai_node.web.study import read_study

router = APIRouter(prefix="/api", dependencies=[Depends(may_look)])

Looking = Annotated[Person, Depends(may_look)]
Acting = Annotated[Person, Depends(may_act)]
# by which a patient could be found, or which is of no use outside
_FOR_ACT = {"study_instance_uid", "series_instance_uid", "sop_instance_uid", "inputs"}
_FOR_NOBODY = {"key", "lease_id", "lease_expires_at", "file", "sha256", "patient_digest", "rungs"}


@router.get("/openapi.json", include_in_schema=False)
def schema(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = request.app.openapi()
    return found


@router.get("/status")
def status(request: Request, person: Looking) -> dict[str, Any]:
    """The books, the alarms that are on, and whether the node is drained."""
    site = site_of(request)
    with site.database.read() as connection:
        found = books(connection).as_dict()
        on = [_for(person, asdict(each)) for each in alarms.active(connection)]
    return found | {"alarms": on, "draining": is_draining(site.spool)}


@router.get("/jobs")
def list_jobs(
    request: Request, person: Looking, state: JobState | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """The newest first."""
    with site_of(request).database.read() as connection:
        found = jobs.listing(connection, state=state, limit=max(1, min(limit, 1000)))
    return [_for(person, asdict(each)) for each in found]


@router.get("/jobs/{job_id}")
def show_job(request: Request, person: Looking, job_id: int) -> dict[str, Any]:
    """With its events, and what became of each object at each peer."""
    found = read_job(site_of(request), job_id)
    return _for(person, asdict(found["job"])) | {
        "next_step": seen_by(person, found["next_step"]),
        "events": [_for(person, each) for each in found["events"]],
        "deliveries": [_for(person, each) for each in found["deliveries"]],
    }


@router.post("/jobs/{job_id}/retry")
def retry(request: Request, person: Acting, job_id: int) -> dict[str, str]:
    return {"said": act(site_of(request), person, "retry", job_id)}


@router.post("/jobs/{job_id}/cancel")
def cancel(request: Request, person: Acting, job_id: int) -> dict[str, str]:
    return {"said": act(site_of(request), person, "cancel", job_id)}


@router.post("/jobs/{job_id}/prioritise")
def prioritise(request: Request, person: Acting, job_id: int) -> dict[str, str]:
    """It becomes urgent."""
    return {"said": act(site_of(request), person, "prioritise", job_id)}


@router.get("/studies")
def list_studies(request: Request, person: Looking) -> list[dict[str, Any]]:
    """The newest first."""
    return [
        _for(person, {**each, "jobs": [job.id for job in each["jobs"]]})
        for each in read_studies(site_of(request))
    ]


@router.get("/studies/{study_id}")
def show_study(request: Request, person: Looking, study_id: int) -> dict[str, Any]:
    """With what routes said of its series; the clauses, which quote headers, for `act` alone."""
    found = read_study(site_of(request), study_id)
    hidden = set() if person.may_act else {"failed_clauses", "held_clauses", "part"}
    verdicts = [_for(person, each, hidden) for each in found["verdicts"]]
    return _for(person, found["study"]) | {
        "instances": found["instances"],
        "next_step": seen_by(person, found["next_step"]),
        "jobs": [line.job.id for line in found["lines"]],
        "verdicts": verdicts,
    }


@router.get("/peers")
def list_peers(request: Request, person: Looking) -> list[dict[str, Any]]:
    site = site_of(request)
    return [_for(person, each) for each in read_peers(site.config, site.database)]


@router.get("/models")
def list_models(request: Request) -> list[dict[str, Any]]:
    return read_models(site_of(request))


def _for(person: Person, row: Mapping[str, Any], hidden: Collection[str] = ()) -> dict[str, Any]:
    left_out = _FOR_NOBODY | set(hidden) | (set() if person.may_act else _FOR_ACT)
    return {
        key: seen_by(person, value) if isinstance(value, str) else value
        for key, value in row.items()
        if key not in left_out
    }
