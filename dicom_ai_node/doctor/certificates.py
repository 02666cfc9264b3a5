"""When certificates and lists of revoked ones end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dicom_ai_node.config.peers import FolderPeer
from dicom_ai_node.config.settings import Config
from dicom_ai_node.doctor.finding import Finding, fail, ok, warn
from dicom_ai_node.errors import ConfigError

_SOON = timedelta(days=30)


def examine(config: Config, *, now: datetime | None = None) -> Iterator[Finding]:
    """Ours, and those of the authorities that we believe."""
    at = now or datetime.now(UTC)
    for key, path in _files(config):
        yield _finding(key, path, at)
    if config.node.tls is not None and config.node.tls.crl is not None:
        yield _finding("node.tls.crl", config.node.tls.crl, at)


def _files(config: Config) -> Iterator[tuple[str, Path]]:
    if config.node.tls is not None:
        yield "node.tls.certificate", config.node.tls.certificate
        yield "node.tls.ca", config.node.tls.ca
    if config.web.tls is not None:
        yield "web.tls.certificate", config.web.tls.certificate
    for name, peer in config.peers.items():
        tls = None if isinstance(peer, FolderPeer) else peer.tls
        if tls is None:
            continue
        for key, path in (("certificate", tls.certificate), ("ca", tls.ca)):
            if path is not None:
                yield f"peers.{name}.tls.{key}", path


def _finding(key: str, path: Path, now: datetime) -> Finding:
    try:
        end = _end(key, path)
    except ConfigError as error:
        return fail(key, str(error), "mend the file")
    if end is None:
        return ok(key, f"{path} has no end")
    text = f"{path} ends on {end:%Y-%m-%d}"
    step = "put the new one in its place, then SIGHUP to `run` or `receive`"
    if key.startswith("web."):
        step = "put the new one in its place, and start the node again"
    if end <= now:
        return fail(key, f"{path} ended on {end:%Y-%m-%d}: nobody gets through", step)
    is_soon = end - now < (timedelta(days=1) if key.endswith(".crl") else _SOON)
    return warn(key, f"{text}: in {(end - now).days} days", step) if is_soon else ok(key, text)


def _end(key: str, path: Path) -> datetime | None:
    """Of the first that ends."""
    # they bring `cryptography`: 10 MB
    from dicom_ai_node.certificates import read_certificates
    from dicom_ai_node.receive.tls import crl_ends

    if key.endswith(".crl"):
        return crl_ends(path)
    return min(each.not_valid_after_utc for each in read_certificates(key, path))
