"""The port for machines: /metrics, /health/live, /health/ready and /status.json.

Read only, without patient data, bound to loopback unless configured otherwise. What a client may
cost is bounded: so many connections, so many bytes, so many seconds.
"""

import io
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dicom_ai_node.log import get_logger
from dicom_ai_node.observe.answers import Answers
from dicom_ai_node.observe.observed import Observed

log = get_logger(__name__)

CONNECTIONS = 16  # at once; one more is closed
HEAD_BYTES = 8192  # of a request line and its headers
REQUEST_S = 5.0  # from the connection to the end of the headers
ANSWER_S = 10.0  # until the client has taken the answer
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that dawdles delays no stop
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], answers: Answers, *, request_s: float = REQUEST_S
    ) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, Handler)
        self.answers = answers
        self.request_s = request_s
        self._free = threading.BoundedSemaphore(CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, *_: Any) -> None:
        """A client that is gone, or too slow, is no news."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log.error("metrics_request_failed", exc_info=error)


class Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "dicom_ai_node"
    sys_version = ""

    def handle(self) -> None:
        """One request, whose head has come whole and in time."""
        head = self._head()
        if head is not None:
            self.rfile = io.BufferedReader(io.BytesIO(head))
            self.connection.settimeout(ANSWER_S)
            self.handle_one_request()

    def _head(self) -> bytes | None:
        """None where the client sends too little, too slowly, or too much."""
        deadline = time.monotonic() + self.server.request_s
        head = b""
        while b"\r\n\r\n" not in head and b"\n\n" not in head:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or len(head) > HEAD_BYTES:
                return None
            self.connection.settimeout(left_s)
            try:
                piece = self.connection.recv(HEAD_BYTES)
            except OSError:
                return None
            if not piece:
                return None
            head += piece
        return head

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def _answer(self, *, has_body: bool) -> None:
        answer = self.server.answers.to(self.path.partition("?")[0])
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if has_body:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 — its name there
        """Requests are not logged: there is nothing in them that the log needs."""


def make_server(observed: Observed, *, port: int | None = None) -> Server:
    """Listening, not yet serving; `server_address` has the port."""
    settings = observed.config.metrics
    wanted = port if port is not None else settings.port or 0
    return Server((settings.host, wanted), Answers(observed))
