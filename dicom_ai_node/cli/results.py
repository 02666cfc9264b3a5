"""`results list` and `results retract`: what a model produced, and taking it back."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from dicom_ai_node.cli import retract
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, open_node
from dicom_ai_node.cli.show import console, print_json, state_in_words
from dicom_ai_node.database import retractions
from dicom_ai_node.database.retractions import Produced
from dicom_ai_node.job import DeliveryState, Job, JobState
from dicom_ai_node.spool import Spool

app = typer.Typer(help="What models produced, and taking it back.", no_args_is_help=True)
retract.add_to(app)

_NOTE = {
    JobState.READY: "note waits",
    JobState.DONE: "rejected",
    JobState.UNDELIVERED: "note refused",
}


@app.command(name="list")
def list_(
    model: Annotated[str, typer.Option(help="The model's name.")],
    version: Annotated[str | None, typer.Option(help="Only this version; else all.")] = None,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """List every object that a model produced, where it is, and whether it was taken back."""
    node = open_node(config)
    with node.database.read() as connection:
        produced = retractions.produced(connection, model, version)
        notes = retractions.notes_of(connection, model)
    rows = [_row(each, notes, node.spool) for each in produced]
    if as_json:
        print_json(rows)
        return
    if not rows:
        console().print(f"No object of {model} here: see `models list`.")
        return
    console(soft_wrap=True).print(_table(rows))


def _row(each: Produced, notes: Mapping[tuple[str, str], Job], spool: Spool) -> dict[str, Any]:
    from dicom_ai_node.retraction.plan import named

    known = named(each, spool)
    note = notes.get((each.peer, each.sop_instance_uid))
    return {
        "study_instance_uid": each.job.study_instance_uid,
        "model": each.job.model,
        "version": each.job.version,
        "job": each.job.id,
        "peer": each.peer,
        "kind": each.kind,
        "state": each.state,
        "sop_class_uid": known.sop_class_uid,
        "series_instance_uid": known.series_instance_uid,
        "sop_instance_uid": each.sop_instance_uid,
        "may_be_there": each.may_be_there,
        "retracted": _NOTE.get(note.state) if note else None,
        "note": note.id if note else None,
    }


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("Job", "Version", "Peer", "Object", "State", "Retracted", "Study, then instance")
    for row in rows:
        table.add_row(
            str(row["job"]),
            row["version"],
            row["peer"],
            row["kind"],
            state_in_words(DeliveryState(row["state"])),
            row["retracted"] or "",
            f"{row['study_instance_uid']}\n{row['sop_instance_uid']}",
        )
    return table
