"""Numbers that only a process itself knows, kept in files that outlive it.

They are Prometheus' counters, gauges and histograms. A role that starts again goes on with the
files of its predecessor: a counter never falls, and files never pile up. Labels are few and fixed:
models, peers, AE titles of `accept`, words of ours; never what came from outside, and no UID (P20).
Each metric has one, so that it has no value before `keep()` has said where it lies.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

from dicom_ai_node.kept_values import SIZES, ValueFile, take_name, value_class
from dicom_ai_node.log import get_logger

log = get_logger(__name__)

REGISTRY = CollectorRegistry()
DECLARED: list[Counter | Gauge | Histogram] = []
PREFIX = "dicom_ai_node"
_peaks_mb: dict[str, float] = {}
_LASTING = "gauge_mostrecent"  # of gauges, those that a start does not forget
_BEAT_EVERY_S = 1.0
_STORE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STAGE_S = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 7200)
# how one number is made of those of several processes
Mode = Literal["sum", "min", "max", "mostrecent"]
_Made = TypeVar("_Made", Counter, Gauge, Histogram)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return _declared(Counter(name, text, labels, namespace=PREFIX, registry=REGISTRY))


def _gauge(name: str, text: str, *labels: str, mode: Mode) -> Gauge:
    made = Gauge(name, text, labels, namespace=PREFIX, registry=REGISTRY, multiprocess_mode=mode)
    return _declared(made)


def _histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
    made = Histogram(name, text, labels, namespace=PREFIX, registry=REGISTRY, buckets=buckets)
    return _declared(made)


def _declared(made: _Made) -> _Made:
    DECLARED.append(made)
    return made


HEARTBEAT = _gauge(
    "heartbeat_timestamp_seconds",
    "When a loop of a role went round last.",
    *("role", "loop"),
    mode="min",
)
HEARTBEAT_FILES = "gauge_min_*.db"

# reception
ASSOCIATIONS_OPEN = _gauge(
    "associations_open", "Associations that are open now.", "calling_ae", mode="sum"
)
ASSOCIATIONS = _counter("associations_accepted", "Associations that were accepted.", "calling_ae")
ASSOCIATIONS_REFUSED = _counter(
    "associations_refused", "Associations that were refused, by the reason.", "reason"
)
ASSOCIATIONS_ENDED = _counter(
    "associations_ended",
    "How connections ended: released, closed, too_slow, protocol_error, failed.",
    "how",
)
CONNECTIONS_REFUSED = _counter(
    "connections_refused",
    "Connections that were closed without an answer, by the reason.",
    "reason",
)
LIMITS_BREACHED = _counter(
    "limits_breached", "How often a key of `limits:` has turned something away.", "limit"
)
RECEIVED_BYTES = _counter(
    "received_bytes", "Bytes of data sets that came by C-STORE, kept or not.", "calling_ae"
)
INSTANCES_ANSWERED = _counter(
    "instances_answered",
    "Answers to C-STORE requests, by the DICOM status: 0000 is success.",
    *("calling_ae", "status"),
)
STORE_SECONDS = _histogram(
    "store_seconds",
    "From a C-STORE request to its answer.",
    "calling_ae",
    buckets=_STORE_S,
)

# models
JOBS_FINISHED = _counter(
    "jobs_finished",
    "Jobs whose result is made, by its outcome.",
    *("model", "version", "outcome"),
)
REFUSALS = _counter(
    "refusals",
    "Results that say `not suitable`, by who refused: route, load (the images), model.",
    *("model", "version", "by"),
)
STAGE_SECONDS = _histogram(
    "stage_seconds",
    "How long a stage took: complete (last image to the decision; no model), queued, load, "
    "predict, encode, publish, deliver (result made to stored at a peer).",
    *("stage", "model"),
    buckets=_STAGE_S,
)
ATTEMPTS_FAILED = _counter(
    "attempts_failed", "Attempts that ended without a result, by the kind of failure.", "kind"
)
ATTEMPT_PROCESSES = _counter(
    "attempt_processes_started",
    "Processes that were started for models: first, or again after an end.",
    "why",
)
ATTEMPT_MEMORY = _gauge(
    "attempt_memory_peak_bytes",
    "The most memory that the processes of one attempt had, since the role started.",
    "model",
    mode="max",
)

# delivery
DELIVERY_TRIES = _counter(
    "delivery_tries",
    "Objects that were offered to a peer: stored, stored_with_warning, refused, again; and "
    "associations that failed: unreachable, refuses_us.",
    *("peer", "result"),
)
LAST_CONTACT = _gauge(
    "peer_last_contact_timestamp_seconds",
    "When a peer last gave a final answer to an object.",
    "peer",
    mode="mostrecent",
)


def keep(folder: Path, role: str) -> None:
    """From now on in files below `folder`; what this process has counted before is forgotten.

    Gauges begin at 0. Without space for the files, numbers are counted and nobody sees them.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        name, _ = take_name(folder, role)  # its descriptor stays open
        for kind in SIZES:
            if kind.startswith("gauge") and kind != _LASTING:
                path_of(folder, kind, name).unlink(missing_ok=True)
        files = {kind: ValueFile(path_of(folder, kind, name), SIZES[kind]) for kind in SIZES}
    except OSError as error:
        log.warning("metrics_not_kept", errno=error.errno, next_step="make room in the spool")
        return
    values.ValueClass = value_class(files)
    for metric in DECLARED:
        metric.clear()
    _peaks_mb.clear()


def path_of(folder: Path, kind: str, name: str) -> Path:
    return folder / f"{kind}_{name}.db"


def forget_gauges(folder: Path, role: str = "") -> None:
    """Of a role, or of all, before it starts: who has ended has nothing open, and does not live."""
    for path in folder.glob(f"gauge_*_{role}*.db"):
        if not path.name.startswith(f"{_LASTING}_"):
            path.unlink(missing_ok=True)


def beat(role: str, loop: str) -> Callable[[], None]:
    """To be called by a loop each time that it goes round; written down once a second."""
    gauge = HEARTBEAT.labels(role, loop)
    due = 0.0

    def beats() -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due:
            due = now + _BEAT_EVERY_S
            gauge.set(time.time())

    return beats


def note_memory(model: str, used_mb: float) -> None:
    """Of an attempt, if it is more than any before had."""
    if used_mb > _peaks_mb.get(model, 0.0):
        _peaks_mb[model] = used_mb
        ATTEMPT_MEMORY.labels(model).set(used_mb * (1 << 20))


def observe_stage(stage: str, model: str, seconds: float) -> None:
    """A clock that was set back makes no negative time."""
    STAGE_SECONDS.labels(stage, model).observe(max(0.0, seconds))
