"""How many studies wait, and whether that is too many to take more (P17)."""

import threading
import time

from sqlalchemy.exc import DBAPIError

from dicom_ai_node.database import studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.log import get_logger

log = get_logger(__name__)

_COUNT_AGAIN_S = 5.0


class Backlog:
    """Counted every few seconds at the most, when an association begins."""

    def __init__(self, database: Database, *, limit: int) -> None:
        self._database = database
        self._limit = limit
        self._lock = threading.Lock()
        self._counted_at = float("-inf")
        self._is_full = False

    def is_full(self) -> bool:
        with self._lock:
            if time.monotonic() - self._counted_at < _COUNT_AGAIN_S:
                return self._is_full
            try:
                with self._database.read() as connection:
                    waiting = studies.waiting(connection)
            except DBAPIError:
                return True  # what cannot be counted cannot be stored either
            self._counted_at = time.monotonic()
            if (waiting >= self._limit) != self._is_full:
                self._is_full = not self._is_full
                level = log.error if self._is_full else log.info
                level("too_many_studies_wait" if self._is_full else "studies_wait", waiting=waiting)
            return self._is_full
