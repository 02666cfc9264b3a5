"""Every command of the program that README.md and docs/ tell people to type."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_PROGRAM = "dicom-ai-node"


@dataclass(frozen=True, slots=True)
class Command:
    page: str
    words: tuple[str, ...]  # without the program's name
    verb: str


def verbs() -> Iterator[str]:
    for command in app.registered_commands:
        assert command.callback is not None
        yield command.name or command.callback.__name__
    for group in app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            assert command.callback is not None
            yield f"{group.name} {command.name or command.callback.__name__}"


def commands(page: Path) -> Iterator[Command]:
    """In their order; raises where a line names a verb that there is none."""
    known = sorted(verbs(), key=len, reverse=True)
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and (words[0] == "sudo" or "=" in words[0]):
                words.pop(0)
            if not words or Path(words[0]).name != _PROGRAM:
                continue
            said = words[1:]
            found = [verb for verb in known if verb.split() == said[: len(verb.split())]]
            if not found:
                raise AssertionError(f"{page.name}: there is no such verb: {line}")
            yield Command(page.name, tuple(said), found[0])


def parsed(words: tuple[str, ...]) -> None:
    """Raises typer's own exceptions where the program would not take a line; nothing is run."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("dicom-ai-node", list(words), resilient_parsing=True)
    left = list(words)
    while hasattr(command, "resolve_command"):
        name, command, left = command.resolve_command(context, left)
        context = command.make_context(
            name, list(left), parent=context, resilient_parsing=hasattr(command, "resolve_command")
        )


@cache
def help_of(verb: str) -> str:
    shown = CliRunner(env={"COLUMNS": "250", "TERM": "dumb"}).invoke(app, [*verb.split(), "--help"])
    assert shown.exit_code == 0, shown.output
    return shown.output
