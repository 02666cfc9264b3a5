"""From the study to the outbox: each peer of a job has the form that the configuration names."""

import hashlib
from pathlib import Path
from typing import Any

import pydicom
import pytest

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries
from dicom_ai_node.database.engine import Database
from dicom_ai_node.deliver import PeerQueue
from dicom_ai_node.job import JobState
from dicom_ai_node.peers.open import open_peer
from dicom_ai_node.spool import Spool
from tests.dicom_factory import series
from tests.intake.in_process import Road
from tests.made import arrive, bright

LONG_AGO = 1_600_000_000.0
SENT: dict[str, dict[str, Any]] = {
    "viewer": {"also": []},
    "reports": {"segmentation": ["none"], "also": []},
    "limited": {"max_frames": 1, "also": []},
}


@pytest.fixture
def config(config: Config, tmp_path: Path) -> Config:
    fields = config.model_dump(by_alias=True)
    fields["peers"] = {
        name: {"kind": "folder", "path": tmp_path / name, "results": results}
        for name, results in SENT.items()
    }
    fields["routes"] = [{"model": "bright", "send_to": list(SENT)}]
    return Config.model_validate(fields)


def modalities(folder: Path) -> list[str]:
    return sorted(str(pydicom.dcmread(path).Modality) for path in folder.iterdir())


def test_each_peer_has_its_form_of_one_job(
    config: Config, spool: Spool, database: Database, tmp_path: Path
) -> None:
    road = Road(config, spool, database, {"bright": bright(tmp_path)})
    arrive(spool, database, series(name="forms", shape=(6, 8, 8)), now=LONG_AGO)
    road.intake.settle_quiet(now=database.now())
    assert road.work() == 1
    for name, settings in config.peers.items():
        peer = open_peer(settings, config.node)
        queue = PeerQueue(
            name=name, peer=peer, spool=spool, database=database, settings=config.delivery
        )
        queue.deliver_due(now=database.now())
    assert modalities(tmp_path / "viewer") == ["SEG", "SR"]
    assert modalities(tmp_path / "reports") == ["SR"]
    assert modalities(tmp_path / "limited") == ["SR"]
    (job,) = road.jobs()
    assert job.state is JobState.DONE
    with database.read() as connection:
        rows = deliveries.of_job(connection, job.id)
    alone = {row["sop_instance_uid"] for row in rows if row["peer"] != "viewer"}
    assert len(alone) == 1  # the report alone of both
    for row in rows:
        path = spool.outbox_path(job.key) / row["file"]
        assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        ds = pydicom.dcmread(path)
        assert row["sop_class_uid"] == ds.SOPClassUID
        assert row["series_instance_uid"] == ds.SeriesInstanceUID
