"""Whether the ports that the node is to listen on can be had: before it starts, and by `check`."""

import errno
import os
import socket
from collections.abc import Iterator

from dicom_ai_node.config.settings import Config
from dicom_ai_node.spool import RECEIVING_LOCK, is_held

_ROLES_OF = {"receive": ("receive", RECEIVING_LOCK), "web": ("web",)}
_WHY = {
    errno.EADDRINUSE: (
        "another program listens on it: stop that one (`ss -ltnp` names it), or choose another port"
    ),
    errno.EACCES: (
        "a port below 1024 needs the right CAP_NET_BIND_SERVICE: choose a port above, or give the "
        "service that right"
    ),
    errno.EADDRNOTAVAIL: (
        "its host is no address of this machine: write one that `ip address` shows"
    ),
}


def mistakes_of_ports(config: Config) -> Iterator[str]:
    """What a role of this node holds itself is no mistake; each begins with the port's key."""
    locks = config.node.spool.absolute() / "locks"
    for key, role, host, port in _listeners(config):
        held = (is_held(locks / f"{name}.lock") for name in (*_ROLES_OF[role], "run"))
        if not port or any(held):
            continue
        if why := _why_not(host, port):
            yield f"{key}: {port} cannot be used: {why}"


def _listeners(config: Config) -> Iterator[tuple[str, str, str, int | None]]:
    node = config.node
    yield "node.port", "receive", node.host, node.port
    if node.tls is not None:
        yield "node.tls.port", "receive", node.host, node.tls.port
    yield "metrics.port", "web", config.metrics.host, config.metrics.port
    yield "web.port", "web", config.web.host, config.web.port


def _why_not(host: str, port: int) -> str | None:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        return "its host has no address: write one that `ip address` shows"
    try:
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        return _WHY.get(error.errno or 0, f"{os.strerror(error.errno or 0)}: choose another")
    return None
