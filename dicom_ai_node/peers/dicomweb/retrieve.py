"""WADO-RS as a user agent (PS3.18 10.4): a study or a series as Part 10 files in a folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dicom_ai_node.config.peers import DicomwebPeer
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.dicomweb.answer import pieces
from dicom_ai_node.peers.dicomweb.multipart import MultipartError, MultipartReader
from dicom_ai_node.peers.dicomweb.service import Service

_ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_NOT_THERE = frozenset({404, 410})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveLimits:
    """What one answer may hold; more is no study that anybody wants."""

    instances: int = 20_000
    object_bytes: int = 4_294_967_296
    total_bytes: int = 68_719_476_736


def retrieve(
    service: DicomwebPeer | Service,
    study_instance_uid: str,
    folder: Path,
    *,
    series_instance_uid: str | None = None,
    limits: RetrieveLimits | None = None,
    is_low: Callable[[], bool] = lambda: False,
) -> list[Path]:
    """The files, in the syntax in which the peer has them; empty where it has no such study.

    Nothing of them is judged here. Raises PeerUnreachable, also where not all of it came, or the
    disk is low meanwhile; what came whole is then in the folder.
    """
    if isinstance(service, DicomwebPeer):
        service = Service(service)
    path = f"/studies/{study_instance_uid}"
    if series_instance_uid is not None:
        path += f"/series/{series_instance_uid}"
    limits = limits or RetrieveLimits()
    folder.mkdir(parents=True, exist_ok=True)
    with (
        service.session() as session,
        session.opened("GET", path, accept=_ACCEPT) as response,
    ):
        if response.status in _NOT_THERE:
            return []
        if response.status not in (200, 206):
            raise PeerUnreachable(
                f"{service.name} does not answer WADO-RS (HTTP {response.status})"
            )
        coming = pieces(session.connections, response, within_s=session.timeout_s)
        try:
            reader = MultipartReader(response.headers.get("Content-Type", ""), coming)
            return list(_written(reader, folder, limits, is_low))
        except MultipartError as error:
            raise PeerUnreachable(f"{service.name} answers WADO-RS wrongly: {error}") from None


def _written(
    reader: MultipartReader, folder: Path, limits: RetrieveLimits, is_low: Callable[[], bool]
) -> Iterator[Path]:
    total = 0
    for index, (_, content) in enumerate(reader.parts(), start=1):
        if index > limits.instances:
            raise MultipartError(f"it holds more than {limits.instances} instances")
        part, size = folder / f"{index:06}.part", 0
        try:
            with part.open("xb") as file:
                for piece in content:
                    if is_low():
                        raise PeerUnreachable("there is no room for it now")
                    file.write(piece)
                    size += len(piece)
                    if size > limits.object_bytes or total + size > limits.total_bytes:
                        raise MultipartError("it is larger than it may be")
            yield part.rename(part.with_suffix(".dcm"))
        finally:
            part.unlink(missing_ok=True)
        total += size
