"""The page in a thread of its role: uvicorn without signals, without a log of requests."""

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from dicom_ai_node import certificates
from dicom_ai_node.config.observe import WebSettings
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.log import get_logger
from dicom_ai_node.web.app import make_app
from dicom_ai_node.web.connection import BoundedConnection, Listener, Loop
from dicom_ai_node.web.keys import first_token, session_key
from dicom_ai_node.web.site import Site

log = get_logger(__name__)

_HEADER_BYTES = 16 << 10
_KEEP_ALIVE_S = 5
_STOP_S = 5
_BACKLOG = 64


@contextmanager
def serving(site: Site) -> Iterator[int]:
    """The port; raises ConfigError where it cannot be used, or a file of TLS cannot."""
    settings = site.config.web
    context = _tls(settings)
    key = session_key(site.spool)
    listener = _listen(settings)
    port: int = listener.getsockname()[1]
    written = first_token(site.spool, site.database)
    app = make_app(site, key)
    for name in ("uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # paths and errors are ours to tell
    config = uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_STOP_S,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=_run, args=(server, listener), name="web page")
    thread.start()
    scheme = "https" if context is not None else "http"
    log.info("web_page_listening", scheme=scheme, host=settings.host, port=port)
    if written is not None:
        log.warning("web_token_written", path=str(written))
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(_STOP_S * 2)
        listener.close()


def _run(server: uvicorn.Server, listener: Listener) -> None:
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(server.serve(sockets=[listener]))


def _listen(settings: WebSettings) -> Listener:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return Listener(
            socket.create_server(
                (settings.host, settings.port or 0), family=family, backlog=_BACKLOG
            )
        )
    except OSError as error:
        raise ConfigError(
            f"web.port {settings.port} cannot be used ({error.strerror}): choose another one"
        ) from None


def _tls(settings: WebSettings) -> ssl.SSLContext | None:
    if settings.tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificates.read_certificates("web.tls.certificate", settings.tls.certificate)
    certificates.show(context, "web.tls", settings.tls.certificate, settings.tls.key)
    return context
