"""Who is told: an HTTP server and a mail server on this machine, which keep what they are sent."""

import asyncio
import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.receive.certificates import Identity


@dataclass
class Hook:
    """`answers` are the statuses of the next requests; then 200."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/alarms"

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]


@contextmanager
def web_receiver(identity: Identity | None = None) -> Iterator[Hook]:
    hook = Hook(scheme="https" if identity else "http")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = hook.answers.pop(0) if hook.answers else 200
            if status == 200:
                hook.bodies.append(body)
                hook.paths.append(self.path)
                hook.headers.append(dict(self.headers))
            self.send_response(status)
            if status // 100 == 3:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            hook.bodies.append(b'{"followed": true}')

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if identity is not None:
        server.socket = _context(identity).wrap_socket(server.socket, server_side=True)
    hook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _context(identity: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    return context


@dataclass
class Mailbox:
    """A server that speaks enough SMTP (RFC 5321, 3207, 4954) to be told by smtplib."""

    identity: Identity | None = None
    at_once: bool = False  # TLS from the first byte on
    password: str | None = None
    refuses: str = ""  # an answer to RCPT, such as "550 nobody here"
    port: int = 0
    mails: list[str] = field(default_factory=list)
    was_protected: list[bool] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            await self._speak(reader, writer)
        writer.close()

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        signed_in = self.password is None
        writer.write(b"220 test\r\n")
        while line := await reader.readline():
            verb = line.decode().strip().upper()[:8]
            answer = "250 OK"
            if verb.startswith("EHLO"):
                answer = self._offers(writer)
            elif verb.startswith("STARTTLS"):
                assert self.identity is not None
                writer.write(b"220 go\r\n")
                await writer.drain()
                await writer.start_tls(_context(self.identity))
                continue
            elif verb.startswith("AUTH"):
                given = base64.b64decode(line.split()[2]).decode().split("\0")
                signed_in = given[1:] == ["node", self.password]
                answer = "235 in" if signed_in else "535 no"
            elif verb.startswith("MAIL") and not signed_in:
                answer = "530 sign in"
            elif verb.startswith("RCPT") and self.refuses:
                answer = self.refuses
            elif verb.startswith("DATA"):
                writer.write(b"354 go on\r\n")
                content = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append(content.decode())
                self.was_protected.append(writer.get_extra_info("ssl_object") is not None)
            elif verb.startswith("QUIT"):
                writer.write(b"221 bye\r\n")
                return
            writer.write(f"{answer}\r\n".encode())

    def _offers(self, writer: asyncio.StreamWriter) -> str:
        offered = ["250-test"]
        if self.identity is not None and writer.get_extra_info("ssl_object") is None:
            offered.append("250-STARTTLS")
        if self.password is not None:
            offered.append("250-AUTH PLAIN")
        return "\r\n".join([*offered, "250 HELP"])


@contextmanager
def mail_receiver(**settings: Any) -> Iterator[Mailbox]:
    box = Mailbox(**settings)
    loop = asyncio.new_event_loop()
    tls = _context(box.identity) if box.at_once and box.identity else None
    server = loop.run_until_complete(asyncio.start_server(box.serve, "127.0.0.1", 0, ssl=tls))
    box.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield box
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.02))
        loop.close()
