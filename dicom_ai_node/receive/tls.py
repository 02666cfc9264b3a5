"""TLS for the storage SCP (PS3.15 B.12, BCP 195): our certificates, the handshake, the stream."""

import errno
import select
import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Self, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dicom_ai_node.certificates import (
    SOON,
    UNREADABLE,
    crl_ends,
    read_certificates,
    show,
    trust,
)
from dicom_ai_node.config.settings import TlsSettings
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.log import get_logger

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

log = get_logger(__name__)

HANDSHAKE_S = 10.0
_READABLE = select.POLLIN
_WRITABLE = select.POLLOUT
_TIMEVAL = struct.Struct("@ll")


class NoHandshake(Exception):
    """This peer is not served; the text is OpenSSL's or ours, and nothing of the certificate."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The files as they were read together."""

    context: ssl.SSLContext
    certificates: tuple[tuple[str, x509.Certificate], ...]  # with the key that names their file
    crl_ends: datetime | None


class Tls:
    """The certificates in use, for the handshakes to come."""

    def __init__(self, settings: TlsSettings) -> None:
        """Raises ConfigError."""
        self._settings = settings
        self._loaded = _load(settings)

    @property
    def context(self) -> ssl.SSLContext:
        return self._loaded.context

    def reload(self) -> None:
        """Read every file again; if one is wrong, all stay as they were.

        A new context: no session from before, whose peer may be revoked by now, is resumed.
        """
        try:
            self._loaded = _load(self._settings)
        except (ConfigError, OSError) as error:  # OSError: replaced while they were read
            wrong = str(error)
        else:
            log.info("certificates_reloaded")
            self.say_expiry(datetime.now(UTC))
            return
        log.error("certificates_not_reloaded", why=wrong)

    def say_expiry(self, now: datetime) -> None:
        """An alarm ahead of time: once a certificate is expired, no peer gets through."""
        for key, certificate in self._loaded.certificates:
            left = certificate.not_valid_after_utc - now
            serial = f"{certificate.serial_number:x}"
            if left <= timedelta():
                log.error("certificate_expired", key=key, serial=serial, days=(-left).days)
            elif left < SOON:
                log.warning("certificate_expires", key=key, serial=serial, days=left.days)
        crl_ends = self._loaded.crl_ends
        if crl_ends is not None and crl_ends <= now:
            log.error("crl_expired", key="node.tls.crl", days=(now - crl_ends).days)


def _load(settings: TlsSettings) -> _Loaded:
    own = read_certificates("node.tls.certificate", settings.certificate)
    authorities = read_certificates("node.tls.ca", settings.ca)
    context = _context()
    show(context, "node.tls", settings.certificate, settings.key)
    trust(context, "node.tls.ca", settings.ca)
    crl_end = None
    if settings.crl is not None:
        crl_end = crl_ends(settings.crl)
        trust(context, "node.tls.crl", settings.crl)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    certificates = (
        *(("node.tls.certificate", each) for each in own),
        *(("node.tls.ca", each) for each in authorities),
    )
    return _Loaded(context=context, certificates=certificates, crl_ends=crl_end)


def _context() -> ssl.SSLContext:
    """No CA but ours is trusted; OpenSSL's ciphers and key lengths are those of BCP 195."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0  # a resumed session would show a certificate that nobody checks again
    context.sslsocket_class = TlsSocket
    return context


class TlsSocket(ssl.SSLSocket):
    """What `Wire` needs of a socket, on TLS records.

    `SSLSocket` starts a read again that the kernel ended by SO_RCVTIMEO, and then a silent peer is
    waited for without end. Here nothing blocks inside OpenSSL: the same limits end a poll. Nor may
    two threads use one TLS connection at once (`Connection.abort()` is called from another).
    """

    _turn: threading.Lock

    def __new__(cls, *_args: object, **_kwargs: object) -> Self:
        made = super().__new__(cls)
        made._turn = threading.Lock()
        return made

    @classmethod
    def over(cls, accepted: socket.socket, context: ssl.SSLContext) -> Self:
        """Before the handshake; `accepted` is not to be used any more. Raises NoHandshake."""
        try:
            made = context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        except OSError as error:  # it is closed then
            raise NoHandshake(_why(error)) from None
        return cast(Self, made)

    def shake_hands(self, limit_s: float) -> frozenset[str]:
        """The names in the peer's certificate, as `accept` writes them; raises NoHandshake."""
        try:
            self.settimeout(limit_s)  # for all of it, however it drips
            self.do_handshake()
            self.setblocking(False)
        except OSError as error:
            raise NoHandshake(_why(error)) from None
        return _names(self.getpeercert(binary_form=True) or b"", datetime.now(UTC))

    def setblocking(self, _flag: bool) -> None:
        """Never: see above."""
        super().setblocking(False)

    def recv_into(
        self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0
    ) -> int:
        """At most one wait, so that the caller's deadline is looked at while a record drips in."""
        try:
            return self._recv_into(buffer, nbytes, flags)
        except (ssl.SSLWantReadError, BlockingIOError):
            self._wait(_READABLE, self._limit_s(socket.SO_RCVTIMEO))
        except ssl.SSLWantWriteError:
            self._wait(_WRITABLE, self._limit_s(socket.SO_RCVTIMEO))
        return self._recv_into(buffer, nbytes, flags)

    def _recv_into(self, buffer: "WriteableBuffer", nbytes: int | None, flags: int) -> int:
        with self._turn:
            return super().recv_into(buffer, nbytes, flags)

    def send(self, data: "ReadableBuffer", flags: int = 0) -> int:
        """All of it; raises SSLWantWriteError when the peer does not read enough in time."""
        deadline = time.monotonic() + self._limit_s(socket.SO_SNDTIMEO)
        while True:
            try:
                with self._turn:
                    return super().send(data, flags)
            except ssl.SSLWantWriteError:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise
                self._wait(_WRITABLE, left_s)

    def _limit_s(self, option: int) -> float:
        seconds, microseconds = _TIMEVAL.unpack(
            self.getsockopt(socket.SOL_SOCKET, option, _TIMEVAL.size)
        )
        return float(seconds + microseconds / 1e6)

    def _wait(self, event: int, limit_s: float) -> None:
        waiting = select.poll()
        try:
            waiting.register(self, event)
        except ValueError:  # the connection's own thread closed it
            raise OSError(errno.EBADF, "closed") from None
        waiting.poll(limit_s * 1000)

    def shutdown(self, how: int) -> None:
        """`SSLSocket` would go on in plain text, and not tell the peer that this is the end."""
        with self._turn:
            if how == socket.SHUT_WR:
                with suppress(OSError, ValueError):  # our close_notify; theirs may come later
                    self.unwrap()
            super(ssl.SSLSocket, self).shutdown(how)

    def close(self) -> None:
        with self._turn:
            super().close()


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "too slow"
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason
    return "closed by the peer"


def _names(der: bytes, now: datetime) -> frozenset[str]:
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        dns = _dns_names(certificate)
    except UNREADABLE:
        raise NoHandshake("the certificate is malformed") from None
    if certificate.not_valid_after_utc <= now:  # of a resumed session OpenSSL does not ask again
        raise NoHandshake("certificate has expired")
    return frozenset(
        {*(f"dns:{name.lower()}" for name in dns), f"sha256:{sha256(key).hexdigest()}"}
    )


def _dns_names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.DNSName)
