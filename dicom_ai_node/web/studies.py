"""Studies, the newest first."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from dicom_ai_node import next_step
from dicom_ai_node.database import jobs, studies
from dicom_ai_node.study import StudyState
from dicom_ai_node.web.person import may_look
from dicom_ai_node.web.site import Site, render, site_of

router = APIRouter(dependencies=[Depends(may_look)])

_SHOWN = 50


@router.get("/studies")
def page(request: Request) -> Response:
    return render(request, "studies.html", studies=read_studies(site_of(request)), shown=_SHOWN)


def read_studies(site: Site) -> list[dict[str, Any]]:
    """Rows of their table, with their instances, jobs and next step."""
    with site.database.read() as connection:
        found = []
        for row in studies.listing(connection, limit=_SHOWN):
            its = jobs.listing(connection, study_instance_uid=row["study_instance_uid"])
            step = next_step.of_study(StudyState(row["state"]), its, reason=row["reason"])
            found.append({**row, "jobs": its, "next_step": step})
    return found
