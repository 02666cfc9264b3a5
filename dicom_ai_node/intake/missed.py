"""What a peer has of the last hours and nobody sent here: what is fetched of it, and why not."""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dicom_ai_node.config.peers import CatchUpSettings
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import missed
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.erased import is_erased
from dicom_ai_node.database.fetches import OPEN, Fetch, FetchState
from dicom_ai_node.database.missed import Here
from dicom_ai_node.database.new_jobs import NewJob
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.job import Priority
from dicom_ai_node.peers.counts import NOT_IMAGES
from dicom_ai_node.peers.recent_study import RecentSeries, RecentStudy
from dicom_ai_node.peers.source import Source
from dicom_ai_node.routing.may_take import Known, may_take_series, may_take_study
from dicom_ai_node.study import StudyState

# dates are of the peer's clock and time zone, of which nobody knows anything: two of them are
# never further apart than 26 h, and in one hospital not than this
SLACK = timedelta(hours=14)
_ENOUGH = 3  # studies whose series a peer does not list: it lists none
DELETED = "it was here, and a person had it deleted"
ALL_HERE = "all that a route can take is here"
# whatever else became of a study was a person's decision, or a rule's, and stays
_MAY_GROW = frozenset(
    {
        *(StudyState.RECEIVING, StudyState.INCOMPLETE, StudyState.ROUTED),
        *(StudyState.REFUSED, StudyState.PRIOR),
    }
)


class Call(enum.StrEnum):
    """What is done about a study."""

    FETCH = "fetch"
    LEAVE = "leave"
    WAITING = "waiting"  # for its turn, or for its next try
    LOOK = "look"  # into its series: none that was found is left so
    COMPLETE = "complete"  # its series were looked at, and none is missing
    FAILED = "failed"  # for good, unless a person asks again


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A study that a peer has; `here` counts its instances in the spool, `reason` is a phrase."""

    study: RecentStudy
    here: int
    call: Call
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What decides about the studies of one peer."""

    peer: str
    source: Source
    config: Config
    settings: CatchUpSettings
    database: Database

    def find(self, *, now: float) -> list[Found]:
        """Asks the peer, the newest first; raises PeerUnreachable."""
        moment = datetime.fromtimestamp(now).astimezone().replace(tzinfo=None)
        since = moment - timedelta(hours=self.settings.hours) - SLACK
        recent = self.source.recent(since=since, until=moment + SLACK)
        found: list[Found] = []
        failed: list[PeerUnreachable] = []  # one after the other
        for study in recent:
            with self.database.read() as connection:
                here = missed.here(connection, study.study_instance_uid)
                asked = missed.of_study(connection, study.study_instance_uid)
                is_gone = here is None and is_erased(connection, study.study_instance_uid)
            if is_gone:
                found.append(Found(study=study, here=0, call=Call.LEAVE, reason=DELETED))
                continue
            each = self._judge(study, here, asked, now)
            found.append(self._look_into(each, here, failed) if each.call is Call.LOOK else each)
        return found

    def _look_into(self, found: Found, here: Here | None, failed: list[PeerUnreachable]) -> Found:
        """One whose series the peer does not list holds up no other: each is tried in its turn,
        where it is fetched. After several, no more are asked about."""
        if len(failed) < _ENOUGH:
            try:
                short = self.lacking(found.study.study_instance_uid, here)
            except PeerUnreachable as error:
                failed.append(error)
            else:
                failed.clear()
                if not short:
                    return replace(found, call=Call.COMPLETE, reason=ALL_HERE)
                reason = f"{len(short)} of its series came in part, or not at all"
                return replace(found, call=Call.FETCH, reason=reason)
        return replace(found, call=Call.FETCH, reason=f"its series are not known: {failed[-1]}")

    def lacking(self, study_instance_uid: str, here: Here | None) -> list[RecentSeries]:
        """Series that a route could take, and of which not everything is here."""
        return lacking(self.series(study_instance_uid), here)

    def series(self, study_instance_uid: str) -> list[RecentSeries]:
        """Those that a route could take; raises PeerUnreachable."""
        return [
            each
            for each in self.source.series(study_instance_uid)
            if each.modality not in NOT_IMAGES
            and may_take_series(self.config.routes, each.modality, self._sender)
        ]

    @property
    def _sender(self) -> Known:
        called = self.config.node.ae_title[0]
        return {"$calling_ae": (self.source.ae_title,), "$called_ae": (called,)}

    def _judge(
        self, study: RecentStudy, here: Here | None, asked: Sequence[Fetch], now: float
    ) -> Found:
        number = here.instances if here else 0
        found = Found(study=study, here=number, call=Call.LEAVE, reason="")
        if why := self._unwanted(study) or _closed(here):
            return replace(found, reason=why)
        if said := _asked(study, asked):
            return replace(found, call=said[0], reason=said[1])
        if here is None:
            return replace(found, call=Call.FETCH, reason="it never came")
        if self.is_coming(here, now):
            return replace(found, reason="it is coming now")
        if here.state is StudyState.PRIOR:
            return replace(found, call=Call.FETCH, reason="it came for comparison alone")
        if study.instances is None or number >= study.instances:
            return replace(found, reason="it is here")
        return replace(found, call=Call.LOOK)

    def is_coming(self, here: Here, now: float) -> bool:
        is_quiet = here.last_received_at <= now - self.settings.wait_s
        return here.state is StudyState.RECEIVING and not is_quiet

    def _unwanted(self, study: RecentStudy) -> str:
        images = study.modalities - NOT_IMAGES
        said = ", ".join(sorted(study.modalities))
        if study.modalities and not images:
            return f"it has no images ({said})"
        if not may_take_study(self.config.routes, images, self._sender):
            return f"no route takes it ({said})"
        return ""


def lacking(series: Sequence[RecentSeries], here: Here | None) -> list[RecentSeries]:
    """Where nobody counts, a series of which something is here counts as complete."""
    counted = here.series if here else {}
    return [
        each
        for each in series
        if counted.get(each.series_instance_uid, 0) < max(each.instances or 0, 1)
    ]


def _closed(here: Here | None) -> str:
    if here is None or here.state in _MAY_GROW:
        return ""
    return f"it was here, and is {here.state}".replace("_", " ")


def _asked(study: RecentStudy, asked: Sequence[Fetch]) -> tuple[Call, str] | None:
    """What stands against asking again; nothing where the peer has more by now."""
    for each in asked:
        if each.state in OPEN:
            so_far = f" ({each.reason})" if each.reason else ""
            return Call.WAITING, f"it is being fetched from {each.peer}{so_far}"
        if study.instances is not None and study.instances > (each.there or 0):
            continue
        if each.state is FetchState.FAILED:
            return Call.FAILED, f"it could not be fetched: {each.reason}"
        return Call.LEAVE, each.reason or f"it was fetched from {each.peer}"
    return None


def keep(search: Search, found: Iterable[Found], *, at: float, now: float) -> None:
    """What was complete is not looked at again until it grows; all else is fetched from `at` on,
    and what waits already, now."""
    with search.database.write() as connection:
        for each in found:
            uid, there = each.study.study_instance_uid, each.study.instances
            if each.call is Call.COMPLETE:
                missed.leave(
                    connection,
                    peer=search.peer,
                    study_instance_uid=uid,
                    there=there,
                    reason=each.reason,
                    now=now,
                )
            elif each.call is Call.WAITING:
                missed.hurry(connection, peer=search.peer, study_instance_uid=uid, now=now)
            else:
                missed.want(
                    connection,
                    peer=search.peer,
                    study_instance_uid=uid,
                    there=there,
                    at=at,
                    now=now,
                )


def behind_live(jobs: Sequence[NewJob]) -> tuple[NewJob, ...]:
    """Jobs of what was missed: one class later than the route says.

    Somebody waits for what comes now; what was missed has waited for hours already. Time makes up
    for the class: see `HEAD_START_S`.
    """
    return tuple(replace(each, priority=_LATER[each.priority]) for each in jobs)


_LATER = {
    Priority.URGENT: Priority.ROUTINE,
    Priority.ROUTINE: Priority.BACKGROUND,
    Priority.BACKGROUND: Priority.BACKGROUND,
}
