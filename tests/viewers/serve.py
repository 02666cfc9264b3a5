"""A viewer's files and the PACS's DICOMweb at one address of loopback: no CORS is needed."""

import http.client
import http.server
import mimetypes
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_OF_THE_PACS = ("/dicom-web", "/wado")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """`refused` are paths that the PACS has answered with an error status, and that status."""

    url: str
    refused: list[tuple[str, int]] = field(default_factory=list)


@contextmanager
def serving(folders: Sequence[Path], *, pacs_port: int) -> Iterator[Site]:
    """A path is the file of the first folder that has it; any other is the page of the last."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.folders, server.pacs_port = folders, pacs_port
    server.site = Site(url=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    folders: Sequence[Path]
    pacs_port: int
    site: Site

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that leaves a page drops its connections: no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        if path.startswith(_OF_THE_PACS):
            self._ask_pacs()
            return
        file = self._file_of(path)
        kind = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0]
        headers = [
            ("Content-Type", kind or "application/octet-stream"),
            ("Cache-Control", "no-store" if file.suffix == ".html" else "max-age=3600"),
        ]
        self._answer(200, file.read_bytes(), headers)

    def do_POST(self) -> None:
        self._ask_pacs()

    def log_message(self, *words: object) -> None:
        """Nothing on the screen."""

    def _file_of(self, path: str) -> Path:
        for folder in self.server.folders:
            file = (folder / path.lstrip("/")).resolve()
            if file.is_file() and folder.resolve() in file.parents:
                return file
        return self.server.folders[-1] / "index.html"

    def _ask_pacs(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
        headers |= {"Host": self.headers["Host"], "Accept-Encoding": "identity"}
        pacs = http.client.HTTPConnection("127.0.0.1", self.server.pacs_port, timeout=60)
        try:
            pacs.request(self.command, self.path, self.rfile.read(length), headers)
            answer = pacs.getresponse()
            content = answer.read()
        finally:
            pacs.close()
        if answer.status >= 400:
            self.server.site.refused.append((self.path, answer.status))
        kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in _HOP_BY_HOP]
        self._answer(answer.status, content, kept)

    def _answer(self, status: int, content: bytes, headers: list[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        # a page that is isolated may have SharedArrayBuffer, which viewers decode with
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.end_headers()
        self.wfile.write(content)
