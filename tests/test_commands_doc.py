"""docs/commands.md says what the program says, and its examples are accepted by it."""

import re
import shlex

import pytest
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.errors import AlreadyRunning, ConfigError, NodeError
from scripts.command_examples import EXAMPLES
from scripts.commands import PAGE, page, verbs

KNOWN = [verb for verb, _ in verbs()]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m scripts.commands"


def test_every_verb_and_every_exit_status_is_there() -> None:
    text = page()
    assert [verb for verb in KNOWN if f"\n## {verb}\n" not in text] == []
    statuses = set(re.findall(r"^\| (\d+) \|", text, re.MULTILINE))
    raised = {NodeError.exit_status, ConfigError.exit_status, AlreadyRunning.exit_status}
    assert statuses == {"0", "130"} | {str(each) for each in raised}


@pytest.mark.parametrize("verb", [verb for verb in EXAMPLES if verb in KNOWN])
def test_an_example_names_a_verb_and_options_that_there_are(verb: str) -> None:
    words = shlex.split(EXAMPLES[verb])[1:]
    assert words[: len(verb.split())] == verb.split()
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*verb.split(), "--help"])
    assert shown.exit_code == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in shown.output
