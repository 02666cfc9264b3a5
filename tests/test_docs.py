"""README.md says what there is: every verb; and its commands do what it says. docs/configuration.md
has every key."""

import re
import shlex
import typing
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.config.settings import Config
from dicom_ai_node.models.installation.install import install
from tests import dicom_factory
from tests.doc_commands import verbs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
KEYS = (ROOT / "docs" / "configuration.md").read_text()


def groups(model: type[BaseModel]) -> set[type[BaseModel]]:
    """The classes of everything below it; itself left out, whose keys are headings."""
    found: set[type[BaseModel]] = set()
    waiting: list[Any] = [field.annotation for field in model.model_fields.values()]
    while waiting:
        each = waiting.pop()
        if isinstance(each, type) and issubclass(each, BaseModel) and each not in found:
            found.add(each)
            waiting += [field.annotation for field in each.model_fields.values()]
        waiting += typing.get_args(each)
    return found


def commands() -> list[str]:
    """Every `dicom-ai-node …` line of the shell blocks, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("dicom-ai-node ")]


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_every_verb_is_in_the_readme(verb: str) -> None:
    assert re.search(rf"`{verb}[` ]", README), f"README.md does not mention `{verb}`"


@pytest.mark.parametrize("group", sorted(groups(Config), key=str), ids=lambda g: g.__name__)
def test_every_key_is_on_the_page_of_keys(group: type[BaseModel]) -> None:
    names = [field.alias or name for name, field in group.model_fields.items()]
    assert [name for name in names if f".{name}`" not in KEYS] == []


def test_the_keys_of_the_readme_are_there() -> None:
    """Those of its table; each stands on the page of all keys, too."""
    table = README[README.index("## Configuration") : README.index("### TLS")]
    cells = " ".join(re.findall(r"^\|.*?\|", table, re.MULTILINE))
    named = re.findall(r"`([a-z_]+(?:\.[a-z_]+)?)`", cells)
    assert len(named) > 10
    assert [key for key in named if f"`{key}`" not in KEYS and f"## {key}\n" not in KEYS] == []


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
    for section in ("NODE", "WEB", "METRICS"):
        monkeypatch.setenv(f"DICOM_AI_NODE__{section}__PORT", "0")
    install("threshold-ct", tmp_path / "models", print)
    for asked, expected in (
        (["check", "--offline"], "no mistakes"),
        (["status"], "instances"),
        (["jobs", "list"], "Model"),
        (["studies", "list"], "No study has come"),
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
