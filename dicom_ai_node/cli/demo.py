"""`demo`."""

import typer


def add_to(app: typer.Typer) -> None:
    app.command()(demo)


def demo() -> None:
    """Under construction."""
