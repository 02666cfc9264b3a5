"""One study: when what happened, and why it was, or was not, routed.

It is addressed by the number of its row: no UID stands in an address, a history or a log.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlalchemy import RowMapping

from dicom_ai_node import next_step
from dicom_ai_node.database import fetches, jobs, operated, overview, recalls, studies
from dicom_ai_node.errors import NotThere
from dicom_ai_node.job import Job
from dicom_ai_node.review import accept_first
from dicom_ai_node.study import StudyState
from dicom_ai_node.web.job import MAX_ID
from dicom_ai_node.web.person import Person, may_act, may_look
from dicom_ai_node.web.queue import read_lines
from dicom_ai_node.web.record import on_record
from dicom_ai_node.web.site import Site, go, render, site_of
from dicom_ai_node.web.timeline import of_study

router = APIRouter(dependencies=[Depends(may_look)])

Acting = Annotated[Person, Depends(may_act)]
_SETTLED = (StudyState.ROUTED, StudyState.REFUSED)


@router.get("/studies/{study_id}")
def page(request: Request, study_id: int) -> Response:
    return render(request, "study.html", **read_study(site_of(request), study_id))


def read_study(site: Site, study_id: int) -> dict[str, Any]:
    """Raises NodeError where there is none."""
    now = site.database.now()
    with site.database.read() as connection:
        row = overview.of_number(connection, min(study_id, MAX_ID))
        if row is None:
            raise NotThere(f"there is no study {study_id}: see the list of studies")
        uid, state = row["study_instance_uid"], StudyState(row["state"])
        its = jobs.listing(connection, study_instance_uid=uid)[::-1]
        events = overview.events_of(connection, [job.id for job in its])
        receptions = overview.receptions(connection, row["id"])
        return {
            "study": row,
            "instances": sum(each["number"] for each in receptions),
            "lanes": of_study(row, receptions, its, events, now=now),
            "verdicts": studies.verdicts(connection, row["id"]),
            "expected": overview.expected_of(connection, uid),
            "fetches": fetches.of_study(connection, row["id"]),
            "retractions": recalls.unfinished(connection, uid),
            "lines": read_lines(site, connection, its, now=now),
            "events": _history(row, its, events),
            "next_step": next_step.of_study(state, its, reason=row["reason"]),
            "may_be_judged": state in _SETTLED,
            "needs_review": state is StudyState.NEEDS_REVIEW,
        }


def _history(
    row: RowMapping, its: Sequence[Job], events: Mapping[int, Sequence[RowMapping]]
) -> list[tuple[float, str, str]]:
    """Time, what, why; in order."""
    found = [
        (row["first_received_at"], "the first image came", f"from {row['calling_ae_title']}"),
        (row["last_received_at"], "the last image came", ""),
    ]
    if row["association_ended_at"]:
        found.append((row["association_ended_at"], "its association ended", ""))
    if row["routed_at"]:
        found.append((row["routed_at"], "it was judged", row["evidence"] or ""))
    for job in its:
        found += [
            (each["at"], f"job {job.id} ({job.model}): {each['to_state']}", each["why"] or "")
            for each in events.get(job.id, ())
        ]
    return sorted(found, key=lambda each: each[0])


@router.post("/studies/{study_id}/judge")
def judge(request: Request, study_id: int, person: Acting) -> Response:
    site = site_of(request)
    uid = _uid_of(site, study_id)
    record = on_record(site, person, "studies judge", study_instance_uid=uid)
    with record, site.database.write() as connection:
        operated.judge_again(connection, uid, now=site.database.now())
    return go(request, f"/studies/{study_id}", "The running node judges it again now.")


@router.post("/studies/{study_id}/reviewed")
def reviewed(request: Request, study_id: int, person: Acting) -> Response:
    """As `studies judge --reviewed`."""
    site = site_of(request)
    uid = _uid_of(site, study_id)
    with on_record(site, person, "studies judge", study_instance_uid=uid):
        number = accept_first(site.spool, site.database, uid)
    said = f"The {number} stored instances count as right; the node judges them again now."
    return go(request, f"/studies/{study_id}", said)


def _uid_of(site: Site, study_id: int) -> str:
    with site.database.read() as connection:
        row = overview.of_number(connection, min(study_id, MAX_ID))
    if row is None:
        raise NotThere(f"there is no study {study_id}: see the list of studies")
    return str(row["study_instance_uid"])
