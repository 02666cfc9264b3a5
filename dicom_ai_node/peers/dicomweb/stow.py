"""STOW-RS as a user agent (PS3.18 10.5): files as they are, several in one request."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from dicom_ai_node.config.peers import DicomwebPeer, is_plain
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.dicomweb.service import Service
from dicom_ai_node.peers.dicomweb.stow_requests import StowRequests
from dicom_ai_node.peers.peer import (
    ALTERED,
    NOT_SENT,
    NOT_WANTED,
    UNREADABLE,
    Offer,
    StoreOutcome,
)

_MB = 1_000_000


class DicomwebStore:
    """One connection per call, where the peer keeps it open."""

    def __init__(self, settings: DicomwebPeer, *, service: Service | None = None) -> None:
        self._service = service or Service(settings)
        self._settings = settings
        self._most_bytes = settings.request_mb * _MB
        self._is_careful = False  # since a request of several objects was not answered

    def store(self, offers: Sequence[Offer]) -> Iterator[Sequence[StoreOutcome]]:
        """Ends where the peer does; what is then left was not tried."""
        with self._service.session() as session:
            self._knock()
            requests = StowRequests(session, self._most_bytes, one_by_one=self._is_careful)
            try:
                for group in _groups(offers, self._most_bytes):
                    if requests.has_broken:
                        break
                    yield from _store(requests, group)
            finally:
                self._is_careful = requests.has_broken

    def _knock(self) -> None:
        """A peer that is down is found before any file is read."""
        parts = urlsplit(self._settings.url)
        port = parts.port or (80 if is_plain(self._settings.url) else 443)
        timeout_s = self._settings.connect_timeout_s
        try:
            socket.create_connection((parts.hostname or "", port), timeout_s).close()
        except socket.gaierror:
            raise PeerUnreachable(
                f"{self._service.name} has a host name that nobody knows: check url"
            ) from None
        except OSError:
            raise PeerUnreachable(f"{self._service.name} does not answer") from None


def _groups(offers: Sequence[Offer], most_bytes: int) -> Iterator[Sequence[Offer]]:
    """What may go in one request; an offer with another form is looked at by itself."""
    group: list[Offer] = []
    size = 0
    for offer in offers:
        more = sum(path.stat().st_size for path in offer.paths if path.exists())
        if group and (offer.or_else or size + more > most_bytes):
            yield group
            group, size = [], 0
        group, size = [*group, offer], size + more
        if offer.or_else:
            yield group
            group, size = [], 0
    if group:
        yield group


def _store(requests: StowRequests, group: Sequence[Offer]) -> Iterator[Sequence[StoreOutcome]]:
    wanted = [offer for offer in group if offer.is_wanted()]
    sound = [offer for offer in wanted if offer.is_sound()]
    uids = {path: _uid(path) for offer in sound for path in offer.paths}
    known = {path: uid for path, uid in uids.items() if uid is not None}
    if any(offer.or_else for offer in sound):
        answered = _until_refused(requests, known)
    else:
        answered = requests.send(known)
    for offer in group:
        if offer in sound:
            yield [answered.get(path, UNREADABLE) for path in offer.paths]
        else:
            yield [ALTERED if offer in wanted else NOT_WANTED] * len(offer.paths)


def _until_refused(requests: StowRequests, uids: Mapping[Path, str]) -> Mapping[Path, StoreOutcome]:
    """One after the other: the first that is not taken tells that another form is wanted."""
    answered: dict[Path, StoreOutcome] = dict.fromkeys(uids, NOT_SENT)
    for path, uid in uids.items():
        answered |= requests.send({path: uid})
        if answered[path].form_refused:
            break
    return answered


def _uid(path: Path) -> str | None:
    """None when it cannot be read."""
    try:
        return str(read_file_meta_info(path).MediaStorageSOPInstanceUID)
    except (OSError, EOFError, InvalidDicomError, AttributeError):
        return None
