"""How values are printed for people and for programs."""

import json
import sys
from typing import Any

import typer
from rich.console import Console

from dicom_ai_node.in_words import age, moment, state_in_words

__all__ = ["age", "console", "moment", "print_json", "state_in_words"]

_UNBROKEN = 2000  # columns


def console(*, soft_wrap: bool = False) -> Console:
    """Text as it is: what comes from a header must not be taken for markup.

    With `soft_wrap`, for sentences, a line is broken by the terminal alone. Into a pipe or a file,
    tables are as wide as what stands in them.
    """
    width = None if sys.stdout.isatty() else _UNBROKEN
    return Console(markup=False, highlight=False, emoji=False, soft_wrap=soft_wrap, width=width)


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1, default=str))
