"""`web`: the role that monitoring and people look at."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from dicom_ai_node.cli.node import DEFAULT_CONFIG, ConfigDir, Node
from dicom_ai_node.cli.role import InForceFile, Supervised, role
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.log import get_logger

if TYPE_CHECKING:
    from dicom_ai_node.observe.server import Server

log = get_logger(__name__)


def add_to(app: typer.Typer) -> None:
    app.command()(web)


def web(
    config: ConfigDir = DEFAULT_CONFIG,
    supervised: Supervised = False,
    in_force_file: InForceFile = None,
) -> None:
    """Serve metrics, health checks, and the web page where it is installed."""
    with role("web", config, supervised, in_force_file) as (node, stop):
        server = _metrics_server(node)
        with _page(node):
            stop.wait()
        if server is not None:
            server.shutdown()
            server.server_close()


def _metrics_server(node: Node) -> "Server | None":
    """Serving; None where the configuration wants none."""
    from dicom_ai_node.observe.observed import Observed
    from dicom_ai_node.observe.server import make_server

    settings = node.config.metrics
    if settings.port is None:
        return None
    observed = Observed(config=node.config, spool=node.spool, database=node.database)
    try:
        server = make_server(observed)
    except OSError as error:
        raise ConfigError(
            f"metrics.port {settings.port} cannot be used ({error.strerror}): choose another one"
        ) from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log.info("metrics_listening", host=settings.host, port=server.server_address[1])
    return server


@contextmanager
def _page(node: Node) -> Iterator[None]:
    """Without its extra, or without a port, nothing is served beside metrics and health."""
    if node.config.web.port is None:
        yield
        return
    try:
        from dicom_ai_node.web.server import serving
        from dicom_ai_node.web.site import Site
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("dicom_ai_node"):
            raise
        log.warning("web_page_not_installed", install="pip install 'dicom-ai-node[web]'")
        yield
        return
    site = Site(config=node.config, spool=node.spool, database=node.database, trail=node.trail)
    with serving(site):
        yield
