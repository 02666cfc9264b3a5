"""`--watch`: the same again and again, for a person on a terminal or for a program on a pipe."""

import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_ai_node.cli.show import console, print_json

if TYPE_CHECKING:
    from rich.console import RenderableType

EVERY_S = 2.0

Watch = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="Again every 2 s until Ctrl-C; into a pipe or a file once, with --json each change.",
    ),
]


def show(
    draw: Callable[[], "RenderableType"],
    data: Callable[[], Any],
    *,
    as_json: bool,
    again: bool,
) -> None:
    """What a verb with `--watch` and `--json` prints: `draw` for people, `data` for programs."""
    if as_json and again:
        _watch_as_json(data)
    elif as_json:
        print_json(data())
    elif again:
        _watch(draw)
    else:
        console().print(draw())


def _watch(draw: Callable[[], "RenderableType"]) -> None:
    """Drawn again every 2 s until Ctrl-C, which is no failure; once, where nobody watches."""
    out = console()
    if not sys.stdout.isatty():
        out.print(draw())
        return
    from rich.live import Live

    try:
        with Live(draw(), console=out, auto_refresh=False, screen=True) as live:
            while True:
                time.sleep(EVERY_S)
                live.update(draw(), refresh=True)
    except KeyboardInterrupt:
        return


def _watch_as_json(read: Callable[[], Any]) -> None:
    """One line of JSON now, and one each time that something is different."""
    last = ""
    try:
        while True:
            line = json.dumps(read(), default=str)
            if line != last:
                typer.echo(line)
                sys.stdout.flush()
                last = line
            time.sleep(EVERY_S)
    except KeyboardInterrupt:
        return
