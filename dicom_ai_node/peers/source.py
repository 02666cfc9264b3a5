"""A peer that is asked for the studies that were missed, and fetched from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.peers.move import Moved, move
from dicom_ai_node.peers.recent import find_recent, find_series
from dicom_ai_node.peers.recent_study import RecentSeries, RecentStudy

LIMIT = 10_000  # studies of one day; a peer that names more does not match what it was asked for


class Source(Protocol):
    """Each method raises PeerUnreachable."""

    @property
    def ae_title(self) -> str:
        """In whose name its instances come."""
        ...

    def recent(self, *, since: datetime, until: datetime) -> Sequence[RecentStudy]:
        """Acquired since then (local time, without a zone), the newest first."""
        ...

    def series(self, study_instance_uid: str) -> Sequence[RecentSeries]: ...

    def fetch(self, study_instance_uid: str, series_instance_uid: str) -> Moved:
        """Returns when the peer says that it has sent everything."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DimseSource:
    """C-FIND and C-MOVE; what it sends comes to the node's own port, as always."""

    settings: DimsePeer
    node_ae_title: str  # ours, known there as a destination

    @property
    def ae_title(self) -> str:
        return self.settings.ae_title

    def recent(self, *, since: datetime, until: datetime) -> Sequence[RecentStudy]:
        return find_recent(
            self.settings,
            since=since,
            until=until,
            limit=LIMIT,
            calling_ae_title=self.node_ae_title,
        )

    def series(self, study_instance_uid: str) -> Sequence[RecentSeries]:
        return find_series(self.settings, study_instance_uid, calling_ae_title=self.node_ae_title)

    def fetch(self, study_instance_uid: str, series_instance_uid: str) -> Moved:
        return move(
            self.settings,
            study_instance_uid,
            series_instance_uid=series_instance_uid,
            destination_ae=self.node_ae_title,
            calling_ae_title=self.node_ae_title,
        )
