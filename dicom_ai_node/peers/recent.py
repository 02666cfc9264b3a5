"""C-FIND as an SCU (PS3.4 C.4.1): which studies a peer has of some days, and their series.

Nothing that identifies a patient is asked for, so that nothing of it can be kept or shown.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from pydicom import Dataset
from pydicom.valuerep import DA, TM

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.header import values_of
from dicom_ai_node.peers.query import answers, keys, number_of, text_of
from dicom_ai_node.peers.recent_study import RecentSeries, RecentStudy
from dicom_ai_node.uids import is_uid


def find_recent(
    settings: DimsePeer, *, since: datetime, until: datetime, limit: int, calling_ae_title: str
) -> list[RecentStudy]:
    """Studies acquired from `since` (local time, without a zone) to the end of the day of `until`;
    the newest first.

    It is asked day by day, so that no answer grows too long: `limit` is of one day. Raises
    PeerUnreachable.
    """
    last = datetime.combine(until, time.max)
    found: dict[str, tuple[datetime, RecentStudy]] = {}
    for day in _days(since.date(), until.date()):
        query = keys(
            "STUDY",
            StudyInstanceUID="",
            StudyDate=f"{day:%Y%m%d}",
            StudyTime="",
            ModalitiesInStudy="",
            NumberOfStudyRelatedInstances="",
        )
        for answer in answers(settings, query, calling_ae_title, most=limit):
            acquired_at = _acquired_at(answer)
            uid = text_of(answer, "StudyInstanceUID")
            if is_uid(uid) and acquired_at is not None and since <= acquired_at <= last:
                found[uid] = acquired_at, _study(uid, answer)
    newest_first = sorted(found.items(), key=lambda each: (each[1][0], each[0]), reverse=True)
    return [study for _, (_, study) in newest_first]


def find_series(
    settings: DimsePeer, study_instance_uid: str, *, calling_ae_title: str
) -> list[RecentSeries]:
    """Raises PeerUnreachable."""
    query = keys(
        "SERIES",
        StudyInstanceUID=study_instance_uid,
        SeriesInstanceUID="",
        Modality="",
        NumberOfSeriesRelatedInstances="",
    )
    return [
        RecentSeries(
            series_instance_uid=text_of(answer, "SeriesInstanceUID"),
            modality=text_of(answer, "Modality"),
            instances=number_of(answer, "NumberOfSeriesRelatedInstances"),
        )
        for answer in answers(settings, query, calling_ae_title)
        if is_uid(text_of(answer, "SeriesInstanceUID"))
        and text_of(answer, "StudyInstanceUID") in ("", study_instance_uid)
    ]


def _days(first: date, last: date) -> Iterator[date]:
    """The newest first."""
    for back in range((last - first).days + 1):
        yield last - timedelta(days=back)


def _study(uid: str, answer: Dataset) -> RecentStudy:
    said = values_of(answer, "ModalitiesInStudy")
    return RecentStudy(
        study_instance_uid=uid,
        modalities=frozenset(filter(None, (str(each).strip() for each in said))),
        instances=number_of(answer, "NumberOfStudyRelatedInstances"),
    )


def _acquired_at(answer: Dataset) -> datetime | None:
    """None without a date; without a time, the end of that day."""
    try:
        day: date | None = DA(text_of(answer, "StudyDate"))
    except ValueError:
        return None
    if day is None:
        return None
    try:
        moment: time | None = TM(text_of(answer, "StudyTime"))
    except ValueError:
        moment = None
    return datetime.combine(day, moment or time.max)
