"""HTTP connections, of which there are not too many, and none takes too long."""

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 32
_CLOSED = -1
HANDSHAKE_S = 5.0
REQUEST_S = 30.0  # from its first byte, or the answer before, until the answer is read


class Listener(socket.socket):
    """Counts what it accepts: who never begins a TLS handshake has a place, too."""

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(fileno=listening.detach())
        self._accepted: list[socket.socket] = []

    def accept(self) -> tuple[socket.socket, Any]:
        accepted, address = super().accept()
        self._accepted = [each for each in self._accepted if each.fileno() != _CLOSED]
        if len(self._accepted) >= MOST_CONNECTIONS:
            accepted.close()
            raise ConnectionAbortedError  # asyncio goes on with the next one
        self._accepted.append(accepted)
        return accepted, address


class Loop(asyncio.SelectorEventLoop):
    """uvicorn cannot be told how long a TLS handshake may take."""

    async def create_server(self, *what: Any, **how: Any) -> asyncio.Server:
        limit_s = HANDSHAKE_S if how.get("ssl") else None
        return await super().create_server(*what, ssl_handshake_timeout=limit_s, **how)


class BoundedConnection(H11Protocol):
    """uvicorn waits for ever for a request that drips, and for a browser that does not read."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin()

    def on_response_complete(self) -> None:
        self._begin()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _begin(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(REQUEST_S, self.transport.abort)
