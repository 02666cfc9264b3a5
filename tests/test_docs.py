"""README.md says what there is: every verb, every key; and its commands do what it says."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.config.peers import (
    DicomwebPeer,
    DimsePeer,
    FolderPeer,
    OAuth2Settings,
    PeerTlsSettings,
)
from dicom_ai_node.config.settings import Config, Route
from dicom_ai_node.models.installation.install import install
from tests import dicom_factory

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def verbs() -> Iterator[str]:
    for command in app.registered_commands:
        assert command.callback is not None
        yield command.name or command.callback.__name__
    for group in app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            assert command.callback is not None
            yield f"{group.name} {command.name or command.callback.__name__}"


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        below = field.annotation
        if isinstance(below, type) and issubclass(below, BaseModel):
            yield from keys(below, f"{prefix}{name}.")
        else:
            yield f"{prefix}{field.alias or name}"


def commands() -> list[str]:
    """Every `dicom-ai-node …` line of the shell blocks, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("dicom-ai-node ")]


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_every_verb_is_in_the_readme(verb: str) -> None:
    assert re.search(rf"`{verb}[` ]", README), f"README.md does not mention `{verb}`"


@pytest.mark.parametrize("key", sorted(keys(Config)))
def test_every_key_is_in_the_readme(key: str) -> None:
    assert f"`{key}" in README, f"README.md does not explain {key}"


@pytest.mark.parametrize(
    "model", [DimsePeer, DicomwebPeer, OAuth2Settings, PeerTlsSettings, FolderPeer, Route]
)
def test_every_key_of_peers_and_routes_is_in_the_readme(model: type[BaseModel]) -> None:
    table = README[README.index("| `accept` |") : README.index("A route takes a series")]
    assert [name for name in model.model_fields if name not in table] == []


def test_make_has_the_targets_of_the_readme() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"^make (\w+)", README, re.MULTILINE)):
        assert f"\n{target}:" in makefile


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_readme_exists(command: str) -> None:
    """Its verb answers `--help`, and knows each option that the README gives it."""
    words = shlex.split(command)[1:]
    verb = next(
        v for v in sorted(verbs(), key=len, reverse=True) if v.split() == words[: len(v.split())]
    )
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*verb.split(), "--help"])
    assert shown.exit_code == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in shown.output


def test_a_new_administrator_can_look_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands that ask, on the configuration as it is shipped, before anything came."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DICOM_AI_NODE__ROUTES", "[{model: threshold-ct, send_to: [archive]}]")
    install("threshold-ct", tmp_path / "models", print)
    for asked, expected in (
        (["check"], "no mistakes"),
        (["status"], "instances"),
        (["jobs", "list"], "Model"),
        (["studies", "list"], "Study"),
        (["models", "list"], "threshold-ct"),
        (["models", "show", "threshold-ct"], "threshold-ct"),
        (["echo", "archive"], "can be written"),
        (["rescan"], "0 instances adopted"),
        (["purge"], "0 studies purged"),
        (["db", "upgrade"], "schema"),
    ):
        done = CliRunner().invoke(app, [*asked, "--config", str(ROOT / "config")])
        assert done.exit_code == 0, (asked, done.output)
        assert expected in done.output, asked


def test_predict_writes_what_the_readme_says(tmp_path: Path) -> None:
    dicom_factory.write(dicom_factory.series(), tmp_path / "study")
    words = ["predict", str(tmp_path / "study"), "--model", "threshold-ct"]
    install("threshold-ct", tmp_path / "models", print)
    done = CliRunner(env={"DICOM_AI_NODE__NODE__MODELS": str(tmp_path / "models")}).invoke(
        app, [*words, "--out", str(tmp_path / "out"), "--config", str(ROOT / "config")]
    )
    assert done.exit_code == 0, done.output
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["1-seg.dcm", "2-sr.dcm", "3-summary.dcm", "report.json"]
