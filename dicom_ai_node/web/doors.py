"""From a request to a person: a token, a session that a token began, or a proxy's word."""

import secrets
from ipaddress import ip_address
from math import ceil

from fastapi import Request
from itsdangerous import BadData

from dicom_ai_node.audit.trail import Actor, Trail
from dicom_ai_node.config.observe import ProxySettings, WebSettings
from dicom_ai_node.database import tokens
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.tokens import Token
from dicom_ai_node.log import get_logger
from dicom_ai_node.roles import Role
from dicom_ai_node.web.person import NotAllowed, Person, TooManyTries
from dicom_ai_node.web.sessions import Ended, Session
from dicom_ai_node.web.signing import signer
from dicom_ai_node.web.tries import Tries

log = get_logger(__name__)

SESSION = "dicom_ai_node_session"
_LONGEST_NAME = 64
_NUMBER_BYTES = 8  # of a session
_NOBODY = "unknown"


class Doors:
    """Of one page; `key` signs sessions."""

    def __init__(self, settings: WebSettings, database: Database, trail: Trail, key: bytes) -> None:
        self._settings = settings
        self._database = database
        self._trail = trail
        self._sessions = signer(key, "session")
        self._ended = Ended()
        self._tries = Tries()

    @property
    def session_s(self) -> int:
        return ceil(self._settings.session_hours * 3600)

    def person_of(self, request: Request) -> Person | None:
        """Raises TooManyTries, and NotAllowed for whom the proxy knows and no group lets in."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            token = self.token_of(request, given.strip())
            return None if token is None else self._of_token(token, request, has_session=False)
        found = self._by_proxy(request)
        return found or self._by_session(request)

    def token_of(self, request: Request, given: str) -> Token | None:
        """What was given is counted against its address where it is no token."""
        address, now = self.address_of(request), self._database.now()
        with self._database.read() as connection:
            token = tokens.known(connection, given)
        if token is not None:  # whatever others do from the same address
            return token
        if self._tries.are_spent(address, now=now):
            raise TooManyTries("too many tries without a good token: wait five minutes")
        self._tries.failed(address, now=now)
        log.warning("web_sign_in_failed", address=address)
        who = Actor(name=_NOBODY, through="web page", address=address)
        self._trail.acted(who, "sign in", succeeded=False)
        return None

    def begin_session(self, token: Token) -> str:
        """Of this token, not of its number alone: a restored database may give that to another."""
        with self._database.read() as connection:
            mark = tokens.mark(connection, token)
        return str(self._sessions.dumps([token.id, mark, secrets.token_hex(_NUMBER_BYTES)]))

    def end_session(self, request: Request) -> None:
        """Wherever else its cookie may lie."""
        session = self._session(request)
        if session is not None:
            now = self._database.now()
            self._ended.add(session.number, until=now + self.session_s, now=now)

    def address_of(self, request: Request) -> str:
        """Of the browser, as far as a proxy that is believed says so."""
        host = request.client.host if request.client else ""
        if self._is_proxy(host):
            try:
                return str(ip_address(_last(request, "x-forwarded-for")))
            except ValueError:
                return host
        return host

    def is_https(self, request: Request) -> bool:
        host = request.client.host if request.client else ""
        said = _last(request, "x-forwarded-proto") if self._is_proxy(host) else ""
        return request.url.scheme == "https" or said.lower() == "https"

    def _by_session(self, request: Request) -> Person | None:
        session = self._session(request)
        if session is None or session.number in self._ended:
            return None
        with self._database.read() as connection:
            token = tokens.marked(connection, session.token_id, session.mark)
        return None if token is None else self._of_token(token, request, has_session=True)

    def _session(self, request: Request) -> Session | None:
        """What its cookie says, signed by us."""
        given = request.cookies.get(SESSION, "")
        try:
            token_id, mark, number = self._sessions.loads(given, max_age=self.session_s)
        except (BadData, TypeError, ValueError):  # nothing of ours, or of an older version
            return None
        return Session(token_id=token_id, mark=mark, number=number)

    def _of_token(self, token: Token, request: Request, *, has_session: bool) -> Person:
        now = self._database.now()
        if tokens.is_worth_noting(token, now=now):
            with self._database.write() as connection:
                tokens.used(connection, token, now=now)
        address = self.address_of(request)
        return Person(name=token.name, role=token.role, address=address, has_session=has_session)

    def _is_proxy(self, host: str) -> bool:
        if self._settings.proxy is None:
            return False
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._settings.proxy.from_)

    def _by_proxy(self, request: Request) -> Person | None:
        """Each header once: a second one is of somebody who wants to be another."""
        proxy = self._settings.proxy
        host = request.client.host if request.client else ""
        if proxy is None or not self._is_proxy(host):
            return None
        names = request.headers.getlist(proxy.user_header)
        groups = request.headers.getlist(proxy.groups_header)
        if not names:
            return None
        name = names[0].strip()
        if len(names) > 1 or len(groups) > 1 or not _is_name(name):
            raise NotAllowed("the proxy does not say clearly who you are: see docs/web.md")
        role = _role_of(proxy, "".join(groups))
        if role is None:
            raise NotAllowed(
                f"{name} is in no group that web.proxy names: ask whoever configures the node"
            )
        return Person(name=name, role=role, address=self.address_of(request))


def _last(request: Request, name: str) -> str:
    """What the proxy itself wrote: all before it may be the visitor's own."""
    lines = request.headers.getlist(name)
    return lines[-1].rpartition(",")[2].strip() if lines else ""


def _is_name(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable()


def _role_of(proxy: ProxySettings, said: str) -> Role | None:
    """The greatest of all that the groups give."""
    groups = {group.strip() for group in said.split(",")}
    given = {Role.CONFIGURE: proxy.configure, Role.ACT: proxy.act, Role.LOOK: proxy.look}
    return next((role for role, names in given.items() if groups.intersection(names)), None)
