"""What a real PACS could not send while the node was down is fetched, analysed and sent once."""

import copy
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dicom_ai_node.models.installation.install import install
from tests import dicom_factory
from tests.acceptance.node_process import NodeProcess
from tests.acceptance.orthanc import Orthanc

pytestmark = [pytest.mark.orthanc, pytest.mark.slow, pytest.mark.timeout(900)]


def of_today(name: str, **what: Any) -> list[Dataset]:
    made = [copy.deepcopy(ds) for ds in dicom_factory.series(name=name, **what)]
    for ds in made:
        ds.StudyDate = f"{datetime.now().astimezone():%Y%m%d}"
    return made


def upload(pacs: Orthanc, made: Sequence[Dataset], folder: Path) -> list[Path]:
    paths = dicom_factory.write(made, folder)
    for path in paths:
        pacs.upload(path)
    return paths


def reports(pacs: Orthanc, of: Sequence[Dataset]) -> int:
    return len(pacs.instances(of[0].StudyInstanceUID, "SR"))


def states(pacs: Orthanc) -> list[str]:
    return [each["State"] for each in pacs.get("/jobs?expand")]


def test_a_pacs_gives_what_was_missed_once(
    road: tuple[NodeProcess, Orthanc], tmp_path: Path
) -> None:
    """The node is down, and when it comes back the PACS is: then all of it is fetched."""
    node, pacs = road
    peer = {"kind": "dimse", "ae_title": "ORTHANC", "host": "127.0.0.1", "port": pacs.dicom_port}
    is_ct = {"attr": "Modality", "op": "eq", "value": "CT"}
    catch_up = {"every_s": 4, "wait_s": 1}
    node.start()
    before = of_today("before")
    upload(pacs, before, tmp_path / "before")
    pacs.wait(lambda: reports(pacs, before) == 1)
    node.stop()
    store = tmp_path / "store"  # one in which a model can be disabled
    install("threshold-ct", store, print)
    node.configure(
        models=store,
        peers={"pacs": {**peer, "catch_up": catch_up}},
        routes=[{"model": "threshold-ct", "send_to": ["pacs"], "require": [is_ct]}],
    )

    missed = [of_today("one"), of_today("two")]
    other, part = of_today("mr", modality="MR"), of_today("part")
    for number, made in enumerate((*missed, other)):
        upload(pacs, made, tmp_path / f"{number}")
    paths = upload(pacs, part, tmp_path / "part")
    pacs.wait(lambda: states(pacs).count("Failure") >= 4)
    dicom_factory.write(part[:5], tmp_path / "half")
    node.verb("import", str(tmp_path / "half"))
    wanted = [each for each in node.verb("studies", "missed") if each["call"] == "fetch"]
    assert {each["study_instance_uid"] for each in wanted} == {
        made[0].StudyInstanceUID for made in (*missed, part)
    }
    pacs.stop()
    # a result of the half one would make its study new in the PACS, which would send all of it
    assert node.said("models", "disable", "threshold-ct") == 0
    node.start()
    node.wait(lambda: "catch_up_waits" in node.log())
    pacs.start()

    node.wait(lambda: node.log().count("missed_study_fetched") == 3, timeout_s=120)
    assert node.said("models", "enable", "threshold-ct") == 0
    for made in missed:
        pacs.wait(lambda made=made: reports(pacs, made) == 1)
    rounds = node.log().count("catch_up_asked")
    node.wait(lambda: node.log().count("catch_up_asked") >= rounds + 2)
    assert node.log().count("missed_study_fetched") == 3
    assert [reports(pacs, made) for made in (before, *missed, other)] == [1, 1, 1, 0]
    here = {each["study_instance_uid"]: each for each in node.verb("studies", "list")}
    assert other[0].StudyInstanceUID not in here
    assert here[part[0].StudyInstanceUID]["instances"] == len(paths)
    for made in missed:
        row = here[made[0].StudyInstanceUID]
        assert (row["calling_ae_title"], row["state"]) == ("ORTHANC", "routed")
