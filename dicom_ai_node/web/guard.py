"""What every request must be before it is looked at, and every answer says to browsers.

Pure ASGI, around everything: no route can forget it.
"""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 64 << 10  # bytes
BODY_S = 10.0
_SAFE = ("GET", "HEAD", "OPTIONS")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # not `no-referrer`: a browser would then hide from us that a form is our own
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """`names` are those that browsers know the page by, beside addresses and localhost."""

    def __init__(self, app: ASGIApp, *, names: Sequence[str]) -> None:
        self._app = app
        self._names = {"localhost", *names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _with_headers(send)
        wrong = self._refused(scope["method"], Headers(scope=scope))
        if wrong is None:
            content = await _read(receive)
            if isinstance(content, bytes):
                await self._app(scope, _again(content, receive), answer)
                return
            wrong = content
        await wrong(scope, receive, answer)

    def _refused(self, method: str, headers: Headers) -> PlainTextResponse | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            # DNS rebinding: a page from elsewhere, under a name that leads here
            return _said(421, "unknown name: see web.names")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            return _said(413, f"at most {MAX_BODY} bytes")
        if method not in _SAFE and not _is_of_our_page(headers, hosts[0]):
            return _said(403, "this request did not come from a page of this node")
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        try:
            ip_address(name)
        except ValueError:
            return name in self._names
        return True


def _is_of_our_page(headers: Headers, host: str) -> bool:
    """CSRF: what browsers say of where a form stands. A bearer's token is in no browser."""
    if headers.get("authorization", "").lower().startswith("bearer "):
        return True
    origin = headers.getlist("origin")
    if len(origin) == 1:
        try:
            return urlsplit(origin[0]).netloc.lower() == host.lower()
        except ValueError:
            return False
    return not origin and headers.get("sec-fetch-site") == "same-origin"


async def _read(receive: Receive) -> bytes | PlainTextResponse:
    """The whole body, which is small."""
    content = b""
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                content += bytes(message.get("body", b""))
                if len(content) > MAX_BODY:
                    return _said(413, f"at most {MAX_BODY} bytes")
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    return content
    except TimeoutError:
        return _said(408, f"the whole request must come within {BODY_S:.0f} s")


def _again(content: bytes, receive: Receive) -> Receive:
    is_given = False

    async def give() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": content, "more_body": False}

    return give


def _with_headers(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return answer


def _said(status: int, text: str) -> PlainTextResponse:
    return PlainTextResponse(f"{text}\n", status_code=status, headers={"Connection": "close"})
