"""Which SOP Instance UIDs are in the table, without asking it for each instance.

While SQLite commits in its rollback journal's mode it lets nobody read, for as long as the disk
needs; and a stream of new instances has nothing to find there. So the hashes of all UIDs are kept:
eight bytes each in a sorted array, those of this run in a set.
"""

from collections.abc import Iterable
from typing import Self

import numpy as np

from dicom_ai_node.database import arrivals
from dicom_ai_node.database.engine import Database

_MERGE_AT = 100_000  # a set needs ten times the memory


class Seen:
    """May say yes for a UID that the table does not have, never no for one that it has.

    True only as long as no other process adds rows.
    """

    def __init__(self, sop_instance_uids: Iterable[str]) -> None:
        hashes = np.fromiter(map(hash, sop_instance_uids), dtype=np.int64)
        self._before = np.sort(hashes)
        self._since: set[int] = set()

    @classmethod
    def in_table(cls, database: Database) -> Self:
        with database.read() as connection:
            return cls(arrivals.instance_uids(connection))

    def add(self, sop_instance_uid: str) -> None:
        self._since.add(hash(sop_instance_uid))
        if len(self._since) >= _MERGE_AT:
            fresh = np.fromiter(self._since, dtype=np.int64)
            self._before = np.sort(np.concatenate((self._before, fresh)))
            self._since.clear()

    def __contains__(self, sop_instance_uid: str) -> bool:
        value = hash(sop_instance_uid)
        if value in self._since:
            return True
        at = self._before.searchsorted(value)
        return bool(at < len(self._before) and self._before[at] == value)
