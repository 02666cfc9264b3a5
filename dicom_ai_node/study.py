"""A study as the node sees it: which series, which files, who sent it."""

import enum
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

IMAGE = "image"  # the input of a model that has one


class StudyState(enum.StrEnum):
    """How far a study is before there is a job; `refused` and `needs_review` have a reason."""

    RECEIVING = "receiving"
    ROUTED = "routed"
    REFUSED = "refused"
    NEEDS_REVIEW = "needs_review"
    PRIOR = "prior"  # fetched for comparison: no job of its own
    PURGED = "purged"


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
    """The instances of one series, and what a rule may ask about them.

    `attributes` maps a DICOM keyword to the values found, over all instances, without repeats; a
    keyword that no instance has is absent, and so is one that is empty.
    """

    study_instance_uid: str
    series_instance_uid: str
    modality: str
    instances: tuple[Instance, ...]
    attributes: Mapping[str, tuple[str | int | float, ...]] = field(default_factory=dict)

    @property
    def paths(self) -> list[Path]:
        return [instance.path for instance in self.instances]


def input_digest(inputs: Mapping[str, Iterable[str]]) -> str:
    """One hash for what a model is given: by the input's name, instances in whatever order.

    Of the one image that most models want, the UIDs stand without its name.
    """
    lines = [
        uid if name == IMAGE else f"{name}={uid}" for name, uids in inputs.items() for uid in uids
    ]
    return hashlib.sha256("\n".join(sorted(set(lines))).encode()).hexdigest()
