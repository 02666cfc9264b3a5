"""A study that a peer says it has, as far as catching up needs to know it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentStudy:
    """`modalities` is empty, and `instances` None, where the peer does not say."""

    study_instance_uid: str
    modalities: frozenset[str]
    instances: int | None
