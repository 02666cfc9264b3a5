"""One patient goes through everything, and is then looked for in every byte outside of the places
where a patient may be (P20)."""

import json
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.errors import NodeError
from dicom_ai_node.models.installation.install import install_folder
from tests import canary
from tests.acceptance.bright import MODEL
from tests.acceptance.loopback import free_port
from tests.acceptance.node_process import NodeProcess
from tests.dicom_factory import write
from tests.peers.pacs import Pacs
from tests.receive.scu import association

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# a model that is a program, and says all that it was given before it fails
TELLS = "cat $0/*.dcm >&2; cat $0/*.dcm; for f in $0/*.dcm; do head -c 4000 $f >&2; done; "
ENDS = {"raises": "exit 1", "crashes": "kill -SEGV $$"}
# below the spool: images, what contradicted them, results, and who did what
MAY = ("instances/", "conflict/", "outbox/", "audit/")
# columns: what rules and reports ask of a header, and say
MAY_COLUMNS = {"verdict.failed_clauses", "verdict.held_clauses"}


class QuotingPacs(Pacs):
    """Refuses everything, and says whose it was."""

    def _on_store(self, event: evt.Event) -> Any:
        status = Dataset()
        status.Status = 0xA700
        status.ErrorComment = f"no room for {event.dataset.PatientName}"[:64]
        status.OffendingElement = [0x00100010]
        self.received.append(("", "", b""))
        return status


def package(store: Path, home: Path, name: str) -> str:
    folder = home / name
    folder.mkdir()
    shell = ["sh", "-c", TELLS + ENDS[name], "{input}"]
    described = {
        "name": name,
        "version": "1.0",
        "title": name,
        "kind": "command",
        "command": shell,
        "give": "dicom",
        "take": "json",
        "results": ["sr"],
    }
    (folder / "model.yaml").write_text(json.dumps(described))
    return install_folder(folder, store).sha256


def takes(model: str, option: str, *peers: str) -> dict[str, Any]:
    asked = [
        {"attr": "ScanOptions", "op": "eq", "value": option},
        {"attr": "PatientID", "op": "matches", "value": ".*"},
        {"attr": "StudyDescription", "op": "matches", "value": ".*"},
    ]
    return {"model": model, "send_to": list(peers), "require": asked, "report_unsuitable": True}


@pytest.fixture
def pacs() -> Iterator[QuotingPacs]:
    with QuotingPacs().running() as running:
        assert isinstance(running, QuotingPacs)
        yield running


@pytest.fixture
def node(
    tmp_path: Path, pacs: QuotingPacs, monkeypatch: pytest.MonkeyPatch
) -> Iterator[NodeProcess]:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    store = tmp_path / "models"
    (tmp_path / "bright").mkdir()
    (tmp_path / "bright" / "model.yaml").write_text(json.dumps(MODEL | {"gate": {}}))
    install_folder(tmp_path / "bright", store)
    trusted = [package(store, tmp_path, name) for name in ENDS]
    made = NodeProcess(tmp_path / "node", models=store, peers={}, routes=[])
    quoting = {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs.port}
    made.configure(
        models=store,
        peers={
            "archive": {"kind": "folder", "path": str(tmp_path / "results")},
            "quoting": quoting,
            "dead": {**quoting, "port": free_port()},
        },
        routes=[
            takes("bright", "GOOD", "archive", "quoting", "dead"),
            takes("raises", "RAISES", "archive"),
            takes("crashes", "CRASHES", "archive"),
        ],
        sections={
            "work": {"max_attempts": 1, "retry_after_s": 0.1, "threads": 1},
            "log": {"level": "debug"},
            "web": {"port": free_port()},
        },
        trusted_models=trusted,
    )
    try:
        yield made.start(timeout_s=200)
    finally:
        made.stop()


def send(node: NodeProcess, instances: list[Dataset]) -> str:
    with association(node.port) as assoc:
        for ds in instances:
            assoc.send_c_store(ds)
    return str(instances[0].StudyInstanceUID)


def everything_comes(node: NodeProcess, home: Path) -> dict[str, str]:
    """Studies by what becomes of them."""
    patient = canary.patient
    studies = {
        "good": send(node, patient("good", ScanOptions="GOOD")),
        "raises": send(node, patient("raises", charset="ISO_IR 100", ScanOptions="RAISES")),
        "crashes": send(node, patient("crash", charset="ISO 2022 IR 87", ScanOptions="CRASHES")),
        "unsuitable": send(node, patient("one", slices=1, ScanOptions="GOOD")),
        "nobody's": send(node, patient("none", ScanOptions="NONE")),
        "spoilt": send(node, canary.spoilt(patient("spoilt", ScanOptions="GOOD"))),
        "contradicted": send(node, patient("twice", ScanOptions="GOOD")),
    }
    send(node, patient("twice", ScanOptions="GOOD", PatientComments=f"{canary.STEM} again"))
    wrong = patient("wrong", slices=1)
    wrong[0].SOPInstanceUID = f"{canary.STEM}.1"  # refused
    send(node, wrong)
    stranger = AE(ae_title="ZQX")
    stranger.add_requested_context(wrong[0].SOPClassUID)
    assert stranger.associate("127.0.0.1", node.port, ae_title="AI_NODE").is_rejected
    write(canary.patient("imported", ScanOptions="GOOD"), home / f"{canary.STEM} to import")
    (home / f"{canary.STEM} to import" / f"{canary.STEM}.txt").write_text(canary.STEM)
    return studies


class Verbs:
    """What verbs say on both streams; those that fail say why."""

    def __init__(self, node: NodeProcess) -> None:
        self.config = str(node.config)
        self.said: dict[str, str] = {}

    def __call__(self, *words: str) -> str:
        done = CliRunner().invoke(app, [*words, "--config", self.config])
        if not isinstance(done.exception, NodeError | SystemExit | None):
            raise done.exception
        text = f"{done.output}\n{done.stderr}\n{done.exception or ''}"
        self.said[" ".join(words)] = text
        return str(done.stdout)


def everything_is_asked(node: NodeProcess, home: Path, studies: dict[str, str]) -> dict[str, str]:
    verb = Verbs(node)
    verb("import", str(home / f"{canary.STEM} to import"))
    for words in (
        *(("status",), ("jobs", "list"), ("studies", "list"), ("doctor",), ("models", "list")),
        *(("peers", "list"), ("peers", "send", "quoting")),
        *(("echo", "quoting"), ("echo", "dead"), ("check",), ("studies", "missed")),
    ):
        verb(*words)
        verb(*words, "--json")
    for uid in studies.values():
        for name in ("show", "explain"):
            verb("studies", name, uid)
        verb("results", "list", "--study", uid)
    for job in json.loads(CliRunner().invoke(
        app, ["jobs", "list", "--json", "--config", str(node.config)]).stdout):  # fmt: skip
        verb("jobs", "show", str(job["id"]), "--json")
        verb("jobs", "retry", str(job["id"]))
    verb("backup", str(home / "backup"))
    verb("results", "retract", "--study", studies["good"], "--yes", "--wait", "1")
    verb("studies", "judge", studies["contradicted"], "--reviewed")
    verb("studies", "hold", studies["good"], "--why", "a trial")
    verb("studies", "delete", studies["good"], "--yes")
    verb("studies", "delete", studies["unsuitable"], "--yes")
    verb("studies", "discard", studies["contradicted"], "--yes")
    verb("drain", "--wait", "0")
    verb("drain", "--off")
    verb("purge")
    verb("rescan")
    return verb.said


def pages(node: NodeProcess, web_port: int) -> dict[str, bytes]:
    """All that monitoring is shown, and whoever may only look."""
    token = CliRunner().invoke(app, ["tokens", "add", "looks", "--config", str(node.config)])
    found = {}
    for path in ("/", "/metrics", "/status.json", "/health/live", "/health/ready"):
        found[f"metrics {path}"] = fetched(node.metrics_port, path, "")
    numbered = [f"{each}/{number}" for number in range(1, 20) for each in ("/jobs", "/studies")]
    parts = ("/", "/studies", "/peers", "/models", "/node", *numbered)
    for path in (*parts, *(f"/api{each}" for each in ("/status", *parts[1:]))):
        found[path] = fetched(web_port, path, token.stdout.strip())
    assert b"bright" in found["/jobs/1"], found["/jobs/1"]
    return found


def fetched(port: int, path: str, token: str) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return bytes(answer.read())
    except HTTPError as error:
        return bytes(error.read())


def columns(database: Path) -> dict[str, list[bytes]]:
    """Where in the database the patient is named, by table and column."""
    seen: dict[str, list[bytes]] = {}
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
        for (table,) in connection.execute(tables).fetchall():
            rows = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - a name of ours
            for row in rows:
                for column, value in zip(rows.description, row, strict=True):
                    if words := canary.found_in(str(value).encode()):
                        seen.setdefault(f"{table}.{column[0]}", []).extend(words)
    return seen


def test_a_patient_is_nowhere_but_where_patients_may_be(
    node: NodeProcess, pacs: QuotingPacs, tmp_path: Path
) -> None:
    studies = everything_comes(node, tmp_path)
    node.wait(lambda: node.status()["jobs"]["quarantined"] == 2, timeout_s=200)
    node.wait(lambda: node.status()["studies"]["needs_review"] >= 1, timeout_s=60)
    node.wait(lambda: len(pacs.received) > 1, timeout_s=100)
    shown = pages(node, json.loads((node.config / "node.yaml").read_text())["web"]["port"])
    said = everything_is_asked(node, tmp_path, studies)
    left = columns(tmp_path / "node" / "var" / "node.db")
    assert node.stop() == 0

    spool = tmp_path / "node" / "var"
    named = canary.where(spool)
    assert any(name.startswith("instances/") for name in named), "the patient was here"
    assert canary.found_in(node.log().encode()) == []
    assert [path for path, page in shown.items() if canary.found_in(page)] == []
    own = ("import ", "studies explain")  # the operator's own folder; what rules ask for
    assert [name for name, text in said.items()
            if not name.startswith(own) and canary.found_in(text.encode())] == []  # fmt: skip
    assert [name for name in named if not name.startswith((*MAY, "node.db"))] == []
    assert [name for name in named if canary.found_in(name.encode())] == []
    assert left.keys() <= MAY_COLUMNS
    assert canary.where(tmp_path / "tmp") == {}
    names = [str(path.relative_to(tmp_path)) for path in (tmp_path / "backup").rglob("*")]
    assert canary.found_in("\n".join(names).encode()) == []
