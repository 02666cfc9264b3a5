"""Certificates of a test's own: a CA signs them, and may take them back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, as files."""

    x509: x509.Certificate
    private: PrivateKey
    certificate: Path
    key: Path

    @property
    def der(self) -> bytes:
        return self.x509.public_bytes(Encoding.DER)

    @property
    def pinned(self) -> str:
        """The name by its public key, as `openssl pkey -pubout -outform DER` writes that."""
        spki = self.private.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        return f"sha256:{sha256(spki).hexdigest()}"

    def encrypted_key(self, passphrase: bytes) -> bytes:
        encryption = BestAvailableEncryption(passphrase)
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA whose files lie in a folder."""

    folder: Path
    own: Identity

    @classmethod
    def make(cls, folder: Path, name: str = "CA") -> Self:
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder, _issue(folder, name, issuer=None, is_ca=True))

    def issue(self, name: str, *, dns: Sequence[str] = (), days: float = 365) -> Identity:
        return _issue(self.folder, name, issuer=self.own, dns=dns, days=days)

    def issue_weak(self, name: str) -> Identity:
        """With a key that BCP 195 forbids."""
        weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 — that is the point
        return _issue(self.folder, name, issuer=self.own, private=weak)

    def revoke(self, *revoked: Identity, days: float = 30) -> Path:
        """The file of a list that holds these."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.own.x509.subject)
            .last_update(now - 400 * DAY)
            .next_update(now + days * DAY)
        )
        for each in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(each.x509.serial_number)
                .revocation_date(now - DAY)
                .build()
            )
        path = self.folder / f"crl-{len(revoked)}-{days}.pem"
        path.write_bytes(builder.sign(self.own.private, SHA256()).public_bytes(Encoding.PEM))
        return path


def self_signed(folder: Path, name: str) -> Identity:
    folder.mkdir(parents=True, exist_ok=True)
    return _issue(folder, name, issuer=None)


def _issue(
    folder: Path,
    name: str,
    *,
    issuer: Identity | None,
    is_ca: bool = False,
    dns: Sequence[str] = (),
    days: float = 365,
    private: PrivateKey | None = None,
) -> Identity:
    private = private or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.x509.subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 400 * DAY)
        .not_valid_after(now + days * DAY)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if dns:
        names = x509.SubjectAlternativeName([x509.DNSName(each) for each in dns])
        builder = builder.add_extension(names, critical=False)
    signer = private if issuer is None else issuer.private
    made = builder.sign(signer, SHA256())
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key.chmod(0o600)
    return Identity(made, private, certificate, key)
