"""How values are printed for people and for programs."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_ai_node.in_words import age, moment, state_in_words

__all__ = ["age", "console", "moment", "print_json", "state_in_words"]

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="Print data for programs.")]

_UNBROKEN = 2000  # columns


def console(*, soft_wrap: bool = False) -> "Console":
    """Text as it is: what comes from a header must not be taken for markup.

    With `soft_wrap`, for sentences, a line is broken by the terminal alone. Into a pipe or a file,
    tables are as wide as what stands in them.
    """
    from rich.console import Console  # which takes as long as all the rest

    width = None if sys.stdout.isatty() else _UNBROKEN
    return Console(markup=False, highlight=False, emoji=False, soft_wrap=soft_wrap, width=width)


@contextmanager
def busy(text: str) -> Iterator[None]:
    """What takes long says so, to a person at a terminal alone."""
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1, default=str))


def moment_and_age(seconds: float, *, now: float) -> str:
    return f"{moment(seconds)} ({age(now - seconds)})"


_STYLES = {
    **dict.fromkeys(("undelivered", "quarantined", "needs_review", "incomplete"), "bold red"),
    **dict.fromkeys(("queued", "receiving"), "yellow"),
    **dict.fromkeys(("running", "ready"), "cyan"),
    **dict.fromkeys(("done", "routed"), "green"),
}


def coloured(state: str) -> "Text":
    """The state of a job or of a study; in colour on a terminal, unless NO_COLOR is set."""
    from rich.text import Text

    return Text(state, style=_STYLES.get(state, ""))
