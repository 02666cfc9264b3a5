"""The node itself: draining, and who may use this page."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from dicom_ai_node import draining
from dicom_ai_node.database import tokens
from dicom_ai_node.log import get_logger
from dicom_ai_node.roles import Role
from dicom_ai_node.web.person import Person, may_configure
from dicom_ai_node.web.record import on_record
from dicom_ai_node.web.site import go, render, site_of

log = get_logger(__name__)
router = APIRouter(dependencies=[Depends(may_configure)])

Configuring = Annotated[Person, Depends(may_configure)]


@router.get("/node")
def page(request: Request) -> Response:
    return _page(request, made="", of="")


@router.post("/node/drain")
def drain(request: Request, person: Configuring, off: Annotated[bool, Form()] = False) -> Response:
    """As `drain` and `drain --off`, without waiting."""
    site = site_of(request)
    with on_record(site, person, "drain --off" if off else "drain"):
        (draining.end if off else draining.begin)(site.spool)
    log.warning("draining_ended" if off else "draining")
    said = "takes studies and begins jobs again" if off else "takes nothing new and begins no job"
    return go(request, "/node", f"The node {said}.")


@router.post("/node/tokens")
def add_token(
    request: Request,
    person: Configuring,
    name: Annotated[str, Form(max_length=64)],
    role: Annotated[Role, Form()],
) -> Response:
    """It is shown once, on the answer itself: nothing keeps it."""
    site = site_of(request)
    record = on_record(site, person, "tokens add", subject=name)
    with record, site.database.write() as connection:
        made = tokens.make(connection, name, role, now=site.database.now())
    return _page(request, made=made, of=name)


@router.post("/node/tokens/revoke")
def revoke_token(
    request: Request, person: Configuring, name: Annotated[str, Form(max_length=64)]
) -> Response:
    site = site_of(request)
    record = on_record(site, person, "tokens revoke", subject=name)
    with record, site.database.write() as connection:
        tokens.revoke(connection, name, now=site.database.now())
    return go(request, "/node", f"The token {name} is revoked.")


def _page(request: Request, *, made: str, of: str) -> Response:
    with site_of(request).database.read() as connection:
        found = tokens.listing(connection)
    return render(request, "node.html", tokens=found, made=made, of=of)
