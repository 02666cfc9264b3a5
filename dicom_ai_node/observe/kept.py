"""What the roles have counted, from the files in which they keep it: see `metrics`."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.samples import Sample

from dicom_ai_node.kept_values import DAMAGED
from dicom_ai_node.metrics import DECLARED, HEARTBEAT, HEARTBEAT_FILES

(_HEARTBEAT,) = (each.name for each in HEARTBEAT.describe())

Heartbeats = Mapping[tuple[str, str], float]  # role and loop: seconds since the epoch


def kept(folder: Path) -> list[Metric]:
    """Each that is declared, the values of all roles made one; what another version kept beside
    them is left out."""
    found = {each.name: each for each in _merged(folder.glob("*.db"))}
    return [_as_declared(each, found) for declared in DECLARED for each in declared.describe()]


def _merged(paths: Iterable[Path]) -> list[Metric]:
    """Without what cannot be read: its role will begin it anew."""
    files = sorted(paths)
    try:
        return _read(files)
    except (*DAMAGED, OSError):
        return _read([each for each in files if _is_readable(each)])


def _read(files: Iterable[Path]) -> list[Metric]:
    return list(MultiProcessCollector.merge(map(str, files)))  # type: ignore[no-untyped-call]


def _is_readable(file: Path) -> bool:
    try:
        _read([file])
    except (*DAMAGED, OSError):
        return False
    return True


def _as_declared(declared: Metric, found: Mapping[str, Metric]) -> Metric:
    known = found.get(declared.name)
    if known is not None and known.type == declared.type:
        declared.samples = sorted(known.samples, key=_place)
    return declared


def _place(sample: Sample) -> tuple[list[tuple[str, str]], str, float]:
    """Buckets of one histogram stay together, and in order."""
    labels = sorted((name, value) for name, value in sample.labels.items() if name != "le")
    return labels, sample.name, float(sample.labels.get("le", 0))


def heartbeats(folder: Path) -> Heartbeats:
    """From their own files: readiness is asked every few seconds."""
    return {
        (sample.labels["role"], sample.labels["loop"]): sample.value
        for metric in _merged(folder.glob(HEARTBEAT_FILES))
        if metric.name == _HEARTBEAT
        for sample in metric.samples
    }
