"""What a peer has of the last hours and nobody sent here: what is fetched of it, and why not."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dicom_ai_node.config.peers import CatchUpSettings
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import missed
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.fetches import OPEN, Fetch, FetchState
from dicom_ai_node.database.missed import Here
from dicom_ai_node.database.new_jobs import NewJob
from dicom_ai_node.job import Priority
from dicom_ai_node.peers.counts import NOT_IMAGES
from dicom_ai_node.peers.recent_study import RecentSeries, RecentStudy
from dicom_ai_node.peers.source import Source
from dicom_ai_node.routing.may_take import Known, may_take_series, may_take_study
from dicom_ai_node.study import StudyState

# dates are of the peer's clock and time zone, of which nobody knows anything: two of them are
# never further apart than 26 h, and in one hospital not than this
SLACK = timedelta(hours=14)
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
        return [self._judge(study, now) for study in recent]

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

    def _judge(self, study: RecentStudy, now: float) -> Found:
        with self.database.read() as connection:
            here = missed.here(connection, study.study_instance_uid)
            asked = missed.of_study(connection, study.study_instance_uid)
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
        if short := self.lacking(study.study_instance_uid, here):
            reason = f"{len(short)} of its series came in part, or not at all"
            return replace(found, call=Call.FETCH, reason=reason)
        return replace(found, call=Call.COMPLETE, reason=ALL_HERE)

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
