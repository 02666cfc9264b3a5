"""Results are taken back, from the beginning to the end: what that would do, and doing it."""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from dicom_ai_node.config.installed import model_label
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import corrections, retractions
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.produced import ResultsOf, jobs_of, notes_of, produced
from dicom_ai_node.database.retracted import RETRACTED
from dicom_ai_node.errors import AlreadyRunning, InputError
from dicom_ai_node.job import DeliveryState, Job, JobState
from dicom_ai_node.log import get_logger, pseudonym
from dicom_ai_node.retraction.plan import (
    RECALLED,
    TAKEN_BACK,
    ByHand,
    Plan,
    PlannedNote,
    Rejection,
    plan,
)
from dicom_ai_node.retraction.write import Notes
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

_LOOK_S = 0.1
_AT_ONCE = 100  # jobs of one transaction: a node that receives is not held up


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What stands before a recall; `unsent` counts objects that are stopped, `built_on` jobs of
    other models, by model, that worked on masks of this one."""

    jobs: tuple[Job, ...]
    plan: Plan
    unsent: int
    built_on: dict[str, int]

    def number(self, *states: JobState) -> int:
        return sum(each.state in states for each in self.jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a recall has done; `by_hand` is what it could not do."""

    stopped: int  # jobs
    notes: tuple[tuple[PlannedNote, Job], ...]
    by_hand: tuple[ByHand, ...]
    rejected: int  # objects of notes that are there
    waiting: int  # and of those that are on their way
    still_running: int  # jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """Of all that a model produced, of a study, or of some jobs. `why` is a reason that anybody may
    read."""

    config: Config
    spool: Spool
    database: Database
    of: ResultsOf
    rejection: Rejection
    why: str

    def look(self) -> Outlook:
        with self.database.read() as connection:
            jobs = jobs_of(connection, self.of)
            objects = produced(connection, self.of)
            built_on = retractions.built_on(connection, jobs)
        ready = [each for each in objects if each.job.state is JobState.READY]
        return Outlook(
            jobs=tuple(jobs),
            plan=self._plan(),
            unsent=sum(each.state is DeliveryState.PENDING for each in ready),
            built_on=dict(Counter(model_label(each.model, each.version) for each in built_on)),
        )

    def do(self, *, wait_s: float) -> Done:
        """May be repeated: what is done already is not done again. A model that is recalled is
        disabled before.

        Attempts that run are given `wait_s` to be ended by that; those of some jobs or one study
        are ended here, and so is what is queued.
        """
        if not self.of.is_of_model:
            self._cancel()
        still_running = self._await_end(wait_s)
        stopped = self._stop()
        found = self._plan()
        writer = Notes(config=self.config, spool=self.spool, database=self.database)
        notes: list[tuple[PlannedNote, Job]] = []
        by_hand = list(found.by_hand)
        for note in found.notes:
            try:
                job = writer.send(note)
            except InputError as error:
                by_hand.append(_by_hand(note, str(error)))
                continue
            notes.append((note, job))
            log.info(
                "results_retracted",
                job=job.id,
                study=pseudonym(note.study_instance_uid),
                peer=note.peer,
                objects=len(note.objects),
            )
        return Done(
            stopped=stopped,
            notes=tuple(notes),
            by_hand=tuple(by_hand),
            rejected=found.rejected,
            waiting=found.waiting,
            still_running=still_running,
        )

    def _plan(self) -> Plan:
        with self.database.read() as connection:
            objects = produced(connection, self.of)
            noted = notes_of(connection, self.of)
        return plan(
            objects,
            noted,
            self.spool,
            rejection=self.rejection,
            sentence=RECALLED if self.of.is_of_model else TAKEN_BACK,
            why=self.why,
        )

    def _cancel(self) -> None:
        with self.database.write() as connection:
            known = jobs_of(connection, self.of)
            why = f"{RETRACTED}{self.why}"
            corrections.stop(connection, known, why, now=self.database.now())

    def _await_end(self, wait_s: float) -> int:
        """The worker ends them at its next look; how many run nevertheless."""
        deadline = time.monotonic() + wait_s
        while (running := len(self._running())) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        return running

    def _running(self) -> Sequence[Job]:
        with self.database.read() as connection:
            jobs = jobs_of(connection, self.of)
        return [each for each in jobs if each.state is JobState.RUNNING]

    def _stop(self) -> int:
        """With the lock of the sender where it is free: then nothing can be on its way."""
        with ExitStack() as held:
            try:
                held.enter_context(self.spool.lock("deliver"))
                is_delivering = False
            except AlreadyRunning:
                is_delivering = True
            with self.database.read() as connection:
                jobs = retractions.unmarked(connection, self.of)
            for at in range(0, len(jobs), _AT_ONCE):
                with self.database.write() as connection:
                    retractions.mark(
                        connection,
                        jobs[at : at + _AT_ONCE],
                        why=self.why,
                        is_delivering=is_delivering,
                        now=self.database.now(),
                    )
        return len(jobs)


def _by_hand(note: PlannedNote, why: str) -> ByHand:
    return ByHand(
        study_instance_uid=note.study_instance_uid, peer=note.peer, objects=note.objects, why=why
    )
