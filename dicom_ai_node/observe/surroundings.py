"""What the node stands on, as metrics: disks, certificates, models, the program itself."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.metrics_core import Metric

from dicom_ai_node import __version__
from dicom_ai_node.certificate_ends import certificate_files, ends
from dicom_ai_node.config.disabled import read_disabled
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import schema
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.observe.family import Row, gauge
from dicom_ai_node.observe.observed import Observed
from dicom_ai_node.observe.ready import MB, disks, free


@dataclass(frozen=True, slots=True)
class Certificates:
    """Read again when a file has changed."""

    config: Config
    _known: dict[str, tuple[float, Row | None]] = field(default_factory=dict)

    def rows(self) -> Iterator[Row]:
        for key, path in certificate_files(self.config):
            changed = _changed_at(path)
            known = self._known.get(key)
            if known is None or known[0] != changed:
                known = self._known[key] = (changed, _row(key, path))
            if known[1] is not None:
                yield known[1]


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _row(key: str, path: Path) -> Row | None:
    """0 where it cannot be read: for whoever alarms, it has ended long ago."""
    try:
        end = ends(key, path)
    except ConfigError:
        return (key,), 0.0
    return None if end is None else ((key,), end.timestamp())


def surroundings(
    observed: Observed, parts: Mapping[str, str], certificates: Certificates
) -> Iterator[Metric]:
    yield gauge(
        "ready",
        "1 where a part of the node is ready, 0 where it is not: /health/ready says why.",
        ("part",),
        [((part,), not problem) for part, problem in parts.items()],
    )
    yield from _disks(observed)
    yield gauge(
        "certificate_end_timestamp_seconds",
        "When the first certificate in a file ends, or the list of revoked ones is too old.",
        ("certificate",),
        certificates.rows(),
    )
    yield gauge(
        "model_disabled",
        "1 for each model that is disabled: no job of it runs.",
        ("model", "version"),
        _disabled(observed.config),
    )
    yield gauge(
        "build_info",
        "Always 1; the versions of the program, and of the schema that it needs.",
        ("version", "schema"),
        [((__version__, schema.head()), 1)],
    )


def _disks(observed: Observed) -> Iterator[Metric]:
    found = disks(observed)
    limits = observed.config.limits
    yield gauge(
        "disk_free_bytes",
        "Free space on the disk of spool or database.",
        ("disk",),
        [((name,), free(folder)) for name, folder in found.items()],
    )
    yield gauge(
        "disk_size_bytes",
        "Size of the disk of spool or database.",
        ("disk",),
        [((name,), _size(folder)) for name, folder in found.items()],
    )
    yield gauge(
        "disk_watermark_bytes",
        "Below soft, no new association is accepted; below hard, no instance.",
        ("mark",),
        [
            (("soft",), limits.space_soft_mb * MB),
            (("hard",), limits.space_hard_mb * MB),
        ],
    )


def _size(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).total
    except OSError:
        return 0


def _disabled(config: Config) -> Iterator[Row]:
    """Nobody can tell where the model store cannot be read: then no job runs, which is seen."""
    try:
        found = read_disabled(config.node.models)
    except ConfigError:
        return
    for name, version in found:
        yield (name, version), 1
