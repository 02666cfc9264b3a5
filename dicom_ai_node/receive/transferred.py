"""What one association brought, for the audit trail: a message a study, and one for what failed."""

import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from dicom_ai_node.audit import current, events
from dicom_ai_node.audit.message import Message
from dicom_ai_node.audit.study import StudyInstances
from dicom_ai_node.audit.trail import Trail
from dicom_ai_node.audited import in_file
from dicom_ai_node.database.arrivals import ReceivedInstance
from dicom_ai_node.receive.answer import Answer, Status
from dicom_ai_node.spool import Spool

_EVERY_S = 60.0  # of a long association: what a killed process has not said is little
# new here; here already, and not changed (PS3.15 A.5.3.7); not taken
_Fate = Literal["C", "R", "failed"]


@dataclass(slots=True)
class _Instances:
    """Of one study, with one fate."""

    file: str = ""
    sop_classes: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)


class Transferred:
    """Of one association; `record()` may be repeated."""

    def __init__(self, spool: Spool, *, calling_ae_title: str, address: str) -> None:
        self._spool = spool
        self._source = events.peer(calling_ae_title, address)
        self._found: dict[tuple[str, _Fate], _Instances] = {}
        self._since = time.monotonic()

    def add(
        self,
        sop_class_uid: str,
        answer: Answer,
        received: ReceivedInstance | None,
        file: str | None,
    ) -> None:
        """An instance was answered; `received` where it was read to its end, `file` where it is
        new."""
        fate: _Fate = "C" if file else "R" if answer.status is Status.SUCCESS else "failed"
        key = (received.study_instance_uid if received else "", fate)
        found = self._found.setdefault(key, _Instances())
        found.file = found.file or file or ""
        found.sop_classes[sop_class_uid] += 1
        if fate == "failed":
            found.answers[f"{answer.status:04X} {answer.comment}"] += 1
        if time.monotonic() - self._since > _EVERY_S:
            self.record()

    def record(self) -> None:
        """After the last answer was sent: nobody waits for this."""
        found, self._found = self._found, {}
        self._since = time.monotonic()
        at = time.time()
        for (uid, fate), instances in found.items():
            current.note(partial(self._message, uid, fate, instances, at))

    def _message(
        self, uid: str, fate: _Fate, instances: _Instances, at: float, trail: Trail
    ) -> Message:
        here = trail.here
        why = "; ".join(f"{number} x {said}" for said, number in instances.answers.items())
        if not uid:
            return events.nothing_transferred(
                self._source, here, dict(instances.sop_classes), at=at, why=why
            )
        return events.instances_transferred(
            self._source,
            here,
            self._study(trail, uid, instances),
            requestor=self._source,
            action="R" if fate == "R" else "C",
            at=at,
            why=why if fate == "failed" else "",
        )

    def _study(self, trail: Trail, uid: str, instances: _Instances) -> StudyInstances:
        if instances.file:
            path = self._spool.instance_path(instances.file)
            return in_file(path, uid, instances.sop_classes)
        known = trail.study(uid)
        return StudyInstances(
            study_instance_uid=uid,
            patient=known.patient,
            accession_number=known.accession_number,
            sop_classes=dict(instances.sop_classes),
        )
