"""When certificates and lists of revoked ones end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dicom_ai_node.certificate_ends import certificate_files, ends
from dicom_ai_node.config.settings import Config
from dicom_ai_node.doctor.finding import Finding, fail, ok, warn
from dicom_ai_node.errors import ConfigError

_SOON = timedelta(days=30)


def examine(config: Config, *, now: datetime | None = None) -> Iterator[Finding]:
    """Ours, and those of the authorities that we believe."""
    at = now or datetime.now(UTC)
    for key, path in certificate_files(config):
        yield _finding(key, path, at)


def _finding(key: str, path: Path, now: datetime) -> Finding:
    try:
        end = ends(key, path)
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
