"""`import`: Part 10 files down the same road as what peers send."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, open_node
from dicom_ai_node.cli.show import print_json
from dicom_ai_node.draining import is_draining
from dicom_ai_node.errors import NodeError
from dicom_ai_node.log import get_logger
from dicom_ai_node.processes import stop_on_signals

if TYPE_CHECKING:
    from dicom_ai_node.receive.import_check import Outcome

log = get_logger(__name__)

_SHOW_EVERY = 10  # files

Directory = Annotated[
    Path,
    typer.Argument(metavar="DIR", help="A folder of Part 10 files; what else lies there stays."),
]
As = Annotated[
    str,
    typer.Option(
        "--as", metavar="AE_TITLE", help="Whose files they are: $calling_ae in the rules of routes."
    ),
]


def add_to(app: typer.Typer) -> None:
    app.command(name="import")(import_)


def import_(
    directory: Directory,
    calling_ae_title: As = "IMPORT",
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Take in a folder of DICOM files as though a peer had sent them; the node may run or not."""
    from dicom_ai_node.receive.import_check import Fate
    from dicom_ai_node.receive.imported import from_folder
    from dicom_ai_node.receive.importing import Importer
    from dicom_ai_node.receive.part10_file import files_below

    if not directory.is_dir():
        raise NodeError("there is no such folder: name the one in which the files are")
    title = _title(calling_ae_title)
    stop = stop_on_signals()
    node = open_node(config)
    if is_draining(node.spool):
        raise NodeError("the node is drained and takes nothing new: `drain --off` first")
    importer = Importer(
        node.config,
        node.spool,
        node.database,
        calling_ae_title=title,
        said=from_folder(directory),
    )
    counts: Counter[str] = Counter({fate.value: 0 for fate in Fate})
    apart: list[Outcome] = []  # what is said file by file
    with Console(stderr=True).status("Reading …") as status:  # on a terminal only
        for outcome in importer.run(files_below(directory), stop):
            counts[outcome.fate.value] += 1
            if outcome.fate in (Fate.REFUSED, Fate.NOT_TAKEN):
                apart.append(outcome)
                if not as_json:
                    typer.echo(_line(outcome), err=True)
            if not counts.total() % _SHOW_EVERY:
                status.update(_sentence(counts))
    log.info("files_imported", calling_ae=title, **counts)
    node.database.close()
    if as_json:
        print_json(_as_data(counts, apart, stopped=stop.is_set()))
    else:
        typer.echo(_sentence(counts))
    if counts[Fate.REFUSED.value] or stop.is_set():
        raise typer.Exit(1)


def _title(text: str) -> str:
    from pydantic import TypeAdapter, ValidationError

    from dicom_ai_node.config.values import AETitle

    try:
        return TypeAdapter[str](AETitle).validate_python(text)
    except ValidationError:
        raise NodeError("--as is no AE title: at most 16 ASCII characters, no backslash") from None


def _line(outcome: "Outcome") -> str:
    return f"{outcome.path}: {outcome.answer.status:04X} {outcome.answer.comment}"


def _sentence(counts: Counter[str]) -> str:
    return (
        f"{counts.total()} files: {counts['stored']} stored, {counts['known']} known already, "
        f"{counts['refused']} refused, {counts['not_taken']} not taken here, "
        f"{counts['passed_over']} passed over"
    )


def _as_data(counts: Counter[str], apart: "list[Outcome]", *, stopped: bool) -> dict[str, object]:
    return {
        "files": counts.total(),
        **counts,
        "stopped": stopped,
        "apart": [
            {
                "file": str(outcome.path),
                "fate": outcome.fate,
                "status": f"{outcome.answer.status:04X}",
                "reason": outcome.answer.comment,
            }
            for outcome in apart
        ],
    }
