"""The commands that README.md and docs/ tell people to type do what they are for, on real nodes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.uid import Comprehensive3DSRStorage, SecondaryCaptureImageStorage, SegmentationStorage

from dicom_ai_node.database import studies
from dicom_ai_node.database.engine import Database
from tests import dicom_factory
from tests.acceptance.node_process import NodeProcess
from tests.doc_commands import PAGES, Command, commands
from tests.peers.pacs import Pacs

pytestmark = pytest.mark.slow

RESULTS = (SegmentationStorage, Comprehensive3DSRStorage, SecondaryCaptureImageStorage)

# these have whole roads of their own
ELSEWHERE = {
    "run": "acceptance/test_quick_start.py",
    "setup": "acceptance/test_quick_start.py",
    "demo": "demo/test_run.py",
    "reload": "acceptance/test_reload.py",
    "probe": "acceptance/test_probe.py",
    "alarms test": "alarms/test_cli.py",
    "alarms acknowledge": "alarms/test_cli.py",
    "restore": "acceptance/test_backup.py",
    "db rebuild": "acceptance/test_backup.py",
    "studies missed": "test_cli_missed.py",
    "models record": "acceptance/test_models_page.py",
    "models convert": "models/formats/test_convert.py",
    "models stress": "models/answering/test_stress.py",
}
# the state in which a node needs them; all others are for one that has delivered
ON_A_QUEUE = ("jobs cancel", "jobs prioritise", "studies judge", "studies discard", "models enable")
ON_WHAT_IS_UNDELIVERED = ("jobs retry",)
# exit status 1 says that the node does not run, its PACS is silent, or nothing is to be judged
MAY_BE_ONE = ("doctor", "check", "echo", "studies judge UID --reviewed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    home: Path
    study_instance_uid: str
    job: int

    @property
    def places(self) -> dict[str, str]:
        """What stands in the pages for something of the reader's own."""
        study = str(self.home.parent / "STUDY")
        return {
            "UID": self.study_instance_uid,
            **dict.fromkeys(("DIR", "STUDY", "STUDY_DIR"), study),
            **dict.fromkeys(("brain-mr", "my-model"), "threshold-ct"),
            **dict.fromkeys(("1", "17", "18"), str(self.job)),
            "/backup/monday": str(self.home / "backup"),
        }


def make(
    home: Path, store: Path, *, status: int, until: Callable[[NodeProcess], object], disable: bool
) -> Site:
    """A node that was sent a CT, and stood then: its PACS gave each object this status."""
    series = dicom_factory.series()
    dicom_factory.write(series, home.parent / "STUDY")
    models = shutil.copytree(store, home / "models")
    node = NodeProcess(home / "node", models=models, peers={}, routes=[])
    with Pacs(answer=lambda _: status, sop_classes=RESULTS).running() as pacs:
        peer = {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs.port}
        clause = {"attr": "Modality", "op": "eq", "value": "CT"}
        route = {"model": "threshold-ct", "send_to": ["pacs"], "require": [clause]}
        node.configure(models=models, peers={"pacs": peer}, routes=[route])
        if disable:
            assert node.said("models", "disable", "threshold-ct", "--why", "to see it wait") == 0
        node.start()
        try:
            assert node.said("import", str(home.parent / "STUDY"), "--as", "PACS") == 0
            node.wait(lambda: until(node))
        finally:
            assert node.stop() == 0
    with Database(f"sqlite:///{home}/node/var/node.db").read() as connection:
        (row,) = studies.listing(connection)
    return Site(home=home, study_instance_uid=row["study_instance_uid"], job=1)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, threshold_store: Path) -> dict[str, Site]:
    def begun(name: str) -> Path:
        home = tmp_path_factory.mktemp(name) / "home"
        home.mkdir()
        return home

    def has(state: str) -> Callable[[NodeProcess], object]:
        return lambda node: node.status()["jobs"][state] == 1

    kept = {"store": threshold_store}
    return {
        "done": make(begun("done"), **kept, status=0, until=has("done"), disable=False),
        "queued": make(begun("queued"), **kept, status=0, until=has("queued"), disable=True),
        "undelivered": make(
            begun("undelivered"), **kept, status=0xC000, until=has("undelivered"), disable=False
        ),
    }


def site_of(command: Command, sites: dict[str, Site]) -> Site:
    if command.verb in ON_A_QUEUE:
        return sites["queued"]
    return sites["undelivered" if command.verb in ON_WHAT_IS_UNDELIVERED else "done"]


def copied(site: Site, to: Path) -> Site:
    """Another one like it, so that no command sees what another has done."""
    home = shutil.copytree(site.home, to / "home", symlinks=True)
    shutil.copytree(site.home.parent / "STUDY", to / "STUDY")
    file = home / "node" / "config" / "node.yaml"
    file.write_text(file.read_text().replace(str(site.home), str(home)))
    return Site(home=home, study_instance_uid=site.study_instance_uid, job=site.job)


def typed(command: Command, site: Site) -> subprocess.CompletedProcess[str]:
    words = [site.places.get(word, word) for word in command.words]
    if command.verb == "predict":
        words[-1] = str(site.home / "out")
    if command.verb == "models install":
        words = ["models", "install", "threshold-ct"]
    return subprocess.run(
        [sys.executable, "-m", "dicom_ai_node", *words, "--config", site.home / "node" / "config"],
        cwd=site.home,
        env={**os.environ, "COLUMNS": "200"},
        input="y\n" * 3,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def distinct() -> list[Command]:
    seen: dict[tuple[str, ...], Command] = {}
    for page in PAGES:
        for command in commands(page):
            if command.verb not in ELSEWHERE:
                seen.setdefault(command.words, command)
    return list(seen.values())


@pytest.mark.parametrize("command", distinct(), ids=lambda each: " ".join(each.words))
def test_a_command_of_the_pages_works(
    command: Command, sites: dict[str, Site], tmp_path: Path
) -> None:
    site = copied(site_of(command, sites), tmp_path)
    if command.words[-1] == "--verify":
        made = Command(page=command.page, words=command.words[:-1], verb=command.verb)
        assert typed(made, site).returncode == 0
    if command.verb in ("tokens revoke", "models remove"):
        assert typed(Command("", ("tokens", "add", "first", "--role", "act"), ""), site)
    done = typed(command, site)
    allowed = {0, 1} if " ".join(command.words).startswith(MAY_BE_ONE) else {0}
    assert done.returncode in allowed, (command, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    if "--json" in command.words:
        json.loads(done.stdout)


def test_what_is_left_out_here_is_tested_elsewhere() -> None:
    for verb, file in ELSEWHERE.items():
        path = Path(__file__).parents[1] / file
        assert path.exists(), verb
        words = path.read_text(encoding="utf-8")
        assert verb.split()[-1] in words, f"{file} does not speak of {verb}"
