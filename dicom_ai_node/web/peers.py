"""Peers: what waits for each, what it said last, and whether it is there."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from dicom_ai_node import send_now
from dicom_ai_node.config.peers import AnyPeer, DicomwebPeer, DimsePeer
from dicom_ai_node.database import health, overview
from dicom_ai_node.database.books import books
from dicom_ai_node.errors import NotThere
from dicom_ai_node.peers.echo import echo
from dicom_ai_node.web.person import Person, may_act, may_look
from dicom_ai_node.web.record import on_record
from dicom_ai_node.web.site import Site, go, render, site_of

router = APIRouter(dependencies=[Depends(may_look)])

Acting = Annotated[Person, Depends(may_act)]


@router.get("/peers")
def page(request: Request) -> Response:
    return render(request, "peers.html", peers=read_peers(site_of(request)))


def read_peers(site: Site) -> list[dict[str, Any]]:
    """Those of the configuration, then those for which something waits all the same."""
    configured = site.config.peers
    with site.database.read() as connection:
        found = books(connection)
        names = [*configured, *sorted(found.waiting_for.keys() - configured.keys())]
        said = overview.last_answers(connection, names)
        seen = {name: health.last_contact(connection, name) for name in names}
    return [
        {
            "name": name,
            "what": _where(configured[name]) if name in configured else "not configured any more",
            "is_configured": name in configured,
            "last_contact": seen[name],
            "waiting": found.waiting.get(name),
            "uncommitted": found.uncommitted.get(name, 0),
            "last_answer": said[name],
        }
        for name in names
    ]


def _where(peer: AnyPeer) -> str:
    if isinstance(peer, DimsePeer):
        return f"DICOM {peer.ae_title} {peer.host}:{peer.port}" + (" TLS" if peer.tls else "")
    if isinstance(peer, DicomwebPeer):
        return f"DICOMweb {peer.url}"
    return "folder"


@router.post("/peers/{name}/echo")
def try_now(request: Request, name: str, person: Acting) -> Response:
    site = site_of(request)
    settings = _peer(site, name)
    with on_record(site, person, "echo", subject=name):
        said = echo(name, settings, site.config.node, now=datetime.now(UTC))
    return go(request, "/peers", f"{name}: {said}.")


@router.post("/peers/{name}/send")
def send(request: Request, name: str, person: Acting) -> Response:
    """What waits for it is due at once, whatever pause it had."""
    site = site_of(request)
    _peer(site, name)
    with on_record(site, person, "peers send", subject=name):
        send_now.ask(site.spool, name)
    return go(request, "/peers", f"{name} is sent what waits for it now.")


def _peer(site: Site, name: str) -> AnyPeer:
    """By a name of the configuration: nothing else becomes part of a path."""
    found = site.config.peers.get(name)
    if found is None:
        raise NotThere("there is no such peer: see the list of peers")
    return found
