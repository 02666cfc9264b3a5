"""A throw-away archive: takes every object by C-STORE and keeps it as a file."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

AE_TITLE = "ARCHIVE"
_SUCCESS, _OUT_OF_RESOURCES = 0x0000, 0xA700


@dataclass
class Archive:
    """What came, by SOP Class UID: the newest object of a class counts."""

    folder: Path
    port: int = 0
    _stored: dict[str, Path] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def newest(self, sop_class_uid: str) -> Path | None:
        with self._lock:
            return self._stored.get(sop_class_uid)

    def store(self, event: Event) -> int:
        """Named by a hash: nothing from the wire becomes part of a path."""
        meta = event.file_meta
        name = hashlib.sha256(meta.MediaStorageSOPInstanceUID.encode()).hexdigest()[:32]
        path = self.folder / f"{name}.dcm"
        part = self.folder / f"{name}.{threading.get_ident()}.part"
        try:
            part.write_bytes(event.encoded_dataset())
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            return _OUT_OF_RESOURCES
        with self._lock:
            self._stored[str(meta.MediaStorageSOPClassUID)] = path
        return _SUCCESS


@contextmanager
def running_archive(folder: Path) -> Iterator[Archive]:
    """Listens on loopback, on a port that was free, until the block is left."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = Archive(folder=folder)
    ae = AE(ae_title=AE_TITLE)
    ae.supported_contexts = AllStoragePresentationContexts
    ae.add_supported_context(Verification)
    server = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, archive.store)]
    )
    assert server is not None  # noqa: S101 - None only when it blocks
    assert server.socket is not None  # noqa: S101 - and it listens
    archive.port = server.socket.getsockname()[1]
    try:
        yield archive
    finally:
        ae.shutdown()
