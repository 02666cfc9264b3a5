"""What the pages are about, and how one is rendered."""

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from itsdangerous import BadData, URLSafeTimedSerializer
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from dicom_ai_node import __version__
from dicom_ai_node.audit.trail import Trail
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.draining import is_draining
from dicom_ai_node.in_words import age, moment
from dicom_ai_node.roles import Role
from dicom_ai_node.spool import Spool
from dicom_ai_node.web.person import Person
from dicom_ai_node.web.signing import signer

STATIC = Path(__file__).parent / "static"
_SAID = "dicom_ai_node_said"
_SAID_S = 60
_UID = re.compile(r"2\.25\.\d+|\d+(?:\.\d+){4,}")  # an address has four parts

_pages = Environment(
    loader=PackageLoader("dicom_ai_node.web"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_pages.globals.update(version=__version__, moment=moment, age=age, roles=list(Role))


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One node, as its page has it."""

    config: Config
    spool: Spool
    database: Database
    trail: Trail


def site_of(request: Request) -> Site:
    found: Site = request.app.state.site
    return found


def render(request: Request, page: str, *, status: int = 200, **content: Any) -> Response:
    """`person` may be nobody: on the page where one signs in, and where that went wrong."""
    site = site_of(request)
    person: Person | None = getattr(request.state, "person", None)
    shared = {
        "person": person,
        "now": site.database.now(),
        "ae_title": site.config.node.ae_title[0],
        "is_drained": is_draining(site.spool),
        "path": request.url.path,
        "said": _heard(request),
        "seen": partial(seen_by, person),
    }
    text = _pages.get_template(page).render(**shared, **content)
    answer = HTMLResponse(text, status_code=status)
    if request.cookies.get(_SAID):
        answer.delete_cookie(_SAID)
    return answer


def seen_by(person: Person | None, text: str) -> str:
    """A sentence without its UIDs, for those who may only look."""
    return text if person is not None and person.may_act else _UID.sub("…", text)


def go(request: Request, where: str, said: str = "") -> Response:
    """To a page of ours, where `said` is read once."""
    answer = RedirectResponse(where, status_code=303)
    if said:
        answer.set_cookie(
            _SAID,
            _sayings(request).dumps(said),
            max_age=_SAID_S,
            httponly=True,
            samesite="strict",
            secure=request.app.state.doors.is_https(request),
        )
    return answer


def _heard(request: Request) -> str:
    try:
        return str(_sayings(request).loads(request.cookies.get(_SAID, ""), max_age=_SAID_S))
    except BadData:
        return ""


def _sayings(request: Request) -> URLSafeTimedSerializer:
    return signer(request.app.state.key, "said")
