"""How values are printed for people and for programs."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_ai_node.job import DeliveryState

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


def moment(seconds: float | None) -> str:
    """Local time, to the second."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


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


def age(seconds: float) -> str:
    """In the largest unit that leaves more than one: 90 s, 3 h, 2 d."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


_IN_WORDS = {
    DeliveryState.SPARE: "kept back",
    DeliveryState.PASSED: "not taken",
    DeliveryState.GIVEN_UP: "given up",
}


def state_in_words(state: DeliveryState, *, wants_commitment: bool = False) -> str:
    """Of a delivery: what waits on a lower rung, what a peer did not take, and what it has not
    committed to, by their names."""
    if wants_commitment and state is DeliveryState.STORED:
        return "stored, not yet committed"
    return _IN_WORDS.get(state, str(state))
