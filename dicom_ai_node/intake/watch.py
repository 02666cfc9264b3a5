"""The open studies, each looked at when something of it has changed or its time has come.

The table is asked for changes only: a study to which nothing happens costs nothing.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, RowMapping

from dicom_ai_node.config.settings import AcceptEntry, CompleteSettings, Config, StudySettings
from dicom_ai_node.database import expectations, open_studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.intake.ask import Asker, Question
from dicom_ai_node.intake.came import Arrivals
from dicom_ai_node.intake.completion import AT_ONCE, Decision, OpenStudy, decide
from dicom_ai_node.intake.headers import Headers
from dicom_ai_node.log import get_logger, pseudonym
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import Expected

log = get_logger(__name__)

FILES_A_LOOK = 500  # headers read in one tick; a study without new ones counts as one

_UNSAID = CompleteSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A study's row, as it was when this was decided."""

    row: RowMapping
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look found.

    `closed` are complete, or have waited long enough. `open` have changed, are not closed, and have
    series that are proven complete.
    """

    closed: Sequence[Judged]
    open: Sequence[Judged]


@dataclass(slots=True)
class _Watched:
    arrivals: Arrivals
    row: RowMapping
    decision: Decision | None = None
    due: float = 0.0
    asked_for: float | None = None  # the end of an association
    asked_at: float = AT_ONCE
    confirmed_for: float | None = None
    is_marked: bool = False  # as incomplete


class Watch:
    """For one thread; `look()` may be repeated at any time."""

    def __init__(
        self, config: Config, spool: Spool, database: Database, headers: Headers, asker: Asker
    ) -> None:
        self._config = config
        self._spool = spool
        self._database = database
        self._headers = headers
        self._asker = asker
        self._seen = -1
        self._open: dict[int, _Watched] = {}
        self._changed: dict[int, None] = {}  # those that are yet to be looked at, in order
        self._due: list[tuple[float, int]] = []  # a heap; an entry is void if its study's differs

    def look(self, *, now: float) -> Look:
        with self._database.read() as connection:
            for row in open_studies.changed(connection, after=self._seen):
                self._seen = row["changed"]
                self._note(row)
            judged = list(self._judge(connection))
            due = list(self._take_due(connection, now))
        closed = [each for each in due if self._acts(each, now)]
        closed_ids = {each.row["id"] for each in closed}
        return Look(
            closed=closed,
            open=[
                each
                for each in judged
                if each.decision.complete_series and each.row["id"] not in closed_ids
            ],
        )

    def forget(self, study_id: int) -> None:
        """It is settled; when it grows, it is found again."""
        watched = self._open.pop(study_id, None)
        self._changed.pop(study_id, None)
        if watched is not None:
            self._headers.forget(watched.arrivals.uids())

    def __len__(self) -> int:
        return len(self._open)

    def _note(self, row: RowMapping) -> None:
        watched = self._open.get(row["id"])
        if watched is None:
            self._open[row["id"]] = _Watched(Arrivals(self._spool, self._headers), row)
        else:
            watched.row, watched.is_marked = row, False
        self._changed[row["id"]] = None

    def _judge(self, connection: Connection) -> Iterator[Judged]:
        """Those that have changed; the others wait for the next look when there is much to read."""
        room = FILES_A_LOOK
        for study_id in list(self._changed):
            watched = self._open[study_id]
            came = watched.arrivals.read(connection, watched.row, most=room)
            room -= max(came, 1)
            if room <= 0:
                return
            del self._changed[study_id]
            uid = watched.row["study_instance_uid"]
            expected = expectations.of_study(connection, uid)
            watched.decision = self._decide(watched, expected)
            self._schedule(watched)
            yield Judged(row=watched.row, decision=watched.decision)

    def _decide(self, watched: _Watched, expected: Sequence[Expected]) -> Decision:
        row, settings = watched.row, self._settings(watched.row)[0]
        bare = OpenStudy(
            began_at=watched.arrivals.began_at(row),
            last_received_at=row["last_received_at"],
            association_ended_at=row["association_ended_at"],
            came=(),
            expected=(),
        )
        try:
            return decide(replace(bare, came=watched.arrivals.came, expected=expected), settings)
        except Exception:  # the tick boundary, drawn around each study: quiet time is left
            log.exception("evidence_not_judged", study=pseudonym(row["study_instance_uid"]))
            return decide(bare, settings)

    def _settings(self, row: RowMapping) -> tuple[StudySettings, CompleteSettings]:
        complete = sender(self._config.accept, row["calling_ae_title"])
        return complete.over(self._config.study), complete

    def _take_due(self, connection: Connection, now: float) -> Iterator[Judged]:
        """Studies whose time has come, and that are as they were judged; they stay due."""
        taken: dict[int, None] = {}
        while self._due and self._due[0][0] <= now:
            due, study_id = heapq.heappop(self._due)
            watched = self._open.get(study_id)
            if watched is not None and watched.due == due:
                taken[study_id] = None
        for study_id in taken:
            watched = self._open[study_id]
            heapq.heappush(self._due, (watched.due, study_id))
            row = open_studies.find_open(connection, study_id)
            if row is None:
                self.forget(study_id)  # a person has to look at it, or it is gone
            elif row["changed"] == watched.row["changed"] and watched.decision is not None:
                yield Judged(row=row, decision=watched.decision)

    def _schedule(self, watched: _Watched) -> None:
        """When something is to be done, if nothing changes."""
        decision = watched.decision
        assert decision is not None  # noqa: S101 — it was judged
        times = [decision.settle_at, self._question_at(watched)]
        if not watched.is_marked:
            times.append(decision.incomplete_at)
        watched.due = min(at for at in times if at is not None)
        heapq.heappush(self._due, (watched.due, watched.row["id"]))

    def _question_at(self, watched: _Watched) -> float | None:
        """When the PACS is to be asked.

        Once after the end of an association: at once, but not again and again while it is known to
        have more, as a peer with an association for each image would have it. And once more where
        that can prove something.
        """
        row, decision = watched.row, watched.decision
        settings, complete = self._settings(row)
        ended_at = row["association_ended_at"]
        if complete.ask is None or ended_at is None or decision is None or decision.is_proven:
            return None
        if watched.asked_for != ended_at:
            return watched.asked_at + settings.confirm_s if decision.missing else AT_ONCE
        return decision.confirm_at if watched.confirmed_for != ended_at else None

    def _acts(self, judged: Judged, now: float) -> bool:
        """True when the study is to be settled; it stays due until it is forgotten."""
        decision = judged.decision
        watched = self._open[judged.row["id"]]
        if decision.settle_at <= now:
            return True
        asked_at = self._question_at(watched)
        if asked_at is not None and asked_at <= now:
            self._ask(watched, now)
        if decision.incomplete_at is not None and decision.incomplete_at <= now:
            self._mark(watched)
        self._schedule(watched)
        return False

    def _ask(self, watched: _Watched, now: float) -> None:
        row = watched.row
        settings, complete = self._settings(row)
        assert complete.ask is not None  # noqa: S101 — else there were no question
        if watched.asked_for == row["association_ended_at"]:
            watched.confirmed_for = watched.asked_for
        watched.asked_for, watched.asked_at = row["association_ended_at"], now
        self._asker.ask(
            Question(
                study_id=row["id"],
                study_instance_uid=row["study_instance_uid"],
                association_ended_at=row["association_ended_at"],
                peer=complete.ask,
                is_final=complete.final,
                confirm_s=settings.confirm_s,
            )
        )

    def _mark(self, watched: _Watched) -> None:
        row, decision = watched.row, watched.decision
        if watched.is_marked or decision is None:
            return
        with self._database.write() as connection:
            open_studies.mark_incomplete(connection, row, decision.shortfall)
        watched.is_marked = True
        log.info("study_incomplete", study=pseudonym(row["study_instance_uid"]))


def sender(entries: Sequence[AcceptEntry], calling_ae_title: str) -> CompleteSettings:
    """What the configuration says of a peer; of several entries for it, the first that says it."""
    said = [each.complete for each in entries if each.ae_title == calling_ae_title]
    return next((each for each in said if each != _UNSAID), _UNSAID)
