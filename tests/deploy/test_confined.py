"""A study goes through a node that may do no more than its units and its image allow.

Neither systemd nor a container engine runs here: what they would forbid, confined.py forbids.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pynetdicom import AE

from dicom_ai_node.peers.association import leave_answers
from tests import dicom_factory
from tests.acceptance.bright import install_bright, route
from tests.acceptance.node_process import NodeProcess
from tests.deploy import confined

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
TOGETHER = {"run": "dicom-ai-node.service"}
APART = {
    "receive": "dicom-ai-node-receive.service",
    "work": "dicom-ai-node-work.service",
    "deliver": "dicom-ai-node-deliver.service",
    "web": "dicom-ai-node-web.service",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not confined.HEADER.exists() or not shutil.which("systemd-analyze"),
        reason="only root can take these rights away; by the kernel's headers and systemd-analyze",
    ),
]


class ConfinedNode(NodeProcess):
    """Each process under its unit; what it may write is below HOME/state."""

    def __init__(self, home: Path, units: dict[str, str]) -> None:
        self.units = units
        self.results = home / "state" / "results"
        super().__init__(
            home,
            models=install_bright(home),
            peers={"archive": {"kind": "folder", "path": str(self.results)}},
            routes=[route("archive")],
        )
        state = home / "state"
        self.configure(
            models=home / "models",
            peers={"archive": {"kind": "folder", "path": str(self.results)}},
            routes=[route("archive")],
            sections={"log": {"format": "json"}, "metrics": {"port": self.metrics_port}},
            spool=str(state / "spool"),
            database=f"sqlite:///{state}/node.db",
        )
        state.mkdir()
        os.chown(state, confined.UID, confined.UID)
        subprocess.run(["chmod", "-R", "a+rX", home], check=True)
        state.chmod(0o700)
        self.processes: list[subprocess.Popen[bytes]] = []

    def begin(self) -> None:
        for role, unit in self.units.items():
            words = [sys.executable, "-m", "dicom_ai_node", role, "--config", str(self.config)]
            with (self.home / "node.log").open("ab") as log:
                command = under(unit, self.home, *words)
                self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def _listens(self) -> bool:
        try:
            self.status()
        except OSError:
            return False
        return "receiver_listening" in self.log()

    def end(self) -> list[int]:
        for process in self.processes:
            process.terminate()
        return [process.wait(timeout=60) for process in self.processes]


def under(unit: str, home: Path, *command: str) -> Sequence[str]:
    """`command` with what the unit leaves it; unshare and the launcher become that command."""
    apart = ["--net"] if "\nPrivateNetwork=yes\n" in (UNITS / unit).read_text() else []
    launcher = [sys.executable, "-m", "tests.deploy.confined", str(UNITS / unit), str(home)]
    return ["unshare", "--mount", *apart, *launcher, *command]


@pytest.fixture(params=[TOGETHER, APART], ids=["one unit", "a unit for each part"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ConfinedNode]:
    node = ConfinedNode(tmp_path / "home", request.param)
    node.start()
    try:
        yield node
    finally:
        for process in node.processes:
            process.kill()
            process.wait()


def test_a_study_goes_through_with_no_more_rights_than_that(node: ConfinedNode) -> None:
    series = dicom_factory.series(name="confined")
    _send(node.port, series)
    (seg,) = node.wait(lambda: _segmentations(node.results), timeout_s=120)
    assert seg.StudyInstanceUID == series[0].StudyInstanceUID

    fence = next(json.loads(line) for line in node.log().splitlines() if '"event": "fence"' in line)
    assert fence["files"].startswith("yes, Landlock")
    assert fence["network"] == "yes, own namespace"
    assert fence["privileges"].startswith("yes")
    for process in node.processes:
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert status["Uid"].split() == [str(confined.UID)] * 4
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert node.end() == [0] * len(node.processes)


_TRIES = """
import errno, os, socket, sys
home = sys.argv[1]
def code(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
print(code(lambda: open("/usr/mark", "w")), code(lambda: open(home + "/config/mark", "w")),
      code(lambda: open(home + "/state/mark", "w")), code(lambda: open("/tmp/mark", "w")),
      code(lambda: os.chroot("/tmp")), code(lambda: os.setuid(0)))
"""


@pytest.mark.parametrize("unit", ["dicom-ai-node.service", "dicom-ai-node-receive.service"])
def test_what_is_forbidden_is_refused_and_what_is_needed_is_not(unit: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for folder in ("state", "config"):
        (home / folder).mkdir(parents=True)
    os.chown(home / "state", confined.UID, confined.UID)
    done = subprocess.run(
        under(unit, home, sys.executable, "-c", _TRIES, str(home)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["EROFS", "EROFS", "done", "done", "EPERM", "EPERM"], done.stderr
    assert not Path("/usr/mark").exists()


def _send(port: int, series: list[Dataset]) -> None:
    ae = AE("PACS")
    ae.add_requested_context(series[0].SOPClassUID)
    association = ae.associate("127.0.0.1", port, ae_title="AI_NODE")
    leave_answers(association)
    assert association.is_established
    assert {association.send_c_store(ds).Status for ds in series} == {0}
    association.release()


def _segmentations(folder: Path) -> list[Dataset]:
    found = [pydicom.dcmread(path) for path in folder.rglob("*") if path.suffix == ".dcm"]
    return [ds for ds in found if ds.Modality == "SEG"]
