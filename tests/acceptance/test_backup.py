"""The drill of docs/backup.md, word by word, with a node in processes of its own."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from dicom_ai_node.errors import ConfigError
from tests import dicom_factory
from tests.acceptance.node_process import NodeProcess
from tests.receive.scu import CT, association

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DOC = Path(__file__).parents[2] / "docs" / "backup.md"


@pytest.fixture
def node(tmp_path: Path, threshold_store: Path) -> Iterator[NodeProcess]:
    """CT from PACS to threshold-ct and into a folder."""
    made = NodeProcess(
        tmp_path / "node",
        models=threshold_store,
        peers={"archive": {"kind": "folder", "path": str(tmp_path / "archive")}},
        routes=[{"model": "threshold-ct", "send_to": ["archive"]}],
    )
    yield made
    made.stop()


def drills() -> list[list[str]]:
    """The commands of each block that is a drill, without comments."""
    blocks = re.findall(r"<!-- drill -->\n```sh\n(.*?)```", DOC.read_text(), re.DOTALL)
    return [[line.partition("#")[0].strip() for line in block.splitlines()] for block in blocks]


def say(node: NodeProcess, line: str, *, status: int = 0) -> str:
    """A line of the page, but for where things are."""
    backup = str(node.home / "backup")
    words = shlex.split(line.replace("/backup", backup).replace(" config", f" {node.config}"))
    if words[0] == "dicom-ai-node":
        config = ["--config", str(node.config)]
        words = [sys.executable, "-m", "dicom_ai_node", *words[1:], *config]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status, (line, done.stdout, done.stderr)
    return done.stdout + done.stderr


def drill(node: NodeProcess, lines: list[str]) -> str:
    """Each line; `run` is what the fixture starts and stops."""
    said = []
    for line in lines:
        if line == "dicom-ai-node run":
            node.start(timeout_s=200)
        else:
            said.append(say(node, line))
    return "".join(said)


def send(node: NodeProcess, name: str) -> None:
    """And wait until its results are in the archive."""
    done = node.status()["jobs"]["done"]
    with association(node.port, [CT]) as assoc:
        for ds in dicom_factory.series(name=name, shape=(4, 8, 8)):
            assert assoc.send_c_store(ds).Status == 0x0000
    node.wait(lambda: node.status()["jobs"]["done"] == done + 1)


def archive(node: NodeProcess) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in (node.home.parent / "archive").glob("*.dcm")}


def empty(node: NodeProcess) -> None:
    """The archive: what is sent from now on is seen."""
    for path in (node.home.parent / "archive").glob("*.dcm"):
        path.unlink()


@pytest.mark.fault("G16")
@pytest.mark.fault("G9")
def test_the_drill(node: NodeProcess) -> None:
    make, disk_gone, database_gone, no_backup = drills()
    node.start(timeout_s=200)
    send(node, "before")
    of_before = archive(node)
    assert "are what was backed up" in drill(node, make)
    send(node, "after")
    of_after = {name: content for name, content in archive(node).items() if name not in of_before}
    assert of_after
    node.kill()

    # the disk is gone: what came before is known, and not sent again; what came after comes again
    kept = node.home.parent / "kept"
    shutil.move(node.home / "var", kept)
    shutil.rmtree(node.config)
    empty(node)
    assert "0 rows without their file" not in drill(node, disk_gone)  # images were not backed up
    assert node.status()["jobs"]["done"] == 1
    send(node, "after")
    assert archive(node).keys() == of_after.keys()
    assert node.stop() == 0

    # the database alone: it does not start, and a backup is older than the spool
    shutil.rmtree(node.home / "var")
    shutil.move(kept, node.home / "var")
    database = node.home / "var" / "node.db"
    database.write_bytes(b"\0" * database.stat().st_size)
    empty(node)
    said = say(node, "dicom-ai-node run", status=ConfigError.exit_status)
    assert "dicom-ai-node restore" in said
    assert "dicom-ai-node db rebuild" in said
    assert "4 instances adopted" in drill(node, database_gone)
    node.wait(lambda: node.status()["jobs"]["done"] == 2)
    assert archive(node) == of_after  # byte for byte: not made again
    assert node.stop() == 0

    # no backup
    database.unlink()
    empty(node)
    assert "is gone or empty" in say(node, "dicom-ai-node run", status=ConfigError.exit_status)
    assert not database.exists() or not database.stat().st_size
    assert "8 instances adopted" in drill(node, no_backup)
    node.wait(lambda: node.status()["jobs"]["done"] == 2)
    assert archive(node) == {**of_before, **of_after}
    send(node, "and then another one")
    assert node.stop() == 0
