"""Who looks at the page, and what they may."""

from dataclasses import dataclass

from fastapi import Request

from dicom_ai_node.audit.trail import Actor
from dicom_ai_node.errors import NodeError
from dicom_ai_node.roles import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """By a token, or by what a proxy says; `address` is that of their browser."""

    name: str
    role: Role
    address: str
    has_session: bool = False  # and so can sign out

    @property
    def actor(self) -> Actor:
        return Actor(name=self.name, through="web page", address=self.address)

    @property
    def may_act(self) -> bool:
        return self.role.may(Role.ACT)

    @property
    def may_configure(self) -> bool:
        return self.role.may(Role.CONFIGURE)


class NotSignedIn(NodeError):
    """Nobody known."""


class NotAllowed(NodeError):
    """Somebody known, who may not do this."""


class TooManyTries(NodeError):
    """From this address, without a good token."""


def person_of(request: Request) -> Person:
    """Of a route that asked for one with `may_look`, `may_act` or `may_configure`."""
    found: Person = request.state.person
    return found


def _require(request: Request, wanted: Role) -> Person:
    person: Person | None = request.app.state.doors.person_of(request)
    if person is None:
        raise NotSignedIn("sign in first")
    if not person.role.may(wanted):
        raise NotAllowed(
            f"this needs the role {wanted}, and {person.name} has {person.role}: ask whoever "
            "configures the node"
        )
    request.state.person = person
    return person


def may_look(request: Request) -> Person:
    return _require(request, Role.LOOK)


def may_act(request: Request) -> Person:
    return _require(request, Role.ACT)


def may_configure(request: Request) -> Person:
    return _require(request, Role.CONFIGURE)
