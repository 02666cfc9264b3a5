"""Corrections that came have results taken back: the notes that are due are written, again and
again until each peer has one."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import recalls
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.produced import ResultsOf
from dicom_ai_node.database.recalls import DueRecall
from dicom_ai_node.errors import AlreadyRunning
from dicom_ai_node.log import get_logger, pseudonym, where
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

LOOK_S = 0.5
_BACKOFF_S, _BACKOFF_MAX_S = 30.0, 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRecalls:
    """For one thread of one role; encoders are read into memory when the first is due."""

    config: Config
    spool: Spool
    database: Database

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(LOOK_S):
            try:
                self.do(now=self.database.now())
            except AlreadyRunning:
                continue  # somebody retracts by hand: afterwards
            except Exception:  # a work boundary: the next look comes
                log.exception("recall_failed")

    def do(self, *, now: float) -> int:
        """Write what is due; the number of jobs whose results are taken back, or on the way."""
        with self.database.read() as connection:
            due = recalls.due(connection, now=now, longest_s=_BACKOFF_MAX_S)
        if not due:
            return 0
        number = 0
        with self.spool.lock("retract"):
            for _, group in groupby(sorted(due, key=_together), key=_together):
                number += self._do_guarded(list(group), now)
        return number

    def _do_guarded(self, group: Sequence[DueRecall], now: float) -> int:
        """One study; what goes wrong with it holds up no other."""
        try:
            left = self._write(group)
        except Exception as error:
            log.exception("recall_failed", study=pseudonym(group[0].study_instance_uid))
            left = f"it failed: {where(error)}"
        if left is None:
            with self.database.write() as connection:
                recalls.finish(connection, group, now=now)
            return len(group)
        again_s = min(_BACKOFF_S * 2 ** min(group[0].tries, 10), _BACKOFF_MAX_S)
        with self.database.write() as connection:
            recalls.put_off(connection, group, status=left, until=now + again_s)
        if left != group[0].status:
            log.error("results_not_retracted", jobs=[each.job_id for each in group], why=left)
        return 0

    def _write(self, group: Sequence[DueRecall]) -> str | None:
        """Why something is left, if it is."""
        from dicom_ai_node.retraction.plan import NOTE_REFUSED, Rejection
        from dicom_ai_node.retraction.recall import Recall

        done = Recall(
            config=self.config,
            spool=self.spool,
            database=self.database,
            of=ResultsOf(job_ids=tuple(each.job_id for each in group)),
            rejection=Rejection(group[0].rejection),
            why=group[0].why,
        ).do(wait_s=0)
        # a note that its peer refused shows as undelivered: no other one would be taken
        refused = NOTE_REFUSED.partition("(")[0]
        left = [each for each in done.by_hand if not each.why.startswith(refused)]
        return "; ".join(dict.fromkeys(f"{each.peer}: {each.why}" for each in left)) or None


def _together(each: DueRecall) -> tuple[str, str, str]:
    return each.study_instance_uid, each.rejection, each.why
