"""TLS as the one who asks (PS3.15 B.12, BCP 195): the context, and why there was no handshake."""

import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dicom_ai_node.certificates import read_certificates, show, trust
from dicom_ai_node.config.peers import PeerTlsSettings
from dicom_ai_node.errors import ConfigError, PeerRefusesUs, PeerUnreachable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_PLAIN = frozenset(
    {"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}
)
_EXPIRED, _NOT_YET, _OTHER_HOST, _OTHER_ADDRESS = 10, 9, 62, 64  # X509_V_ERR_… of OpenSSL
# what a peer says that has seen our certificate, or has missed it
_OURS_MISSING = frozenset(
    {
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "SSLV3_ALERT_NO_CERTIFICATE",
    }
)
_OURS_UNKNOWN = frozenset({"TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_CERTIFICATE_UNKNOWN"})
_OURS_EXPIRED = "SSLV3_ALERT_CERTIFICATE_EXPIRED"
_OURS_REFUSED = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "TLSV1_ALERT_ACCESS_DENIED",
    }
)
_VERSION = frozenset(
    {"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE"}
)


class PeerContext(ssl.SSLContext):
    """Remembers what went wrong, for pynetdicom keeps it to itself."""

    trouble: OSError | None = None

    def __new__(cls) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)


class _Socket(ssl.SSLSocket):
    """With TLS 1.3 a peer refuses our certificate only after the handshake, to who reads."""

    def connect(self, addr: Any) -> None:
        """Closed where it fails, which pynetdicom leaves to the garbage collector."""
        try:
            super().connect(addr)
        except OSError:
            self.close()
            raise

    def shutdown(self, how: int) -> None:
        try:
            super().shutdown(how)
        except OSError:
            self.close()
            raise

    def do_handshake(self, block: bool = False) -> None:
        _note(self.context, None)
        try:
            super().do_handshake(block)
        except OSError as error:
            _note(self.context, error)
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as error:
            _note_alert(self.context, error)
            raise

    def recv_into(
        self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0
    ) -> int:
        try:
            return super().recv_into(buffer, nbytes, flags)
        except ssl.SSLError as error:
            _note_alert(self.context, error)
            raise

    def send(self, data: "ReadableBuffer", flags: int = 0) -> int:
        """A peer that has closed may have said why, before what we sent got there."""
        try:
            return super().send(data, flags)
        except (ConnectionError, ssl.SSLEOFError):
            with suppress(OSError):
                self.settimeout(0)
                self.recv(1)
            raise


def _note(context: Any, error: OSError | None) -> None:
    if isinstance(context, PeerContext):
        context.trouble = error


def _note_alert(context: Any, error: ssl.SSLError) -> None:
    """Whatever else ends a connection after the handshake is not for TLS to explain."""
    if "_ALERT_" in (error.reason or ""):
        _note(context, error)


def current_context(name: str, settings: PeerTlsSettings) -> PeerContext:
    """The files as they are now; a mistake in them is the peer's trouble. Raises PeerRefusesUs."""
    try:
        return peer_context(settings)
    except (ConfigError, OSError) as error:  # OSError: replaced while they were read
        raise PeerRefusesUs(f"{name} is not asked: {error}") from None


def peer_context(settings: PeerTlsSettings, section: str = "tls") -> PeerContext:
    """The files as they are now; raises ConfigError, in which `section` is where they stand."""
    context = PeerContext()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.sslsocket_class = _Socket
    if settings.ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        read_certificates(f"{section}.ca", settings.ca)
        trust(context, f"{section}.ca", settings.ca)
    if settings.certificate is not None and settings.key is not None:
        read_certificates(f"{section}.certificate", settings.certificate)
        show(context, section, settings.certificate, settings.key)
    return context


def files_of(settings: PeerTlsSettings) -> dict[str, Path]:
    """Certificates that expire, by the last part of their key."""
    named = {"ca": settings.ca, "certificate": settings.certificate}
    return {key: path for key, path in named.items() if path is not None}


def no_tls(name: str, error: OSError, settings: PeerTlsSettings) -> PeerUnreachable:
    """What is between this node and the peer; where a person must mend it, an alarm."""
    kind = PeerRefusesUs if isinstance(error, ssl.SSLError) else PeerUnreachable
    return kind(f"{name} {why_no_tls(error, settings)}")


def why_no_tls(error: OSError, settings: PeerTlsSettings) -> str:
    """Which side distrusts which, and the next step; goes on after the peer's name."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _distrusted(error, settings)
    if isinstance(error, TimeoutError):
        return "does not finish the TLS handshake in time: is this its port for TLS?"
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if reason in _PLAIN:
        return "speaks no TLS on this port: give its port for TLS, or leave out tls"
    if reason in _OURS_MISSING and settings.certificate is None:
        return "wants a certificate of this node: set tls.certificate and tls.key"
    if reason in _OURS_UNKNOWN:
        return "does not trust who signed this node's certificate: have that CA entered there"
    if reason == _OURS_EXPIRED:
        return "says that this node's certificate has expired: renew tls.certificate"
    if reason in _OURS_REFUSED:
        return f"refuses this node's certificate ({reason}): its log says why"
    if reason in _VERSION:
        return "speaks neither TLS 1.2 nor 1.3: have it updated"
    if reason:
        return f"and this node agree on no TLS ({reason}): its log says why"
    return "closed the connection during the TLS handshake: its log says why"


def _distrusted(error: ssl.SSLCertVerificationError, settings: PeerTlsSettings) -> str:
    if error.verify_code == _EXPIRED:
        return "shows a certificate that has expired: have it renewed there"
    if error.verify_code == _NOT_YET:
        return "shows a certificate that is not valid yet: compare the clocks"
    if error.verify_code in (_OTHER_HOST, _OTHER_ADDRESS):
        return (
            "shows a certificate for another host: give the name in it as tls.server_name if this "
            "is the right peer"
        )
    where = "tls.ca" if settings.ca is not None else "the system's store (set tls.ca)"
    return (
        f"shows a certificate that nobody in {where} has signed ({error.verify_message}): give "
        "the CA that signed it"
    )
