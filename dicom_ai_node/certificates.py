"""Certificates and keys in PEM files: read, judged, and given to OpenSSL.

`key` is always the key of the configuration that names the file. Raises ConfigError.
"""

import re
import ssl
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from dicom_ai_node.errors import ConfigError
from dicom_ai_node.secret import read_secret

SOON = timedelta(days=30)
_CRL = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)
# what `cryptography` says of a certificate that it cannot read
UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def read_file(key: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{key}: {path} cannot be read ({error.strerror}): check the path and its owner"
        ) from None


def read_certificates(key: str, path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(read_file(key, path))
    except UNREADABLE:
        raise ConfigError(
            f"{key}: {path} is no certificate in PEM: give a file with -----BEGIN CERTIFICATE-----"
        ) from None


def show(context: ssl.SSLContext, section: str, certificate: Path, key: Path) -> None:
    """Have the context show this certificate; `section` has both files."""
    read_secret(f"{section}.key", key)
    try:
        # with a password, even an empty one, OpenSSL asks nobody for it
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(
                f"{section}.key: {key} does not belong to {section}.certificate: "
                "give the key with which the certificate was requested"
            ) from None
        if error.library == "SSL" and error.reason is not None:
            raise ConfigError(
                f"{section}.certificate: OpenSSL refuses {certificate} ({error.reason}): "
                "make one with RSA of 2048 bits or more, or with ECDSA P-256, and SHA-256"
            ) from None
        raise ConfigError(
            f"{section}.key: {key} is no private key in PEM without a passphrase: "
            "write it with `openssl pkey -in OLD -out NEW`"
        ) from None


def trust(context: ssl.SSLContext, key: str, path: Path) -> None:
    """Have the context believe whom the certificates in this file have signed."""
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise ConfigError(f"{key}: OpenSSL refuses {path} ({error.reason})") from None


def expiry(key: str, path: Path, now: datetime) -> str | None:
    """A sentence where one of its certificates is no longer good, or soon will not be."""
    ends = min((each.not_valid_after_utc for each in read_certificates(key, path)), default=None)
    if ends is None or ends - now >= SOON:
        return None
    if ends <= now:
        return f"{key}: {path} has expired on {ends:%Y-%m-%d}: renew it"
    return f"{key}: {path} expires on {ends:%Y-%m-%d}: renew it before"


def crl_ends(path: Path) -> datetime | None:
    """When the first of the lists is too old: OpenSSL then takes none of that CA's peers."""
    data = read_file("node.tls.crl", path)
    # OpenSSL would trust a certificate in this file like those in node.tls.ca
    if b"CERTIFICATE-----" in data:
        raise ConfigError(f"node.tls.crl: {path} holds a certificate: put it into node.tls.ca")
    try:
        lists = [x509.load_pem_x509_crl(found) for found in _CRL.findall(data)]
    except UNREADABLE:
        lists = []
    if not lists:
        raise ConfigError(
            f"node.tls.crl: {path} is no list in PEM: give a file with -----BEGIN X509 CRL-----"
        )
    return min((each.next_update_utc for each in lists if each.next_update_utc), default=None)
