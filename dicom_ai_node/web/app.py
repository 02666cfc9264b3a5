"""The application: every route, and what becomes of errors."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from sqlalchemy.exc import DatabaseError
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from dicom_ai_node import __version__
from dicom_ai_node.errors import LeaseLost, NodeError, NotThere
from dicom_ai_node.log import get_logger
from dicom_ai_node.web import api, job, models, node, peers, queue, sign_in, studies, study
from dicom_ai_node.web.doors import Doors
from dicom_ai_node.web.guard import Guard
from dicom_ai_node.web.person import NotAllowed, NotSignedIn, TooManyTries
from dicom_ai_node.web.site import STATIC, Site, render

log = get_logger(__name__)

_CHANGED = "it has just changed: look at it again, then decide"
_STATUS: dict[type[Exception], HTTPStatus] = {
    NotSignedIn: HTTPStatus.UNAUTHORIZED,
    NotAllowed: HTTPStatus.FORBIDDEN,
    TooManyTries: HTTPStatus.TOO_MANY_REQUESTS,
    NotThere: HTTPStatus.NOT_FOUND,
}


def make_app(site: Site, key: bytes) -> Guard:
    """`key` signs sessions. The guard is around the answers to errors too."""
    app = FastAPI(
        title="dicom_ai_node", version=__version__, openapi_url=None, docs_url=None, redoc_url=None
    )
    app.state.site, app.state.key = site, key
    app.state.doors = Doors(site.config.web, site.database, site.trail, key)
    for module in (sign_in, queue, job, studies, study, peers, models, node):
        app.include_router(module.router, include_in_schema=False)
    app.include_router(api.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(NodeError, _refused)
    app.add_exception_handler(DatabaseError, _no_database)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
    return Guard(app, names=site.config.web.names)


def _refused(request: Request, error: Exception) -> Response:
    """A sentence and the next step, as on the command line."""
    status = _STATUS.get(type(error), HTTPStatus.CONFLICT)
    if status is HTTPStatus.UNAUTHORIZED and not _is_api(request):
        if _is_part(request):
            return Response(status_code=status, headers={"HX-Redirect": "/sign-in"})
        return RedirectResponse("/sign-in", status_code=HTTPStatus.SEE_OTHER)
    text = _CHANGED if isinstance(error, LeaseLost) else str(error)
    return _told(request, status, text)


def _no_database(request: Request, _error: Exception) -> Response:
    return _told(
        request, HTTPStatus.SERVICE_UNAVAILABLE, "the database does not answer: `doctor` says why"
    )


def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _told(request, HTTPStatus(status), HTTPStatus(status).phrase.lower())


def _unexpected(request: Request, error: Exception) -> Response:
    log.error("web_page_failed", method=request.method, exc_info=error)
    text = "something went wrong here: the log of the node says where"
    return _told(request, HTTPStatus.INTERNAL_SERVER_ERROR, text)


def _told(request: Request, status: HTTPStatus, text: str) -> Response:
    if _is_api(request):
        headers = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else None
        return JSONResponse({"detail": text}, status_code=status, headers=headers)
    page = "problem_part.html" if _is_part(request) else "problem.html"
    return render(request, page, status=status, text=text)


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


def _is_part(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"
