"""A DICOMweb service that does what its script says, on a real socket, with a ledger of its own."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import pydicom

from dicom_ai_node.config.peers import DicomwebPeer

JSON = "application/dicom+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str  # with its query
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def parts(self) -> list[bytes]:
        """The Part 10 files of a STOW-RS request."""
        boundary = self.headers["content-type"].rpartition("boundary=")[2].encode()
        first, *others = self.body.split(b"\r\n--" + boundary)
        assert first == b""
        assert others.pop() == b"--\r\n"
        heads, contents = zip(*(each.split(b"\r\n\r\n", 1) for each in others), strict=True)
        assert set(heads) == {b"\r\nContent-Type: application/dicom"}
        return list(contents)

    @property
    def uids(self) -> list[str]:
        return [str(pydicom.dcmread(BytesIO(each)).SOPInstanceUID) for each in self.parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`status` 0 breaks the connection off; None never answers."""

    status: int | None = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def says(
    stored: Mapping[str, int | None] | Sequence[str] = (),
    failed: Mapping[str, int] | None = None,
    *,
    status: int = 200,
) -> Reply:
    """By SOP Instance UID, with the reason of a warning or a failure."""
    warnings = stored if isinstance(stored, Mapping) else dict.fromkeys(stored)
    answer = {
        "00081199": {"vr": "SQ", "Value": [_item(u, "00081196", c) for u, c in warnings.items()]},
        "00081198": {
            "vr": "SQ",
            "Value": [_item(u, "00081197", c) for u, c in (failed or {}).items()],
        },
    }
    return Reply(status=status, body=json.dumps(answer).encode())


def _item(uid: str, tag: str, code: int | None) -> dict[str, Any]:
    item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    if code is not None:
        item[tag] = {"vr": "US", "Value": [code]}
    return item


def takes_all(request: Request) -> Reply:
    return says(request.uids)


@dataclass
class DicomwebServer:
    answer: Callable[[Request], Reply] = takes_all
    context: ssl.SSLContext | None = None
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def settings(self, **changes: Any) -> DicomwebPeer:
        scheme = "http" if self.context is None else "https"
        return DicomwebPeer.model_validate(
            {
                "kind": "dicomweb",
                "url": f"{scheme}://127.0.0.1:{self.port}/dicom-web",
                "connect_timeout_s": 5,
                "timeout_s": 5,
                **changes,
            }
        )

    @property
    def stored(self) -> list[bytes]:
        return [part for request in self.requests for part in request.parts]

    @contextmanager
    def running(self) -> Iterator["DicomwebServer"]:
        handler = type("Handler", (_Handler,), {"script": self})
        server = _Server(("127.0.0.1", self.port), handler)
        server.context = self.context
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.ended.set()
            server.shutdown()
            server.server_close()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.context is None:
            super().finish_request(request, client_address)
            return
        with self.context.wrap_socket(request, server_side=True) as protected:
            super().finish_request(protected, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off is part of the script."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: DicomwebServer

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(method=self.command, path=self.path, headers=headers, body=body)
        self.script.requests.append(request)
        reply = self.script.answer(request)
        if reply.status is None:
            self.script.ended.wait()
        if not reply.status:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.content_type)
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_args: Any) -> None:
        pass
