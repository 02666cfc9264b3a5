"""When a role of the node starts and stops, for the audit trail (PS3.15 A.5.3.1)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from dicom_ai_node.audit import events
from dicom_ai_node.audit.trail import this_person
from dicom_ai_node.cli.node import Node


@contextmanager
def running(node: Node, role: str) -> Iterator[None]:
    """A process that is killed says no end; the next start follows its start."""
    trail = node.trail
    here = replace(trail.here, name=f"dicom_ai_node {role}")
    launcher = trail.person(this_person())
    trail.note(events.application_activity(here, launcher, started=True, at=time.time()))
    why = ""
    try:
        yield
    except BaseException as error:
        why = type(error).__name__
        raise
    finally:
        ended = events.application_activity(here, launcher, started=False, at=time.time(), why=why)
        trail.note(ended)
