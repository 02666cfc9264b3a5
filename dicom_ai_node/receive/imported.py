"""What files brought in, for the audit trail: by a person from a folder (PS3.15 A.5.3.5), or by the
node itself from a DICOMweb service (A.5.3.7)."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dicom_ai_node.audit import current, events
from dicom_ai_node.audit.message import Message, Party
from dicom_ai_node.audit.study import StudyInstances
from dicom_ai_node.audit.trail import Trail, this_person
from dicom_ai_node.audited import in_file
from dicom_ai_node.spool import Spool

Said = Callable[[StudyInstances, Trail], Message]


def from_folder(folder: Path) -> Said:
    """By the person at this terminal."""
    uri = folder.absolute().as_uri()

    def said(what: StudyInstances, trail: Trail) -> Message:
        person = trail.person(this_person())
        return events.data_import(trail.here, person, uri=uri, what=what, at=time.time())

    return said


def from_service(url: str) -> Said:
    """By the node, which asked for it."""
    service = Party(user_id=url, address=url)

    def said(what: StudyInstances, trail: Trail) -> Message:
        here = trail.here
        return events.instances_transferred(
            service, here, what, requestor=here, action="C", at=time.time()
        )

    return said


@dataclass(slots=True)
class Imported:
    """What is new, by its study."""

    spool: Spool
    said: Said
    _found: dict[str, tuple[str, Counter[str]]] = field(default_factory=dict)

    def add(self, study_instance_uid: str, sop_class_uid: str, file: str) -> None:
        _, sop_classes = self._found.setdefault(study_instance_uid, (file, Counter()))
        sop_classes[sop_class_uid] += 1

    def record(self) -> None:
        """A message for each study; may be repeated."""
        found, self._found = self._found, {}
        for uid, (file, sop_classes) in found.items():
            what = in_file(self.spool.instance_path(file), uid, sop_classes)
            current.note(partial(self.said, what))
