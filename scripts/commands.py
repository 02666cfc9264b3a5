#!/usr/bin/env python3
"""Write docs/commands.md: every verb with its options, as the program itself describes them.

    python -m scripts.commands [--check]

With --check nothing is written, and the exit status is 1 when the page is out of date.
"""

import argparse
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dicom_ai_node import errors
from dicom_ai_node.cli.app import command_line
from scripts.command_examples import EXAMPLES

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"

_HEAD = """# The commands

Made by `python -m scripts.commands` from the program; change that and not this page.

`dicom-ai-node VERB --help` says the same on a terminal. Every verb takes `--config DIR`, the folder
of your `*.yaml` files; without it, the folder `config` where you stand.

With `--json`, a verb prints data for programs: names of keys stay as they are, and new ones may
come. Lists are arrays; times are seconds since 1970. Tables have colours on a terminal only, and
none when `NO_COLOR` is set.

## Exit statuses

"""

_COMPLETION = """
## Completion

`dicom-ai-node --install-completion` sets up the shell in which you say it: bash, zsh, fish or
PowerShell. Start a new shell afterwards. `dicom-ai-node --show-completion` prints the script
instead. The TAB key then completes verbs and options, numbers of jobs, UIDs of studies, and names
of peers and models. It only looks: it never makes a file or a database.
"""


def page() -> str:
    parts = [_HEAD, _statuses(), _COMPLETION]
    for verb, command in verbs():
        parts.append(_section(verb, command))
    return "".join(parts)


def verbs() -> Iterator[tuple[str, Any]]:
    """As they are typed, with typer's description of each, in the order of the help."""
    from typer.main import get_command

    for name, command in get_command(command_line()).commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        if below is None:
            yield name, command
        else:
            yield from ((f"{name} {each}", one) for each, one in below.items())


def _statuses() -> str:
    """The table in the docstring of `errors`."""
    found = re.findall(r"^ {4}(\d+)  (.+(?:\n {7}.+)*)", str(errors.__doc__), re.MULTILINE)
    rows = "".join(f"| {status} | {' '.join(text.split())} |\n" for status, text in found)
    return f"| Status | When |\n|---|---|\n{rows}"


def _section(verb: str, command: Any) -> str:
    text = " ".join(inspect.cleandoc(command.help or "").split("\f")[0].split())
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [
        each
        for each in command.params
        if each.param_type_name == "option" and not each.hidden and each.name != "config"
    ]
    usage = " ".join(["dicom-ai-node", verb, *map(_placed, arguments)])
    said = [f"\n## {verb}\n\n{text}\n\n    {usage}\n"]
    rows = [(f"`{_placed(each)}`", each) for each in arguments]
    rows += [(_names(each), each) for each in options if each.name != "help"]
    if rows:
        said.append("\n| | |\n|---|---|\n")
        said += [f"| {name} | {_help(each)} |\n" for name, each in rows]
    said.append(f"\nFor example: `{_example(verb, arguments)}`\n")
    return "".join(said)


def _example(verb: str, arguments: Sequence[Any]) -> str:
    needed = [_placed(each) for each in arguments if each.required]
    return EXAMPLES.get(verb, " ".join(["dicom-ai-node", verb, *needed]))


def _placed(argument: Any) -> str:
    name = (argument.metavar or argument.name or "").strip("[]").upper()
    name = f"{name}..." if argument.nargs == -1 else name
    return name if argument.required else f"[{name}]"


def _names(option: Any) -> str:
    both = [*option.opts, *option.secondary_opts]
    value = "" if option.is_flag else f" {(option.metavar or option.name).upper()}"
    return ", ".join(f"`{name}{value}`" for name in both)


def _help(parameter: Any) -> str:
    text = (parameter.help or "").replace("|", "\\|")
    if parameter.required and parameter.param_type_name == "option":
        return f"{text} It must be given."
    default = parameter.default
    if default is None or isinstance(default, bool) or callable(default) or not str(default):
        return text
    return f"{text} Default: {getattr(default, 'value', default)}."


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Write docs/commands.md.")
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    text = page()
    if parser.parse_args(arguments).check:
        return int(PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
