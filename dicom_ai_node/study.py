"""A study as the node sees it: which series, which files, who sent it."""

import enum
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Values = tuple[str | int | float | bool, ...]  # of an attribute or a fact; () where there is none
IMAGE = "image"  # the input of a model that has one


class StudyState(enum.StrEnum):
    """How far a study is before there is a job; `refused` and `needs_review` have a reason."""

    RECEIVING = "receiving"
    INCOMPLETE = "incomplete"  # quiet, and known to be short of something
    ROUTED = "routed"
    REFUSED = "refused"
    NEEDS_REVIEW = "needs_review"
    PRIOR = "prior"  # fetched for comparison: no job of its own
    PURGED = "purged"
    DISCARDED = "discarded"  # by a person: what is sent under its UID is a new study


OPEN_STATES = (StudyState.RECEIVING, StudyState.INCOMPLETE)

# why a study needs a review, where that is over as soon as they come again
LOST_INSTANCES = (
    "images of this study are gone from the node's disk or damaged there: have the disk checked, "
    "and send the study again"
)


class Source(enum.StrEnum):
    """Who says how many instances there are."""

    PACS = "pacs"  # counts, by C-FIND
    IAN = "ian"  # Instance Availability Notification (PS3.4 R)
    MPPS = "mpps"  # Modality Performed Procedure Step (PS3.4 F.7)


WHOLE_STUDY = ""  # in the place of a Series Instance UID


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How many images a series has, or a whole study, by somebody who knows.

    `is_final`: the source knows of nothing that is to follow. `at`: since when it has said so.
    """

    study_instance_uid: str
    series_instance_uid: str
    source: Source
    origin: str  # the peer's name, or the UID of the notification
    instances: int
    sop_instance_uids: frozenset[str] | None = None
    is_final: bool
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One stored SOP instance; `path` is the Part 10 file in the spool."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    sha256: str  # of the data set as received, without our file meta
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The instances of one series, or of a part of a mixed one, and what a rule may ask about them.

    `attributes` maps a DICOM keyword to the values found, over all instances, without repeats; a
    keyword that no instance has is absent, and so is one that is empty. `facts` are what was
    computed from all instances, by their names without the `$` of rules.
    """

    study_instance_uid: str
    series_instance_uid: str
    modality: str
    instances: tuple[Instance, ...]
    attributes: Mapping[str, Values] = field(default_factory=dict)
    part: str = ""  # "echo 2 (EchoTime 80)": what tells it from the others; "": a whole series
    facts: Mapping[str, Values] = field(default_factory=dict)

    @property
    def paths(self) -> list[Path]:
        return [instance.path for instance in self.instances]


# an instance, and of its header the values by keyword
Described = tuple[Instance, Mapping[str, Values]]


def in_order(series: Series) -> tuple[str, str, list[tuple[int, str]]]:
    """What series are sorted by: their UIDs, then their parts, phase 2 before phase 10."""
    words = re.findall(r"\d+|\D+", series.part)
    numbered = [(int(word), "") if word.isdecimal() else (-1, word) for word in words]
    return series.study_instance_uid, series.series_instance_uid, numbered


def input_digest(inputs: Mapping[str, Iterable[str]]) -> str:
    """One hash for what a model is given: by the input's name, instances in whatever order.

    Of the one image that most models want, the UIDs stand without its name.
    """
    lines = [
        uid if name == IMAGE else f"{name}={uid}" for name, uids in inputs.items() for uid in uids
    ]
    return hashlib.sha256("\n".join(sorted(set(lines))).encode()).hexdigest()
