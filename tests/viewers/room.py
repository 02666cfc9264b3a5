"""A reading room: a real Orthanc, OHIF before it, one Chromium; alone on their network."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from playwright.sync_api import Page
from pydicom import Dataset

from tests.acceptance import orthanc
from tests.acceptance.loopback import own_network
from tests.acceptance.orthanc import Orthanc
from tests.tools import missing_tool
from tests.viewers import chromium, fetch
from tests.viewers.ohif import Ohif
from tests.viewers.serve import Site, serving

_PAGES = Path(__file__).parent / "pages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    pacs: Orthanc
    page: Page
    ohif: Ohif
    dwv: Site

    def send(self, *several: Iterable[Dataset]) -> str:
        """The Study Instance UID of the last."""
        study = ""
        for ds in (ds for each in several for ds in each):
            with BytesIO() as file:
                ds.save_as(file, enforce_file_format=True)
                self.pacs.request("/instances", file.getvalue())
            study = str(ds.StudyInstanceUID)
        return study


@contextmanager
def open_room(home: Path) -> Iterator[Room]:
    if orthanc.executable() is None:
        missing_tool("Orthanc")
    if chromium.executable() is None:
        missing_tool("Chromium")
    ohif, dwv = fetch.ohif(), fetch.installed(fetch.DWV)
    with own_network():
        pacs = Orthanc(home, node_port=1, routing=False).start()
        try:
            with (
                serving([_PAGES / "ohif", ohif], pacs_port=pacs.http_port) as of_ohif,
                serving([dwv / "node_modules", _PAGES / "dwv"], pacs_port=pacs.http_port) as of_dwv,
                chromium.page() as page,
            ):
                yield Room(pacs=pacs, page=page, ohif=Ohif(page, of_ohif), dwv=of_dwv)
        finally:
            pacs.stop()
