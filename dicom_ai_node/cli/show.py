"""How values are printed for people and for programs."""

import json
from datetime import datetime
from typing import Any

import typer
from rich.console import Console


def console() -> Console:
    """Text as it is: what comes from a header must not be taken for markup."""
    return Console(markup=False, highlight=False, emoji=False)


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1, default=str))


def moment(seconds: float | None) -> str:
    """Local time, to the second."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
