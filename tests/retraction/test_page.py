"""docs/retraction.md, command by command, with Orthanc as the PACS."""

import json
import re
import shlex
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.loopback import free_port
from tests.acceptance.orthanc import Orthanc, executable
from tests.retraction.site import Site, site, write_config

PAGE = (Path(__file__).parents[2] / "docs" / "retraction.md").read_text()


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines() if line]


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Orthanc]:
    if executable() is None:
        pytest.skip("Orthanc is missing")
    started = Orthanc(tmp_path / "orthanc", node_port=free_port(), routing=False).start()
    yield started
    started.stop()


@pytest.fixture
def here(tmp_path: Path, empty_database: Path, pacs: Orthanc) -> Iterator[Site]:
    with site(tmp_path, empty_database) as made:
        config = write_config(tmp_path, pacs.dicom_port, ae_title="ORTHANC")
        made.road.config.peers.update(config.peers)
        yield made


def modalities(pacs: Orthanc) -> dict[str, int]:
    """How many instances of each the PACS has, but for images."""
    series = [pacs.get(f"/series/{each}") for each in pacs.get("/series")]
    found: dict[str, int] = {}
    for each in series:
        kind = each["MainDicomTags"]["Modality"]
        found[kind] = found.get(kind, 0) + len(each["Instances"])
    return found


@pytest.mark.orthanc
@pytest.mark.result_rule(26)
def test_the_drill_of_the_page(here: Site, pacs: Orthanc) -> None:
    """Orthanc takes the note and keeps what it names, which can then be deleted by its UIDs."""
    look, retract, listing, enable, judge = commands()
    (image, *_) = here.come("drill")
    here.deliver("pacs")
    before = modalities(pacs)
    here.must(*look)
    here.must(*retract)
    here.deliver("pacs")
    assert modalities(pacs) == {**before, "KO": 1}
    assert "rejected" in here.must(*listing)
    for row in json.loads(here.must(*listing, "--json")):
        if row["peer"] == "pacs":
            (found,) = json.loads(pacs.request("/tools/lookup", row["sop_instance_uid"].encode()))
            address = f"http://127.0.0.1:{pacs.http_port}/instances/{found['ID']}"
            urllib.request.urlopen(
                urllib.request.Request(address, method="DELETE"),
                timeout=30,
            ).close()
    assert modalities(pacs) == {kind: n // 2 for kind, n in before.items()} | {"KO": 1}
    here.must(*enable)
    here.must(*(image.StudyInstanceUID if word == "UID" else word for word in judge))
    here.road.intake.settle_quiet(now=here.road.database.now())
    here.road.work()
    here.deliver("pacs")
    assert modalities(pacs) == {**before, "KO": 1}
