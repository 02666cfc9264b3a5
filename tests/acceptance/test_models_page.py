"""docs/models.md does what it says: from a file of weights to a segmentation in a real PACS."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from tests import dicom_factory
from tests.acceptance.conftest import connected
from tests.acceptance.node_process import NodeProcess

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
ROAD, REFERENCE = PAGE.split("## Where to go from here")


def blocks(text: str) -> Iterator[tuple[str, str, str]]:
    """(language, the file that the first line names, content) of each block."""
    for language, content in re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL):
        named = re.match(r"# (\S+\.\w+)\n", content)
        yield language, named.group(1) if named else "", content


def commands(text: str) -> list[str]:
    shells = [content for language, _, content in blocks(text) if language == "sh"]
    lines = [line.partition(" #")[0].strip() for shell in shells for line in shell.splitlines()]
    return [line for line in lines if line]


def run(line: str, home: Path, node: NodeProcess) -> str:
    """A line of the page, in the reader's folder and with the reader's configuration."""
    words = shlex.split(line)
    if words[0] == "dicom-ai-node":
        takes_config = words[1:3] != ["models", "record"]
        config = ["--config", str(node.config)] if takes_config else []
        words = [sys.executable, "-m", "dicom_ai_node", *words[1:], *config]
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(words, cwd=home, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.orthanc
@pytest.mark.slow
def test_the_page_takes_a_network_to_the_pacs(tmp_path: Path) -> None:
    """Every file of the page is written, and every command run, in their order."""
    series = dicom_factory.series(name="models-page")
    dicom_factory.write(series, tmp_path / "STUDY")
    store = tmp_path / "models"
    with connected(tmp_path, model="my-model", models=store, modality="CT") as (node, pacs):
        peers = {"kind": "dimse", "ae_title": "ORTHANC", "host": "127.0.0.1"}
        node.configure(models=store, peers={"pacs": {**peers, "port": pacs.dicom_port}}, routes=[])
        for language, name, content in blocks(ROAD):
            if name == "config/node.yaml":
                (node.config / "page.yaml").write_text(content)
            elif name:
                (tmp_path / name).write_text(content)
            if language == "python":
                run(f"{sys.executable} {name}", tmp_path, node)
            for line in commands(f"```sh\n{content}```") if language == "sh" else ():
                if line == "dicom-ai-node run":
                    node.start()
                else:
                    run(line, tmp_path, node)
        assert {path.name for path in (tmp_path / "tried").iterdir()} == {
            "1-seg.dcm", "2-sr.dcm", "3-summary.dcm", "report.json",
        }  # fmt: skip
        for path in sorted((tmp_path / "STUDY").iterdir()):
            pacs.upload(path)
        study = series[0].StudyInstanceUID
        pacs.wait(lambda: pacs.instances(study, "SEG") and pacs.instances(study, "SR"))
        (content,) = pacs.instances(study, "SEG")
    seg = hd.seg.Segmentation.from_dataset(pydicom.dcmread(BytesIO(content)))
    source = hd.get_volume_from_series(series)
    mask = seg.get_volume(combine_segments=True).match_geometry(source).array > 0
    bright = source.array == 400
    # at 2 mm and back, a border may move by a voxel
    assert 2 * (mask & bright).sum() / (mask.sum() + bright.sum()) > 0.8
    assert np.abs(np.argwhere(mask).mean(0) - np.argwhere(bright).mean(0)).max() < 1


@pytest.mark.parametrize("line", commands(REFERENCE))
def test_the_commands_of_the_reference_exist(line: str) -> None:
    words = shlex.split(line)
    assert words[0] == "dicom-ai-node"
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*words[1:3], "--help"])
    assert shown.exit_code == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in shown.output
