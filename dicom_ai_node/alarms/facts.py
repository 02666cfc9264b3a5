"""All that alarms are raised by, as it was read at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dicom_ai_node.config.disabled import Disabled
from dicom_ai_node.database.books import Books
from dicom_ai_node.database.probe_runs import ProbeRun
from dicom_ai_node.database.signs import Answers, Queue, Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The one that holds what a key of the configuration names."""

    name: str  # spool, database
    free_mb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFile:
    """`ends` is that of the first that ends; None where the file cannot be read."""

    key: str  # of the configuration
    ends: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Times are seconds since the epoch."""

    books: Books
    last_received: float | None  # of a patient
    in_vain: Mapping[str, Waiting]  # by peer: offered, and not taken
    refusing: Mapping[str, str]  # peers that take nothing from this node, and why
    uncommitted: Mapping[str, Waiting]  # by peer
    answers: Mapping[str, Answers]  # by model, of the last day
    answers_before: Mapping[str, Answers]  # of the 14 days before
    lost_studies: int
    queue: Queue
    is_draining: bool
    disabled: tuple[Disabled, ...]
    disks: tuple[Disk, ...]
    certificates: tuple[CertificateFile, ...]
    database_damage: str  # what the weekly check found; "" where all is well
    clock_doubted_until: float | None
    last_backup: float | None
    probe_under_way: ProbeRun | None = None
    probe_finished: ProbeRun | None = None
    audit_waits_since: float | None = None
    peers: frozenset[str] = field(default_factory=frozenset)  # that are configured
