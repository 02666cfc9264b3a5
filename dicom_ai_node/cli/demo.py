"""`demo`: the whole road on this machine, with a real head and a real node."""

from pathlib import Path
from typing import Annotated

import typer

from dicom_ai_node.errors import ConfigError, NodeError

DEFAULT_DIR = Path("var/demo")


def add_to(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    stay: Annotated[
        bool, typer.Option("--stay", help="Leave the node and the archive up until Ctrl-C.")
    ] = False,
    directory: Annotated[
        Path, typer.Option("--dir", help="The demo's own folder; made if missing.")
    ] = DEFAULT_DIR,
    images: Annotated[
        Path | None, typer.Option(help="Only write the head as DICOM files into this new folder.")
    ] = None,
) -> None:
    """Send a real head MR through a node of its own and show what comes back."""
    from dicom_ai_node.demo.run import run, write_images

    try:
        if images is not None:
            write_images(directory, images)
        else:
            run(directory, stay=stay)
    except ConfigError as error:  # not of a configuration that the user wrote
        raise NodeError(str(error)) from None
