"""A job: one model on its inputs; its states, its outcome, and what is left to deliver."""

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


class JobState(enum.StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"  # the results are on disk: inference is never repeated because a PACS is down
    DONE = "done"
    UNDELIVERED = "undelivered"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"


TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(
        {JobState.READY, JobState.QUEUED, JobState.QUARANTINED, JobState.CANCELLED}
    ),
    # back to QUEUED where its results were lost before any of them was sent
    JobState.READY: frozenset(
        {JobState.DONE, JobState.UNDELIVERED, JobState.CANCELLED, JobState.QUEUED}
    ),
    JobState.UNDELIVERED: frozenset({JobState.READY, JobState.CANCELLED}),
    JobState.QUARANTINED: frozenset({JobState.QUEUED, JobState.CANCELLED}),
    JobState.DONE: frozenset(),
    # whose results were being sent, when a person decides that they are wanted after all
    JobState.CANCELLED: frozenset({JobState.READY}),
}

FINAL_STATES = frozenset({JobState.DONE, JobState.CANCELLED})  # nothing leaves them by itself

DEAD = (JobState.UNDELIVERED, JobState.QUARANTINED)  # only a person moves these on


# error kinds of jobs that have to do without one of their instances
DAMAGED = "damaged"  # a stored file is not what was received
LOST = "lost"  # it is gone


class Outcome(enum.StrEnum):
    """What the run found out; every one of them is reported."""

    FINDINGS = "findings"
    NONE = "none"
    PARTLY = "partly"
    FAILED = "failed"
    NOT_SUITABLE = "not_suitable"
    ABSTAINED = "abstained"


class Priority(enum.StrEnum):
    """How soon a job runs; see `HEAD_START_S`."""

    URGENT = "urgent"
    ROUTINE = "routine"
    BACKGROUND = "background"


# A job's rank is its time of creation plus this, and the lowest rank runs first: an urgent job
# overtakes, but no job waits longer than this for others that come after it.
HEAD_START_S: Mapping[Priority, float] = {
    Priority.URGENT: 0,
    Priority.ROUTINE: 1800,
    Priority.BACKGROUND: 14_400,
}


class DeliveryState(enum.StrEnum):
    PENDING = "pending"
    STORED = "stored"  # which is its end, unless the peer is asked to commit to it
    COMMITTED = "committed"
    REFUSED = "refused"
    SPARE = "spare"  # of a lower rung: kept back, unless the peer takes nothing of those before
    PASSED = "passed"  # of a higher rung, in a form that the peer did not take
    GIVEN_UP = "given_up"  # by a person: its job does without it


AT_PEER = frozenset({DeliveryState.STORED, DeliveryState.COMMITTED})


NOTE_SUBJECT = "retraction: "  # begins the subject of a job that is a rejection note


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A row of the job table. Times are seconds since the epoch, on the database's clock."""

    id: int
    key: str
    study_id: int
    study_instance_uid: str
    series_instance_uid: str
    model: str
    version: str
    subject: str  # what it answers, with model and study: a later job on the same supersedes it
    send_to: tuple[str, ...]  # names of peers
    inputs: Mapping[str, tuple[str, ...]]  # SOP Instance UIDs by the input's name, primary first
    uses: Mapping[str, int]  # jobs whose masks are inputs, by the input's name
    maps: tuple[str, ...]  # what the route asks for beside the answer
    state: JobState
    outcome: Outcome | None
    reason: str | None  # why the outcome is what it is, in a sentence that a radiologist may read
    priority: Priority
    rank: float
    attempts: int
    lease_id: str | None
    lease_expires_at: float | None
    run_after: float
    error_kind: str | None
    error_text: str | None
    supersedes: int | None
    created_at: float
    timings: Mapping[str, float]  # seconds per stage of the attempt that made the result

    @property
    def is_note(self) -> bool:
        """It sends a rejection note, and no result."""
        return self.subject.startswith(NOTE_SUBJECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One object for one peer: its own state, tries and next time."""

    id: int
    job_id: int
    peer: str
    kind: str  # as form.Kind has it
    sop_instance_uid: str
    file: str  # in the job's outbox folder
    state: DeliveryState
    tries: int
    next_try_at: float
    created_at: float
    status: str | None  # what the peer said last, in words
    rungs: tuple[int, ...]  # of the peer's ladder that it is a part of; none: it always goes along
    sha256: str  # of the file, when it was made; "" of a version that did not write it down


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxObject:
    """One file of a job's outbox folder; `forms` are the labels of those that it is a part of.

    What is empty was not written down by the version that made it.
    """

    kind: str
    sop_instance_uid: str
    file: str
    sop_class_uid: str = ""
    series_instance_uid: str = ""
    sha256: str = ""
    size: int = 0  # bytes
    frames: int = 0
    segments: int = 0
    forms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportReference:
    """A report of an earlier job of the same study."""

    sop_class_uid: str
    series_instance_uid: str
    sop_instance_uid: str


def rerun_key(key: str) -> str:
    """The key of the same work once more: its results have UIDs of their own."""
    return hashlib.sha256(f"{key}\nagain".encode()).hexdigest()


def job_key(*, model: str, version: str, model_sha256: str, digest: str, variant: str = "") -> str:
    """Equal for equal work: the same study sent twice makes one job, a late slice another.

    `variant` is whatever else changes the result, such as the reason of a refusal.
    """
    parts = f"{model}\n{version}\n{model_sha256}\n{digest}\n{variant}"
    return hashlib.sha256(parts.encode()).hexdigest()
