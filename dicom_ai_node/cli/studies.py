"""`studies list`, `show`, `explain` and `judge`; `missed` has a file of its own."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table
from sqlalchemy import Connection, RowMapping

from dicom_ai_node.cli import missed
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, open_node
from dicom_ai_node.cli.show import console, moment, print_json
from dicom_ai_node.cli.verdicts import print_verdicts
from dicom_ai_node.database import expectations, fetches
from dicom_ai_node.database import jobs as job_table
from dicom_ai_node.database import missed as missed_table
from dicom_ai_node.database import studies as study_table
from dicom_ai_node.errors import NodeError
from dicom_ai_node.study import Expected

app = typer.Typer(help="What came, and what was decided about it.", no_args_is_help=True)
missed.add_to(app)

StudyUid = Annotated[str, typer.Argument(help="Study Instance UID.")]


@app.command(name="list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 50,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """List studies, the newest first."""
    with open_node(config).database.read() as connection:
        found = study_table.listing(connection, limit=limit)
    if as_json:
        print_json([dict(row) for row in found])
        return
    table = Table("Last instance", "Study Instance UID", "From", "Instances", "State", "Why")
    for row in found:
        table.add_row(
            moment(row["last_received_at"]),
            row["study_instance_uid"],
            row["calling_ae_title"],
            str(row["instances"]),
            row["state"],
            row["reason"] or "",
        )
    console().print(table)


@app.command()
def show(
    study_instance_uid: StudyUid, as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG
) -> None:
    """Show one study: when it came, its state, and its jobs."""
    with open_node(config).database.read() as connection:
        row = _find(connection, study_instance_uid)
        jobs = job_table.listing(connection, study_instance_uid=study_instance_uid)
        number = len(study_table.instance_rows(connection, row["id"]))
        fetched = fetches.of_study(connection, row["id"])
        was_missed = missed_table.of_study(connection, study_instance_uid)
    if as_json:
        print_json(
            {
                **row,
                "instances": number,
                "jobs": [asdict(job) for job in jobs],
                "fetches": [asdict(each) for each in fetched],
                "missed": [asdict(each) for each in was_missed],
            }
        )
        return
    out = console(soft_wrap=True)
    out.print(f"{row['study_instance_uid']} from {row['calling_ae_title']}")
    out.print(f"{number} instances, the last at {moment(row['last_received_at'])}")
    out.print(f"{row['state']}{': ' + row['reason'] if row['reason'] else ''}")
    if row["evidence"]:
        out.print(_completeness(row))
    for job in jobs:
        out.print(f"job {job.id}: {job.model} {job.state} {job.outcome or ''} {job.reason or ''}")
    for each in was_missed:
        out.print(
            f"looked for at {each.peer}, in case it was missed: {each.state} {each.reason or ''}"
        )
    for each in fetched:
        what = "which priors there are" if each.is_question else f"prior {each.study_instance_uid}"
        out.print(f"asked {each.peer} for {what}: {each.state} {each.reason or ''}")


@app.command()
def explain(
    study_instance_uid: StudyUid, as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG
) -> None:
    """Say for each series and route what matched, what failed, and with which value."""
    with open_node(config).database.read() as connection:
        row = _find(connection, study_instance_uid)
        verdicts = [dict(each) for each in study_table.verdicts(connection, row["id"])]
        jobs = job_table.listing(connection, study_instance_uid=study_instance_uid)
        expected = expectations.of_study(connection, study_instance_uid)
    if as_json:
        print_json(
            {
                "study_instance_uid": row["study_instance_uid"],
                "state": row["state"],
                "reason": row["reason"],
                "revision": row["revision"],
                "evidence": row["evidence"],
                "expected": [_expected(each) for each in expected],
                "verdicts": verdicts,
                "jobs": [asdict(job) for job in jobs],
            }
        )
        return
    out = console(soft_wrap=True)
    out.print(f"The study is {row['state']}{': ' + row['reason'] if row['reason'] else ''}.")
    if row["evidence"]:
        out.print(_completeness(row))
    for each in expected:
        what = f"series {each.series_instance_uid}" if each.series_instance_uid else "the study"
        final = "" if each.is_final else ", so far"
        out.print(f"{each.origin} ({each.source}) has {each.instances} images of {what}{final}")
    print_verdicts(verdicts)
    for job in jobs:
        out.print(f"Job {job.id}, {job.model}: {job.state}, {job.outcome or 'no outcome yet'}")
        if job.reason:
            out.print(f"  - {job.reason}")


def _completeness(row: dict[str, Any]) -> str:
    again = f", for the {row['revision']}. time" if row["revision"] > 1 else ""
    return f"Taken as complete{again}: {row['evidence']}."


def _expected(each: Expected) -> dict[str, Any]:
    named = each.sop_instance_uids
    return {**asdict(each), "sop_instance_uids": None if named is None else sorted(named)}


@app.command()
def judge(study_instance_uid: StudyUid, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Judge a study again, by the routes as they are now; what is known already is not repeated."""
    with open_node(config).database.write() as connection:
        row = _find(connection, study_instance_uid)
        if not study_table.reopen(connection, study_instance_uid):
            raise NodeError(
                f"the study is {row['state']}: only routed and refused ones are settled"
            )
    typer.echo("The running node judges it again now: see `dicom-ai-node studies explain`.")


def _find(connection: Connection, study_instance_uid: str) -> dict[str, Any]:
    row: RowMapping | None = study_table.find(connection, study_instance_uid)
    if row is None:
        raise NodeError("no such study: see `dicom-ai-node studies list`")
    return dict(row)
