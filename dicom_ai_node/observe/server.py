"""A page with the queue, and /health/live, /health/ready and /status.json for machines.

Read only, without patient data; bound to loopback unless configured otherwise.
"""

import json
from collections.abc import Callable
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sqlalchemy.exc import DatabaseError

from dicom_ai_node import __version__
from dicom_ai_node.config.observe import MetricsSettings
from dicom_ai_node.database import jobs
from dicom_ai_node.database.books import Books, books
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import Job

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = (
    "body{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}"
    "th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc}"
)


def make_server(
    settings: MetricsSettings, database: Database, is_draining: Callable[[], bool] = lambda: False
) -> ThreadingHTTPServer:
    """Listening, not yet serving; `server_address` has the port."""

    class Handler(BaseHTTPRequestHandler):
        server_version = "dicom_ai_node"
        sys_version = ""
        timeout = 10  # a silent client holds one thread, and not for long

        def do_GET(self) -> None:
            pages = {"/": _page, "/health/ready": _ready, "/status.json": _status}
            if self.path == "/health/live":
                self._send(HTTPStatus.OK, "text/plain", "alive\n")
            elif self.path == "/health/ready" and is_draining():
                message = "drained by an operator: nothing new is taken\n"
                self._send(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", message)
            elif self.path in pages:
                try:
                    self._send(HTTPStatus.OK, *pages[self.path](database))
                except DatabaseError:
                    message = "the database does not answer\n"
                    self._send(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", message)
            else:
                self._send(HTTPStatus.NOT_FOUND, "text/plain", "not found\n")

        def _send(self, status: HTTPStatus, kind: str, body: str) -> None:
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            for name, value in _HEADERS.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 — its name there
            """Requests are not logged: there is nothing in them that the log needs."""

    return ThreadingHTTPServer((settings.host, settings.port or 0), Handler)


def _ready(database: Database) -> tuple[str, str]:
    _read(database)
    return "text/plain", "ready\n"


def _status(database: Database) -> tuple[str, str]:
    return "application/json", json.dumps(_read(database)[0].as_dict())


def _read(database: Database) -> tuple[Books, list[Job]]:
    with database.read() as connection:
        return books(connection), list(jobs.listing(connection, limit=50))


def _page(database: Database) -> tuple[str, str]:
    found, latest = _read(database)
    counts = {
        "Studies": found.studies,
        "Jobs": found.jobs,
        "Objects waiting for": found.waiting_for,
        "Received": found.received,
        "Waiting for a person": found.dead_letters,
    }
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>dicom_ai_node</title><style>{_STYLE}</style>",
        f"<h1>dicom_ai_node {escape(__version__)}</h1>",
    ]
    for title, numbers in counts.items():
        shown = ", ".join(f"{escape(name)} {number}" for name, number in numbers.items() if number)
        parts.append(f"<p><b>{title}:</b> {shown or 'none'}</p>")
    balanced = "balanced" if found.balanced else "not balanced: run dicom-ai-node doctor"
    parts.append(f"<p><b>The books are</b> {balanced}.</p>")
    parts.append(_job_table(latest))
    return "text/html", "\n".join(parts)


def _job_table(latest: list[Job]) -> str:
    rows = [
        "".join(
            f"<td>{escape(str(cell or ''))}</td>"
            for cell in (job.id, job.model, job.state, job.outcome, job.reason or job.error_text)
        )
        for job in latest
    ]
    head = "<tr><th>Job<th>Model<th>State<th>Outcome<th>Why</tr>"
    return f"<table>{head}{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
