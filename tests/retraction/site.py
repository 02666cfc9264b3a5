"""A node with a PACS and a folder, and two models that mark the same: what is recalled is one."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from click.testing import Result
from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    UID,
    ImplicitVRLittleEndian,
    KeyObjectSelectionDocumentStorage,
)
from pynetdicom import AllStoragePresentationContexts
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.load import load
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.deliver import PeerQueue
from dicom_ai_node.job import Job
from dicom_ai_node.models.installation.install import install
from dicom_ai_node.peers.open import open_peer
from dicom_ai_node.spool import Spool
from tests.dicom_factory import series
from tests.intake.in_process import Road
from tests.made import arrive, bright
from tests.peers.pacs import Pacs

LONG_AGO = 1_600_000_000.0
EVERY_CLASS = [UID(str(each.abstract_syntax)) for each in AllStoragePresentationContexts]
MODEL = "threshold-ct"
ALONE = {"results": {"also": []}}  # a SEG and a report, and nothing along with them


@dataclass
class Site:
    """`road` is the node, `pacs` what it sends to; verbs are said on its command line."""

    home: Path
    pacs: Pacs
    road: Road

    def say(self, *words: str) -> Result:
        runner = CliRunner(env={"COLUMNS": "250"})
        return runner.invoke(app, [*words, "--config", str(self.home / "config")])

    def must(self, *words: str) -> str:
        done = self.say(*words)
        assert done.exit_code == 0, (words, done.output, done.exception)
        return done.stdout

    def retract(self, *words: str, status: int = 0) -> dict[str, Any]:
        verb = ("results", "retract", "--model", MODEL, "--yes", "--json", "--wait", "0.1")
        done = self.say(*verb, *words)
        assert done.exit_code == status, (done.output, done.exception)
        return dict(json.loads(done.stdout))

    def listing(self, model: str = MODEL) -> list[dict[str, Any]]:
        return list(json.loads(self.must("results", "list", "--model", model, "--json")))

    def come(self, name: str, **changes: Any) -> list[Dataset]:
        """A study comes and is worked on; its results lie in the outbox."""
        made = series(name=name, shape=(6, 8, 8), **changes)
        arrive(self.road.spool, self.road.database, made, now=LONG_AGO)
        self.road.intake.settle_quiet(now=self.road.database.now())
        self.road.work()
        return made

    def deliver(self, *peers: str, after: float = 0) -> int:
        """One round to each peer, so long after now; how many objects were tried."""
        return sum(
            PeerQueue(
                name=name,
                peer=open_peer(self.road.config.peers[name], self.road.config.node),
                spool=self.road.spool,
                database=self.road.database,
                settings=self.road.config.delivery,
            ).deliver_due(now=self.road.database.now() + after)
            for name in peers or ("pacs", "archive")
        )

    def jobs(self, model: str = MODEL) -> list[Job]:
        return [job for job in self.road.jobs() if job.model == model]


@contextmanager
def site(home: Path, empty_database: Path) -> Iterator[Site]:
    """Its PACS runs."""
    pacs = Pacs(sop_classes=EVERY_CLASS)
    with pacs.running():
        config = write_config(home, pacs.port)
        database = Database(config.node.database)
        database.path.write_bytes(empty_database.read_bytes())
        model = install(MODEL, home / "models", print)
        models: dict[str, InstalledModel] = {MODEL: model, "bright": bright(home)}
        yield Site(home, pacs, Road(config, Spool(config.node.spool), database, models))
        database.close()


def write_config(home: Path, port: int, *, ae_title: str = "PACS") -> Config:
    """With the PACS on this port; the file that verbs read, and what it says."""
    address = {"ae_title": ae_title, "host": "127.0.0.1", "port": port, "timeout_s": 5}
    peers = {
        "pacs": {"kind": "dimse", **address, **ALONE},
        "archive": {"kind": "folder", "path": str(home / "results"), **ALONE},
    }
    content = {
        "node": {
            "ae_title": "AI_NODE",
            "models": str(home / "models"),
            "spool": str(home / "spool"),
            "database": f"sqlite:///{home}/node.db",
        },
        "peers": peers,
        "routes": [{"model": model, "send_to": ["pacs", "archive"]} for model in (MODEL, "bright")],
    }
    (home / "config").mkdir(exist_ok=True)
    (home / "config" / "node.yaml").write_text(json.dumps(content))  # JSON is YAML
    return load(home / "config")


def received(pacs: Pacs) -> list[Dataset]:
    """What the PACS has, as data sets."""
    return [
        read_dataset(BytesIO(data), syntax == ImplicitVRLittleEndian, True)
        for _, syntax, data in pacs.received
    ]


def notes(pacs: Pacs) -> list[Dataset]:
    return [ds for ds in received(pacs) if ds.SOPClassUID == KeyObjectSelectionDocumentStorage]


def named(note: Dataset) -> set[tuple[str, str, str]]:
    """Series, class and instance of all that a note names as evidence."""
    return {
        (series_item.SeriesInstanceUID, item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
        for study in note.CurrentRequestedProcedureEvidenceSequence
        for series_item in study.ReferencedSeriesSequence
        for item in series_item.ReferencedSOPSequence
    }


def is_of(ds: Dataset, model: str) -> bool:
    """Made by this model, as the object says itself."""
    return any(
        each.ManufacturerModelName == model for each in ds.get("ContributingEquipmentSequence", [])
    )


def key(ds: Dataset) -> tuple[str, str, str]:
    return ds.SeriesInstanceUID, ds.SOPClassUID, ds.SOPInstanceUID
