"""`results list` and `results retract`: what a model produced, and taking it back."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from dicom_ai_node.cli import retract
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, open_node
from dicom_ai_node.cli.show import console, print_json, state_in_words
from dicom_ai_node.database.produced import Produced, ResultsOf, notes_of, produced
from dicom_ai_node.database.retracted import is_corrected
from dicom_ai_node.errors import NodeError
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
    model: Annotated[str | None, typer.Option(help="The model's name.")] = None,
    version: Annotated[str | None, typer.Option(help="Only this version; else all.")] = None,
    study: Annotated[str | None, typer.Option(help="Only on this Study Instance UID.")] = None,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """List every object that a model produced, or that was made of a study, where it is, and
    whether it was taken back."""
    if model is None and study is None:
        raise NodeError("say whose results: --model, --study or both")
    of = ResultsOf(model=model, version=version, study_instance_uid=study)
    node = open_node(config)
    with node.database.read() as connection:
        objects = produced(connection, of)
        notes = notes_of(connection, of)
        wrong = {job for job in {each.job.id for each in objects} if is_corrected(connection, job)}
    rows = [_row(each, notes, node.spool) | {"is_wrong": each.job.id in wrong} for each in objects]
    if as_json:
        print_json(rows)
        return
    if not rows:
        console().print("No such object here: see `models list` and `studies list`.")
        return
    out = console(soft_wrap=True)
    out.print(_table(rows))
    if any(row["is_wrong"] and row["may_be_there"] and not row["retracted"] for row in rows):
        out.print(
            "wrong images: they were rejected, or the study names another patient by now. Take "
            "such results back by `dicom-ai-node results retract --study UID`."
        )


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
            row["retracted"] or ("wrong images" if row["is_wrong"] else ""),
            f"{row['study_instance_uid']}\n{row['sop_instance_uid']}",
        )
    return table
