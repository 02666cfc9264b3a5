"""QIDO-RS as a user agent (PS3.18 10.6): which studies there are, and whether anybody answers."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from urllib.parse import urlencode

from dicom_ai_node.config.peers import DicomwebPeer
from dicom_ai_node.errors import PeerRefusesUs, PeerUnreachable
from dicom_ai_node.peers import asked
from dicom_ai_node.peers.dicomweb.dicom_json import number, text, values
from dicom_ai_node.peers.dicomweb.service import Service, Session
from dicom_ai_node.peers.recent_study import RecentSeries, RecentStudy
from dicom_ai_node.uids import derived_uid, is_uid

_PAGE = 200
_MOST = 10_000  # answers; a peer that gives more does not match what it was asked for
_NOBODYS = derived_uid("a study that is nowhere")


class DicomwebQuery:
    """Raises PeerUnreachable, and PeerRefusesUs where a person has to do something."""

    def __init__(self, settings: DicomwebPeer, *, service: Service | None = None) -> None:
        self._service = service or Service(settings)

    def echo(self) -> None:
        """Asks for a study that nobody has: no patient's data come."""
        with self._service.session() as session:
            self._page(session, "/studies", {"StudyInstanceUID": _NOBODYS, "limit": "1"})

    def recent(self, since: datetime, until: datetime, limit: int) -> list[RecentStudy]:
        """The newest studies of these days, by StudyDate as the peer writes it; whole days."""
        found: dict[str, tuple[str, RecentStudy]] = {}
        for item in self._studies(f"{since:%Y%m%d}-{until:%Y%m%d}"):
            uid = text(item, "StudyInstanceUID")
            if is_uid(uid):
                when = text(item, "StudyDate") + text(item, "StudyTime")
                found.setdefault(uid, (when, _study(uid, item)))
        newest_first = sorted(found.items(), key=lambda each: (each[1][0], each[0]), reverse=True)
        return [study for _, (_, study) in newest_first[:limit]]

    def series(self, study_instance_uid: str) -> list[RecentSeries]:
        """All of a study, as the peer counts them; none of one that is there no more."""
        wanted = {"includefield": "Modality,NumberOfSeriesRelatedInstances"}
        with self._service.session() as session:
            path = f"/studies/{study_instance_uid}/series"
            found = self._page(session, path, wanted, empty=frozenset({204, 404, 410}))
        return [
            RecentSeries(
                series_instance_uid=text(item, "SeriesInstanceUID"),
                modality=text(item, "Modality"),
                instances=number(item, "NumberOfSeriesRelatedInstances"),
            )
            for item in found
            if is_uid(text(item, "SeriesInstanceUID"))
        ]

    def _studies(self, days: str) -> Iterator[object]:
        wanted = {
            "StudyDate": days,
            "includefield": "ModalitiesInStudy,NumberOfStudyRelatedInstances",
            "limit": str(_PAGE),
        }
        seen: set[str] = set()
        offset = 0
        with self._service.session() as session:
            while True:
                page = self._page(session, "/studies", {**wanted, "offset": str(offset)})
                new = {text(item, "StudyInstanceUID") for item in page} - seen
                yield from page
                if len(page) < _PAGE or not new:  # without any, it does not know `offset`
                    return
                seen |= new
                offset += len(page)
                if offset > _MOST:
                    raise PeerUnreachable(
                        f"{self._service.name} answers QIDO-RS with more than {_MOST} studies"
                    )

    def _page(
        self,
        session: Session,
        path: str,
        parameters: dict[str, str],
        *,
        empty: frozenset[int] = frozenset({204}),
    ) -> Sequence[object]:
        target = f"{path}?{urlencode(parameters, safe=',')}"
        asked.search(self._service.name, target)
        answer = session.ask("GET", target)
        if answer.status in empty:
            return []
        if answer.status != 200:
            raise PeerRefusesUs(
                f"{self._service.name} does not answer QIDO-RS (HTTP {answer.status}): check url, "
                "to which /studies is added"
            )
        try:
            found = json.loads(answer.content or b"[]")
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list):
            raise PeerRefusesUs(
                f"{self._service.name} answers QIDO-RS with something else than DICOM JSON: "
                "check url"
            )
        return found


def _study(uid: str, item: object) -> RecentStudy:
    return RecentStudy(
        study_instance_uid=uid,
        modalities=frozenset(str(each) for each in values(item, "ModalitiesInStudy") if each),
        instances=number(item, "NumberOfStudyRelatedInstances"),
    )
