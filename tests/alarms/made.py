"""Facts made to order: a node in which all is well, but for what a test says."""

from typing import Any

from dicom_ai_node.alarms.facts import Facts
from dicom_ai_node.database.books import Books
from dicom_ai_node.database.signs import Queue
from dicom_ai_node.job import JobState
from dicom_ai_node.study import StudyState

NOW = 1_700_000_000.0  # a Tuesday, 22:13 UTC
HOUR = 3600.0
DAY = 24 * HOUR

_BOOKS: dict[str, Any] = {
    "received": {},
    "instances": 0,
    "deleted": 0,
    "instances_of": {},
    "studies": {state.value: 0 for state in StudyState},
    "jobs": {state.value: 0 for state in JobState},
    "waiting_for": {},
    "waiting": {},
    "uncommitted": {},
    "dead_letters": {"undelivered": 0, "quarantined": 0, "needs_review": 0},
    "balanced": True,
}
_FACTS: dict[str, Any] = {
    "last_received": NOW - 60,
    "in_vain": {},
    "refusing": {},
    "uncommitted": {},
    "answers": {},
    "answers_before": {},
    "lost_studies": 0,
    "queue": Queue(oldest=None, oldest_in_a_hurry=None, last_begun=None),
    "is_draining": False,
    "disabled": (),
    "disks": (),
    "certificates": (),
    "database_damage": "",
    "clock_doubted_until": None,
    "last_backup": None,
    "peers": frozenset({"pacs"}),
}


def books(**changes: Any) -> Books:
    """A mapping changes some keys of its book."""
    merged = {
        name: {**value, **changes.pop(name)}
        if name in changes and isinstance(value, dict)
        else value
        for name, value in _BOOKS.items()
    }
    return Books(**(merged | changes))


def facts(**changes: Any) -> Facts:
    return Facts(**({"books": books()} | _FACTS | changes))
