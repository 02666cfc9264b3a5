"""Tokens of the web page: made once, kept as hashes, revoked by name."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, insert, select, update

from dicom_ai_node.database.tables import web_token
from dicom_ai_node.errors import NodeError
from dicom_ai_node.roles import Role

_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}")
_MARK = 16  # characters of a hash: enough to tell tokens apart, and of no use to find one
_NOTED_EVERY_S = 60.0  # that it was used: not every look at the page is a write


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Times are seconds since the epoch."""

    id: int
    name: str
    role: Role
    created_at: float
    last_used_at: float | None
    revoked_at: float | None


def make(connection: Connection, name: str, role: Role, *, now: float) -> str:
    """The token itself, which nobody can read again; NodeError where the name is no good.

    The name of a revoked one is taken too: the audit trail must say whose it was.
    """
    if not _NAME.fullmatch(name):
        raise NodeError("a token has a name of letters, digits, spaces and . _ @ -")
    if connection.scalar(select(web_token.c.id).where(web_token.c.name == name)) is not None:
        raise NodeError(f"there is, or was, a token called {name}: choose another name")
    made = secrets.token_urlsafe(_BYTES)
    row = {"name": name, "role": role, "sha256": _hash(made), "created_at": now}
    connection.execute(insert(web_token).values(**row))
    return made


def listing(connection: Connection) -> Sequence[Token]:
    rows = connection.execute(select(web_token).order_by(web_token.c.id)).mappings()
    return [_of_row(row) for row in rows]


def is_any(connection: Connection) -> bool:
    """Whether there ever was one, revoked or not."""
    return connection.scalar(select(web_token.c.id).limit(1)) is not None


def mark(connection: Connection, token: Token) -> str:
    """Part of its hash: after a restore, another token may have its number."""
    found = connection.scalar(select(web_token.c.sha256).where(web_token.c.id == token.id))
    return str(found)[:_MARK]


def marked(connection: Connection, token_id: int, mark: str) -> Token | None:
    """None where it is revoked, or has another mark."""
    row = connection.execute(select(web_token).where(web_token.c.id == token_id)).mappings()
    found = row.one_or_none()
    if found is None or found["revoked_at"] is not None:
        return None
    return _of_row(found) if hmac.compare_digest(found["sha256"][:_MARK], mark) else None


def known(connection: Connection, given: str) -> Token | None:
    """Whose this is, unless it is revoked; each is compared, so that time tells nothing."""
    digest, found = _hash(given), None
    standing = select(web_token).where(web_token.c.revoked_at.is_(None))
    for row in connection.execute(standing).mappings():
        if hmac.compare_digest(row["sha256"], digest):
            found = _of_row(row)
    return found


def good_again(before: Connection, after: Connection) -> list[str]:
    """Names of those that are revoked in the one database, and not in the other, an older one."""
    good = {each.name for each in listing(after) if each.revoked_at is None}
    return [each.name for each in listing(before) if each.revoked_at and each.name in good]


def is_worth_noting(token: Token, *, now: float) -> bool:
    return token.last_used_at is None or now - token.last_used_at > _NOTED_EVERY_S


def used(connection: Connection, token: Token, *, now: float) -> None:
    connection.execute(update(web_token).where(web_token.c.id == token.id).values(last_used_at=now))


def revoke(connection: Connection, name: str, *, now: float) -> None:
    """At once, with its sessions. Raises NodeError where there is none to be revoked."""
    revoked = connection.execute(
        update(web_token)
        .where(web_token.c.name == name, web_token.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    if revoked.rowcount != 1:
        raise NodeError(f"there is no token called {name} that is good: see `tokens list`")


def _hash(token: str) -> str:
    # of 256 random bits: nothing slower would make it harder to find
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _of_row(row: RowMapping) -> Token:
    return Token(
        id=row["id"],
        name=row["name"],
        role=Role(row["role"]),
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )
