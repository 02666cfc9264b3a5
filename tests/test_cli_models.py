"""The verbs of the model store, as an administrator types them."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from safetensors.torch import load_file
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.config.store import installed
from dicom_ai_node.database import jobs, new_jobs, schema
from dicom_ai_node.database.engine import Database
from dicom_ai_node.encoders.run import device_uid
from dicom_ai_node.errors import ConfigError, ModelError, NodeError
from dicom_ai_node.job import JobState
from tests import dicom_factory
from tests.database.made import NOW, a_study, new_job
from tests.models.answering import case_package as made


class Node:
    """A configuration, its store, and the command line."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = home / "models"
        self.route({})

    def route(self, route: dict[str, str], **node: Any) -> None:
        folder = self.home / "config"
        folder.mkdir(exist_ok=True)
        routes = [{"send_to": ["archive"]} | route] if route else []
        settings = {"ae_title": "AI", "models": str(self.store), "spool": str(self.home / "spool")}
        content = {
            "node": settings | {"database": f"sqlite:///{self.home}/node.db"} | node,
            "peers": {"archive": {"kind": "folder", "path": str(self.home / "results")}},
            "routes": routes,
        }
        (folder / "node.yaml").write_text(json.dumps(content))  # JSON is YAML

    def say(self, *words: str | Path) -> Result:
        configured = words[:2] not in (("models", "record"), ("models", "convert"))
        option = ["--config", str(self.home / "config")] if configured else []
        runner = CliRunner(env={"COLUMNS": "250"})
        return runner.invoke(app, [*map(str, words), *option])

    def must(self, *words: str | Path) -> str:
        done = self.say(*words)
        assert done.exit_code == 0, (words, done.output, done.exception)
        return done.output

    def refused(self, *words: str | Path) -> str:
        done = self.say(*words)
        assert isinstance(done.exception, NodeError), (done.output, done.exception)
        return str(done.exception)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return made.threshold(tmp_path / "package")


def change(package: Path, old: str, new: str) -> None:
    text = (package / "model.yaml").read_text()
    assert old in text
    (package / "model.yaml").write_text(text.replace(old, new))


def test_a_package_goes_in_is_looked_at_and_goes_out(node: Node, package: Path) -> None:
    """Its known answer is tried at the installation, and by `verify`."""
    said = node.must("models", "install", package)
    assert "threshold-ct 1.0.0 is in" in said
    assert "It gives its known answer." in said
    assert "MODEL_CARD" not in said
    assert "threshold-ct" in node.must("models", "list")
    shown = node.must("models", "show", "threshold-ct")
    (model,) = installed(node.store)
    for word in (model.sha256, device_uid(model.sha256), "1 Bone", "# threshold-ct"):
        assert word in shown
    said = node.must("models", "verify", "threshold-ct")
    assert f"threshold-ct 1.0.0: {len(model.files)} files, unchanged" in said
    assert "Bone 1: Volume" in said
    assert "is removed" in node.must("models", "remove", "threshold-ct")
    assert installed(node.store) == []


def test_a_wrong_answer_keeps_a_package_out(node: Node, package: Path) -> None:
    """Unless somebody says otherwise; `verify` then ends with status 1."""
    made.add(package, {"outcome": "none"})
    said = node.refused("models", "install", package)
    assert "does not give its known answer: outcome: findings, and none was due" in said
    assert installed(node.store) == []
    node.must("models", "install", package, "--no-verify")
    done = node.say("models", "verify", "threshold-ct", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["known_answer"] == [
        {"what": "outcome", "expected": "none", "found": "findings", "agrees": False}
    ]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("name: BasicUNet", "name: BasicUnit", "monai.networks.nets has no network BasicUnit"),
        ('"out_channels": 2', '"out_channels": 3', "are not for this network"),
        ('"out_channels": 2', '"out_chanels": 2', "BasicUNet cannot be built"),
    ],
)
def test_a_package_without_a_known_answer_is_opened_at_least(
    node: Node, tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    package = made.network(tmp_path / "small")
    change(package, "known_answer: known_answer", "")
    change(package, old, new)
    said = node.refused("models", "install", package)
    assert "small 1.0.0 cannot be opened: " in said
    assert sentence in said
    assert installed(node.store) == []


@pytest.mark.fault("E12")
def test_verify_tells_of_a_file_that_was_changed(node: Node, package: Path) -> None:
    node.must("models", "install", package, "--no-verify")
    (model,) = installed(node.store)
    (model.folder / "MODEL_CARD.md").write_text("For everything.")
    said = node.refused("models", "verify", "threshold-ct")
    assert "MODEL_CARD.md of threshold-ct 1.0.0 is not the one that was installed" in said


@pytest.mark.fault("E13")
def test_an_archive_that_leads_out_of_its_folder_is_refused(node: Node, package: Path) -> None:
    archive = node.home / "a.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(package / "model.yaml", "model.yaml")
        opened.writestr("../../config/more.yaml", "node: {}")
    assert "no way out of the folder" in node.refused("models", "install", archive)
    assert not (node.home / "config" / "more.yaml").exists()


def test_code_of_the_package_waits_for_somebody_to_trust_it(node: Node, tmp_path: Path) -> None:
    """The verb says what to write, and verify runs it then."""
    package = made.network(tmp_path / "own", own_code=True)
    (package / "network.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    made.add(package, {"outcome": "none"})
    said = node.must("models", "install", package)
    (model,) = installed(node.store)
    assert "It was not tried, since that would run its code." in said
    assert f"node: {{trusted_models: [{model.sha256}]}}" in said
    assert "It has no MODEL_CARD.md" in said
    assert "not tried" in node.must("models", "verify", "small")
    assert "its code is not trusted" in node.must("models", "list")
    assert not (tmp_path / "ran").exists()
    node.route({}, trusted_models=[model.sha256])
    done = node.say("models", "verify", "small")
    assert isinstance(done.exception, ModelError)  # for that network.py has no network
    assert "network.py has no network BasicUNet" in str(done.exception)
    assert (tmp_path / "ran").exists()


def test_predict_runs_code_that_is_trusted_and_no_other(node: Node, tmp_path: Path) -> None:
    dicom_factory.write(dicom_factory.series(), tmp_path / "study")
    package = made.network(tmp_path / "own", own_code=True)
    made.add(package, {"outcome": "none"})
    node.must("models", "install", package)
    (model,) = installed(node.store)
    tried = ("predict", tmp_path / "study", "--model", "small", "--out", tmp_path / "out")
    assert f"node.trusted_models: [{model.sha256}]" in node.refused(*tried)
    node.route({}, trusted_models=[model.sha256])
    node.must(*tried)
    assert (tmp_path / "out" / "2-sr.dcm").exists()


def test_a_model_that_is_disabled_is_listed_as_such(node: Node, package: Path) -> None:
    node.must("models", "install", package, "--no-verify")
    node.must("models", "disable", "threshold-ct", "--why", "recalled")
    assert "disabled: recalled" in node.must("models", "list")
    assert "disabled: recalled" in node.must("models", "show", "threshold-ct")
    assert json.loads(node.must("models", "list", "--json"))[0]["disabled"]["why"] == "recalled"


def test_a_card_does_not_speak_to_the_terminal(node: Node, package: Path) -> None:
    (package / "MODEL_CARD.md").write_text("# A card\x1b]52;c;cm0gLXJm\x07\n")
    node.must("models", "install", package, "--no-verify")
    shown = node.must("models", "show", "threshold-ct")
    assert "# A card" in shown
    assert "\x1b" not in shown


def test_a_disabled_model_is_said_where_it_matters(node: Node, package: Path) -> None:
    """By `check`, and when it is installed again; and it can be enabled while it is not there."""
    node.must("models", "install", package, "--no-verify")
    node.route({"model": "threshold-ct"})
    node.must("models", "disable", "threshold-ct", "--why", "recalled")
    sentence = "threshold-ct 1.0.0 is disabled: recalled"
    assert f"jobs of it wait: {sentence}" in node.must("check")
    node.must("models", "remove", "threshold-ct", "--force")
    assert sentence in node.must("models", "install", package, "--no-verify")
    node.must("models", "remove", "threshold-ct", "--force")
    assert "threshold-ct 1.0.0 is enabled" in node.must("models", "enable", "threshold-ct")
    node.must("models", "install", package, "--no-verify")
    assert "was not disabled" in node.must("models", "enable", "threshold-ct")
    assert "jobs of it wait" not in node.must("check")


def test_versions_stand_side_by_side(node: Node, package: Path) -> None:
    node.must("models", "install", package, "--no-verify")
    change(package, "[300, 3000]", "[250, 3000]")
    assert "raise the version" in node.refused("models", "install", package, "--no-verify")
    change(package, "version: 1.0.0", "version: 2.0.0")
    node.must("models", "install", package, "--no-verify")
    assert "2.0.0" in node.must("models", "show", "threshold-ct")
    assert "threshold-ct 1.0.0" in node.must("models", "show", "threshold-ct", "--version", "1.0.0")
    assert "say which" in node.refused("models", "remove", "threshold-ct")


@pytest.mark.parametrize(
    ("route", "version", "needed"),
    [
        ({"model": "threshold-ct"}, "2.0.0", True),
        ({"model": "threshold-ct"}, "1.0.0", False),
        ({"model": "threshold-ct", "version": "1.0.0"}, "1.0.0", True),
        ({"model": "threshold-ct", "version": "1.0.0"}, "2.0.0", False),
    ],
)
def test_a_version_that_a_route_goes_to_is_not_removed(
    node: Node, package: Path, route: dict[str, str], version: str, needed: bool
) -> None:
    """Nor the newest, where that would send studies to one before it."""
    node.must("models", "install", package, "--no-verify")
    change(package, "version: 1.0.0", "version: 2.0.0")
    node.must("models", "install", package, "--no-verify")
    node.route(route)
    words = ("models", "remove", "threshold-ct", "--version", version)
    if needed:
        assert "the route threshold-ct goes to it" in node.refused(*words)
        assert len(installed(node.store)) == 2
        words = (*words, "--force")
    node.must(*words)
    assert len(installed(node.store)) == 1


def test_a_version_that_a_job_waits_for_is_not_removed(node: Node, package: Path) -> None:
    node.must("models", "install", package, "--no-verify")
    database = Database(f"sqlite:///{node.home}/node.db")
    schema.upgrade(database)
    with database.write() as connection:
        study = a_study(connection)
        new = new_job(study, model="threshold-ct", version="1.0.0")
        assert new_jobs.enqueue(connection, new, now=NOW)
    said = node.refused("models", "remove", "threshold-ct")
    assert said.startswith("threshold-ct 1.0.0 is needed: 1 job waits for it")
    with database.write() as connection:
        (job,) = jobs.listing(connection)
        jobs.move(connection, job, JobState.CANCELLED, now=NOW)
    database.close()
    node.must("models", "remove", "threshold-ct")


def test_a_package_that_cannot_be_used_is_listed_and_stops_nothing(
    node: Node, package: Path
) -> None:
    node.must("models", "install", package, "--no-verify")
    bad = node.store / "bad" / "1.0.0"
    bad.mkdir(parents=True)
    (bad / "model.yaml").write_text("name: [")
    assert "Cannot be used: " in node.must("models", "list")
    listed = json.loads(node.must("models", "list", "--json"))
    assert [entry.get("package", {}).get("name") for entry in listed] == ["threshold-ct", None]
    assert listed[1]["folder"] == str(bad)
    node.route({"model": "threshold-ct"})
    assert f"cannot be used: {bad}" in node.must("check")
    node.route({"model": "bad"})
    assert isinstance(node.say("check").exception, ConfigError)


@pytest.mark.slow
def test_a_model_that_is_made_here_from_a_checkpoint(node: Node, tmp_path: Path) -> None:
    """Convert, record, install, stress: each verb's output is what the next one takes."""
    package = made.network(tmp_path / "own")
    said = node.must(
        "models", "convert", package / "weights.pt", "--out", package / "w.safetensors"
    )
    assert "tensors" in said
    assert load_file(package / "w.safetensors")
    (package / "weights.pt").unlink()
    change(package, "weights.pt", "w.safetensors")
    pixels = dicom_factory.asymmetric((16, 32, 32))
    dicom_factory.write(dicom_factory.series(shape=(16, 32, 32), pixels=pixels), tmp_path / "study")
    said = node.must("models", "record", package, tmp_path / "study")
    assert "model.yaml must say  known_answer: known_answer" in said
    assert "It gives its known answer." in node.must("models", "install", package)
    rows = json.loads(node.must("models", "stress", "small", "--json"))
    assert {row["disturbance"] for row in rows} > {"gain +10 %", "blur, sigma 1 voxel"}
    assert rows[-1]["disturbance"].startswith("adversarial step")
    assert rows[-1]["moved"]
