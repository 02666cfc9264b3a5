"""The pictures of docs/web.md: `python -m scripts.page_pictures [FOLDER]`.

A node with phantoms alone: one study that went through, one that is refused, one whose job crashed.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from dicom_ai_node.audit.trail import Trail
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, leases, schema
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import DeliveryState
from dicom_ai_node.spool import Spool
from dicom_ai_node.web.server import serving
from dicom_ai_node.web.site import Site
from tests.dicom_factory import series
from tests.intake.in_process import Road
from tests.made import IS_CT, arrive, bright, configuration
from tests.viewers import chromium

_WIDE = {"width": 1280, "height": 860}
_PHONE = {"width": 360, "height": 740}
_COLOURS = 256  # of a picture in the docs


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as home:
        config = _configuration(Path(home))
        spool, database = Spool(config.node.spool), Database(config.node.database)
        schema.upgrade(database)
        _fill(Road(config, spool, database, {"bright": bright(Path(home))}))
        site = Site(config=config, spool=spool, database=database, trail=Trail(spool.root))
        with serving(site) as port, chromium.page() as page:
            _sign_in(page, f"http://127.0.0.1:{port}", (spool.root / "web-token").read_text())
            for name, path, size in (
                ("queue", "/", _WIDE),
                ("study", "/studies/1", _WIDE),
                ("job", "/jobs/1", _WIDE),
                ("phone", "/", _PHONE),
            ):
                page.set_viewport_size(size)  # type: ignore[arg-type]
                page.goto(f"http://127.0.0.1:{port}{path}")
                page.wait_for_load_state("networkidle")
                _save(page, folder / f"page-{name}.png", full=name != "queue")
        database.close()


def _configuration(home: Path) -> Config:
    results = {"also": ["summary", "key_images"]}
    peers = {
        "pacs": {"kind": "folder", "path": str(home / "pacs"), "results": results},
        "archive": {"kind": "folder", "path": str(home / "archive")},
    }
    route = {"model": "bright", "name": "bones", "send_to": ["pacs", "archive"]}
    heads = {**route, "name": "heads", "require": [{**IS_CT, "value": "MR"}]}
    return configuration(home, peers=peers, routes=[{**route, "require": [IS_CT]}, heads])


def _fill(road: Road) -> None:
    now = road.database.now()
    for number, (name, modality, ago) in enumerate(
        [("one", "CT", 5400), ("two", "CT", 900), ("three", "MG", 300), ("four", "CT", 100)], 1
    ):
        instances = series(name=name, modality=modality, pixels=_body(number))
        for at, ds in enumerate(instances):
            arrive(road.spool, road.database, [ds], now=now - ago + at * 0.4)
        road.intake.settle_quiet(now=now - ago + 80)
        if number == 1:
            road.work()
            _deliver(road)
        elif number == 2:
            _crash(road)


def _body(seed: int) -> np.ndarray:
    """A round thing with two brighter ones in it, in HU."""
    dice = np.random.default_rng(seed)
    z, y, x = np.mgrid[0:12, 0:96, 0:96]
    pixels = np.full(z.shape, -1000.0)
    pixels[(y - 48) ** 2 / 1.6 + (x - 48) ** 2 < 38**2] = 40
    for left in (30, 66):
        radius = 10 - abs(z - 6) * 0.8
        pixels[(y - 52) ** 2 + (x - left) ** 2 < radius**2] = 700
    return (pixels + dice.normal(0, 12, z.shape)).astype(np.int16)


def _deliver(road: Road) -> None:
    """Each peer has taken it, but for one object that is to be sent again."""
    database = road.database
    with database.write() as connection:
        for peer in ("pacs", "archive"):
            for row, _ in deliveries.due(connection, peer, now=database.now()):
                state = DeliveryState.STORED
                when = database.now()
                deliveries.record(
                    connection, row, state, status="written", next_try_at=when, now=when
                )


def _crash(road: Road) -> None:
    now = road.database.now()
    with road.database.write() as connection:
        job = leases.claim(connection, worker="here", lease_s=60, now=now)
        if job is None:
            raise SystemExit("the second study made no job")
        text = "the attempt was killed: it needed more than 12 GB of memory"
        leases.give_back(
            connection, job, error_kind="memory", error_text=text, max_attempts=1, now=now
        )


def _sign_in(page: Page, url: str, token: str) -> None:
    page.goto(url)
    page.get_by_label("Your token").fill(token.strip())
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Queue").wait_for()


def _save(page: Page, path: Path, *, full: bool) -> None:
    page.screenshot(path=path, full_page=full)
    with Image.open(path) as shot:
        small = shot.convert("RGB").quantize(_COLOURS)
    small.save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs"))
