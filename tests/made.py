"""What most tests start from: a configuration, an installed model, a study that has come."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydicom import Dataset

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import ThresholdPackage
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import arrivals
from dicom_ai_node.database.arrivals import Arrival
from dicom_ai_node.database.engine import Database
from dicom_ai_node.receive.rescan import describe
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import Instance

IS_CT = {"attr": "Modality", "op": "eq", "value": "CT"}
IS_MR = {"attr": "Modality", "op": "eq", "value": "MR"}


def configuration(home: Path, **sections: Any) -> Config:
    """A node below `home` that takes CT from PACS; a mapping changes some keys of its section."""
    standard: dict[str, Any] = {
        "node": {
            "ae_title": "AI_NODE",
            "port": 0,
            "spool": home / "spool",
            "database": f"sqlite:///{home}/node.db",
            "models": home / "models",
            "drain_s": 5,
        },
        "study": {"quiet_s": 60},
        "web": {"port": 0},
        "accept": [{"ae_title": "PACS", "from": ["127.0.0.1/32"]}],
        "peers": {"archive": {"kind": "folder", "path": home / "results"}},
        "routes": [{"model": "bright", "send_to": ["archive"], "require": [IS_CT]}],
    }
    for name, section in sections.items():
        before = standard.get(name)
        merged = isinstance(before, dict) and isinstance(section, dict) and name != "peers"
        standard[name] = {**before, **section} if merged else section
    return Config.model_validate(standard)


def bright(folder: Path, **changes: Any) -> InstalledModel:
    """A model without weights: the phantom's box is what it finds."""
    segment = {
        "number": 1,
        "label": "Bone",
        "category": "SCT:91723000:Anatomical Structure",
        "type": "SCT:272673000:Bone",
    }
    fields: dict[str, Any] = {
        "name": "bright",
        "version": "1.0",
        "title": "Bright voxels",
        "kind": "threshold",
        "between": (300, 3000),
        "segments": (segment,),
    }
    package = ThresholdPackage.model_validate(fields | changes)
    return InstalledModel(folder=folder, package=package, sha256="5" * 64)


def empty_place(spool: Spool) -> str:
    """The name of an instance file, made ahead and closed."""
    (place,) = spool.make_places(1)
    os.close(place.descriptor)
    return place.name


def arrive(
    spool: Spool,
    database: Database,
    instances: Iterable[Dataset],
    *,
    now: float,
    calling: str = "PACS",
    called: str = "AI_NODE",
) -> list[Arrival]:
    """The instances in the spool and in the table, as reception leaves them, at a time of ours."""
    found = []
    for ds in instances:
        ds.file_meta.SourceApplicationEntityTitle = calling
        ds.file_meta.ReceivingApplicationEntityTitle = called
        file = empty_place(spool)
        ds.save_as(spool.instance_path(file), enforce_file_format=True)
        with database.write() as connection:
            received = describe(spool.instance_path(file))
            found.append(arrivals.add(connection, received, file, now=now))
    return found


def stored(paths: Sequence[Path]) -> list[Instance]:
    """Part 10 files as the spool describes them."""
    instances = []
    for path in paths:
        received = describe(path)
        instances.append(
            Instance(
                sop_class_uid=received.sop_class_uid,
                sop_instance_uid=received.sop_instance_uid,
                series_instance_uid=received.series_instance_uid,
                study_instance_uid=received.study_instance_uid,
                transfer_syntax_uid=received.transfer_syntax_uid,
                sha256=received.sha256,
                path=path,
            )
        )
    return instances
