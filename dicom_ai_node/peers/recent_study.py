"""A study that a peer says it has, and its series, as far as catching up needs to know them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentStudy:
    """`modalities` is empty, and `instances` None, where the peer does not say."""

    study_instance_uid: str
    modalities: frozenset[str]
    instances: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentSeries:
    """`modality` is empty, and `instances` None, where the peer does not say."""

    series_instance_uid: str
    modality: str
    instances: int | None
