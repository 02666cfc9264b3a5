"""In by a token, and out again."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from dicom_ai_node.web.doors import SESSION
from dicom_ai_node.web.person import Person, may_look
from dicom_ai_node.web.site import go, render, site_of

router = APIRouter()


@router.get("/sign-in")
def form(request: Request) -> Response:
    return render(request, "sign_in.html", wrong="")


@router.post("/sign-in")
def sign_in(request: Request, token: Annotated[str, Form(max_length=200)] = "") -> Response:
    doors = request.app.state.doors
    found = doors.token_of(request, token.strip())
    if found is None:
        wrong = "This is no token of this node, or it was revoked."
        return render(request, "sign_in.html", status=403, wrong=wrong)
    person = Person(name=found.name, role=found.role, address=doors.address_of(request))
    site_of(request).trail.acted(person.actor, "sign in")
    answer = go(request, "/")
    answer.set_cookie(
        SESSION,
        doors.begin_session(found),
        max_age=doors.session_s,
        httponly=True,
        samesite="strict",
        secure=doors.is_https(request),
    )
    return answer


@router.post("/sign-out")
def sign_out(request: Request, person: Annotated[Person, Depends(may_look)]) -> Response:
    site_of(request).trail.acted(person.actor, "sign out")
    request.app.state.doors.end_session(request)
    answer = go(request, "/sign-in", "You are signed out.")
    answer.delete_cookie(SESSION)
    return answer
