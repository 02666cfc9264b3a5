"""`config`: what the configuration is, and what it may be."""

import typer

from dicom_ai_node.cli.show import print_json

app = typer.Typer(help="What the configuration is, and what it may be.", no_args_is_help=True)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, with which editors complete and check keys.

    Write it beside your files, and begin each of them with the line
    `# yaml-language-server: $schema=node.schema.json`.
    """
    from dicom_ai_node.config.schema import published

    print_json(published())
