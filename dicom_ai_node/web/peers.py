"""Peers: what waits for each, what it said last, and whether it is there."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from dicom_ai_node import send_now
from dicom_ai_node.config.peers import AnyPeer
from dicom_ai_node.errors import NotThere, PeerUnreachable
from dicom_ai_node.known_peers import read_peers
from dicom_ai_node.peers.asking import ask
from dicom_ai_node.web.person import Person, may_act, may_look
from dicom_ai_node.web.record import on_record
from dicom_ai_node.web.site import Site, go, render, site_of

router = APIRouter(dependencies=[Depends(may_look)])

Acting = Annotated[Person, Depends(may_act)]


@router.get("/peers")
def page(request: Request) -> Response:
    site = site_of(request)
    return render(request, "peers.html", peers=read_peers(site.config, site.database))


@router.post("/peers/{name}/echo")
def try_now(request: Request, name: str, person: Acting) -> Response:
    site = site_of(request)
    settings = _peer(site, name)
    with on_record(site, person, "echo", subject=name):
        answer = ask(name, settings, calling_ae_title=site.config.node.ae_title[0])
        if not answer.answers:
            raise PeerUnreachable(f"{answer.text}: {answer.next_step}")
    return go(request, "/peers", f"{name}: {answer.text}.")


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
