"""One connection as a stream of PDUs (PS3.8 9.3): each whole before its deadline, none too long."""

import socket
import ssl
import struct
import time
from contextlib import suppress

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)

HEADER = struct.Struct(">BxL")
# bytes of an A-ASSOCIATE-RQ: 128 contexts with 60 transfer syntaxes each need 200 KB, and reading
# a megabyte of tiny items would take seconds
_LONGEST_NEGOTIATION = 1 << 18
_TICK_S = 1.0  # how late a deadline may be noticed
_NO_LINGER = struct.pack("@ii", 1, 0)
_LAST_WORDS_S = 2.0  # how long a peer may take to close after our last PDU
_LAST_WORDS = 8 << 20  # bytes, and how much it may still say

# reasons of an A-ABORT by the service provider (PS3.8 9.3.8)
UNRECOGNIZED_PDU = 1
UNEXPECTED_PDU = 2
UNEXPECTED_PARAMETER = 5
INVALID_PARAMETER = 6


_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Closed(Exception):
    """The peer is gone, between PDUs or in the middle of one."""


class Late(Exception):
    """The peer took longer than it may."""


class ProtocolError(Exception):
    """What came cannot be answered; the association is aborted with this reason."""

    def __init__(self, reason: int, what: str) -> None:
        super().__init__(what)
        self.reason = reason


class Wire:
    """Blocking reads with deadlines on the monotonic clock; one buffer, of one PDU, per connection.

    `max_pdu` is what was announced to the peer: the length of a P-DATA-TF's variable field (PS3.8
    D.1). A body is valid until the next PDU is read.
    """

    def __init__(self, connection: socket.socket, *, max_pdu: int, pdu_s: float, send_s: float):
        self._socket = connection
        self._max_pdu = max_pdu
        self._pdu_s = pdu_s
        connection.setblocking(True)
        tick_s = min(_TICK_S, pdu_s)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(tick_s))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(send_s))
        # the header of the next PDU comes with the end of this one: one system call less
        self._buffer = bytearray(HEADER.size + max_pdu + HEADER.size)
        self._view = memoryview(self._buffer)
        self._have = 0
        self._used = 0  # bytes of the PDU that was returned last
        self._send_s = send_s
        self._is_stuck = False

    def read_first(self, deadline: float) -> tuple[int, memoryview]:
        """The first PDU, whole before the deadline: ARTIM (PS3.8 9.1.5)."""
        return self._read(deadline)

    def read(self, *, wait_s: float) -> tuple[int, memoryview]:
        """The next PDU's type and body, if it begins within `wait_s`; its own deadline counts then.

        Raises Closed, Late or ProtocolError.
        """
        ahead = self._have - self._used
        self._view[:ahead] = self._view[self._used : self._have]
        self._have, self._used = ahead, 0
        if not ahead:
            self._receive(HEADER.size, time.monotonic() + wait_s)
        return self._read(time.monotonic() + self._pdu_s)

    def _read(self, deadline: float) -> tuple[int, memoryview]:
        while self._have < HEADER.size:
            if self._have:
                _check_kind(self._buffer[0])  # the rest of a header may never come (A8)
            self._receive(HEADER.size - self._have, deadline)
        kind, length = HEADER.unpack_from(self._buffer)
        if kind == ASSOCIATE_RQ and length <= _LONGEST_NEGOTIATION:
            return kind, self._read_long(length, deadline)
        self._check(kind, length)
        size = HEADER.size + length
        self._fill(size, size + HEADER.size if kind == P_DATA else size, deadline)
        self._used = size
        return kind, self._view[HEADER.size : size]

    def _check(self, kind: int, length: int) -> None:
        """Refuse a PDU by its header, before anything is kept for its body."""
        _check_kind(kind)
        if kind == P_DATA:
            if length > self._max_pdu:
                raise ProtocolError(INVALID_PARAMETER, "PDU longer than announced")
        elif kind in (RELEASE_RQ, RELEASE_RP, ABORT):
            if length != 4:
                raise ProtocolError(INVALID_PARAMETER, "PDU of a wrong length")
        elif kind == ASSOCIATE_RQ:
            raise ProtocolError(INVALID_PARAMETER, "A-ASSOCIATE-RQ too long")
        else:
            raise ProtocolError(UNEXPECTED_PDU, "a PDU that only an acceptor sends")

    def _read_long(self, length: int, deadline: float) -> memoryview:
        """An A-ASSOCIATE-RQ may be longer than a P-DATA-TF."""
        body = bytearray()
        while len(body) < length:
            self._have = 0
            self._receive(min(length - len(body), len(self._buffer)), deadline)
            body += self._view[: self._have]
        self._have = 0
        return memoryview(body)

    def _fill(self, need: int, want: int, deadline: float) -> None:
        while self._have < need:
            self._receive(want - self._have, deadline)

    def _receive(self, want: int, deadline: float) -> None:
        """Some bytes more. The kernel ends a wait after `_TICK_S`: a poll before each read would
        cost as much as the read."""
        while True:
            if time.monotonic() >= deadline:
                raise Late
            try:
                got = self._socket.recv_into(self._view[self._have : self._have + want])
            except _NOTHING_YET:
                continue
            except OSError:
                raise Closed from None
            if not got:
                raise Closed
            self._have += got
            return

    def send(self, data: bytes) -> None:
        """All of it within the time limit: a peer that does not read is not waited for (A25).

        Not even once more: after half a PDU, an A-ABORT would be read as its other half.
        """
        if self._is_stuck:
            raise Late
        deadline = time.monotonic() + self._send_s
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._socket.send(rest) :]
                if rest and time.monotonic() >= deadline:
                    raise BlockingIOError
        except _NOTHING_YET:
            self._is_stuck = True
            raise Late from None
        except OSError:
            raise Closed from None

    def interrupt(self) -> None:
        """End a blocking read in another thread; it then raises Closed."""
        with suppress(OSError):  # it is closed already
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self, *, said_something: bool, peer_closes: bool = False) -> None:
        """Close; after a last PDU of ours, let the peer read it first, so that no RST overtakes it.

        That is Sta13 of PS3.8 9.2: what still comes is thrown away. After a rejection or a release
        it is the peer that closes; our FIN beside the PDU has made some take it for a failure.
        """
        deadline = time.monotonic() + _LAST_WORDS_S
        with suppress(OSError, Closed, Late):
            if self._is_stuck:  # an RST: the kernel would keep what nobody reads
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            elif said_something:
                if not peer_closes:
                    self._socket.shutdown(socket.SHUT_WR)
                thrown_away = 0
                while thrown_away < _LAST_WORDS:
                    self._have = 0
                    self._receive(len(self._buffer), deadline)
                    thrown_away += self._have
        with suppress(OSError):
            self._socket.close()


def _check_kind(kind: int) -> None:
    if not ASSOCIATE_RQ <= kind <= ABORT:
        raise ProtocolError(UNRECOGNIZED_PDU, "unknown PDU type")


def _timeval(seconds: float) -> bytes:
    """A struct timeval, for SO_RCVTIMEO and SO_SNDTIMEO."""
    return struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
