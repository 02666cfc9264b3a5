"""What of a job went to a peer, for the audit trail: that it began, what arrived, what did not."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dicom_ai_node.audit import current, events
from dicom_ai_node.audit.message import Message, Party
from dicom_ai_node.audit.trail import Trail
from dicom_ai_node.audited import destination, in_results
from dicom_ai_node.config.peers import AnyPeer, FolderPeer
from dicom_ai_node.job import AT_PEER, DeliveryState
from dicom_ai_node.peers.peer import StoreOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class SentTo:
    """One peer. What is put into a folder leaves the node (PS3.15 A.5.3.4): whoever reads it there
    is none of its peers."""

    party: Party = field(default_factory=lambda: Party(user_id="unknown"))
    is_export: bool = False

    @classmethod
    def of(cls, name: str, settings: AnyPeer) -> "SentTo":
        return cls(party=destination(name, settings), is_export=isinstance(settings, FolderPeer))

    def begins(self, paths: Sequence[Path]) -> None:
        """Just before the first of them goes; on disk before it does."""
        if self.is_export:
            return
        what = in_results(paths)
        current.note(
            lambda trail: events.begin_transferring(trail.here, self.party, what, at=time.time())
        )

    def record(self, paths: Sequence[Path], outcomes: Sequence[StoreOutcome]) -> None:
        """One message of those that the peer has, one of those that were tried and it has not."""
        tried = [each for each in zip(paths, outcomes, strict=True) if each[1].was_tried]
        there = [path for path, outcome in tried if outcome.state in AT_PEER]
        failed = [each for each in tried if each[1].state not in AT_PEER]
        if there:
            current.note(lambda trail: self._message(trail, there, why=""))
        if failed:
            why = "; ".join(dict.fromkeys(_said(outcome) for _, outcome in failed))
            of_these = [path for path, _ in failed]
            current.note(lambda trail: self._message(trail, of_these, why=why))

    def _message(self, trail: Trail, paths: Sequence[Path], *, why: str) -> Message:
        what, at = in_results(paths), time.time()
        if self.is_export:
            return events.data_export(trail.here, uri=self.party.user_id, what=what, at=at, why=why)
        return events.instances_transferred(
            here := trail.here, self.party, what, requestor=here, action="R", at=at, why=why
        )


def _said(outcome: StoreOutcome) -> str:
    again = ", and is tried again" if outcome.state is DeliveryState.PENDING else ""
    return f"{outcome.status}{again}"
