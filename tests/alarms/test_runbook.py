"""docs/runbook.md: a heading for each alarm, and commands that exist."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from dicom_ai_node.alarms.message import Message
from dicom_ai_node.alarms.troubles import troubles
from dicom_ai_node.cli.app import app
from dicom_ai_node.config.alarm_names import AlarmName
from tests.alarms.made import NOW, facts
from tests.alarms.test_troubles import QUIET
from tests.made import configuration

PAGE = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()
PARTS = ("**It means:**", "**Look at:**", "**Do:**", "**Call:**")


def headings() -> dict[str, str]:
    """Each with what stands below it."""
    found = re.split(r"^### (\w+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def test_each_alarm_has_its_heading_and_each_heading_its_alarm() -> None:
    assert set(headings()) == set(AlarmName)
    wanting = {
        name: part for name, text in headings().items() for part in PARTS if part not in text
    }
    assert wanting == {}


def test_the_body_of_a_webhook_is_as_it_is_shown() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert set(json.loads(shown)) == set(Message.__dataclass_fields__)


def commands_in(text: str) -> Iterator[str]:
    yield from re.findall(r"`(dicom-ai-node [^`]+)`", text)
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        yield from (line for line in block.splitlines() if line)


def check_command(line: str) -> None:
    """Its verb is there, and so is each option."""
    words = line.split()[1:]
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):  # a group
        assert words, line
        found = command.commands.get(words.pop(0))
        assert found is not None, line
        command = found
    options = {name for each in command.params for name in (*each.opts, "--help")}
    assert {word for word in words if word.startswith("--")} <= options, line


@pytest.mark.parametrize("line", sorted(set(commands_in(PAGE))))
def test_its_commands_exist(line: str) -> None:
    check_command(line)


def test_the_next_step_of_an_alarm_is_a_command_that_exists(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    said = [
        each.text for _, wrong, _ in QUIET for each in troubles(facts(**wrong), config, now=NOW)
    ]
    lines = [line for text in said for line in commands_in(text)]
    assert len(lines) >= 15
    for line in lines:
        check_command(line)
