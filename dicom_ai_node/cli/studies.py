"""`studies list`, `show`, `explain`; `missed` and what a person decides have files of their own."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from sqlalchemy import Connection, RowMapping

from dicom_ai_node import next_step
from dicom_ai_node.cli import erasure, missed, reviewing
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, open_node
from dicom_ai_node.cli.reviewing import StudyUid
from dicom_ai_node.cli.show import console, moment, moment_and_age, print_json
from dicom_ai_node.cli.verdicts import print_verdicts
from dicom_ai_node.database import expectations, fetches, recalls
from dicom_ai_node.database import jobs as job_table
from dicom_ai_node.database import missed as missed_table
from dicom_ai_node.database import studies as study_table
from dicom_ai_node.database.corrections import wrong_results
from dicom_ai_node.errors import NodeError
from dicom_ai_node.study import Expected, StudyState

app = typer.Typer(help="What came, and what was decided about it.", no_args_is_help=True)
missed.add_to(app)

reviewing.add_to(app)
erasure.add_to(app)
_WAITS = StudyState.NEEDS_REVIEW


@app.command(name="list")
def list_(
    limit: Annotated[
        int, typer.Option(min=1, max=2**62, help="At most so many, the newest first.")
    ] = 50,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """List studies, the newest first."""
    database = open_node(config).database
    with database.read() as connection:
        found = [
            dict(row) | {"next_step": _next_step(connection, row)}
            for row in study_table.listing(connection, limit=limit)
        ]
    if as_json:
        print_json(found)
        return
    out = console(soft_wrap=True)  # a UID is never cut, so that it can be copied
    out.print("Last instance, Study Instance UID" if found else "No study has come.")
    for row in found:
        last = moment_and_age(row["last_received_at"], now=database.now())
        out.print(f"{last}  {row['study_instance_uid']}")
        out.print(f"    {row['instances']} instances from {row['calling_ae_title']}; {_state(row)}")
        out.print(f"    next: {row['next_step']}")
        _print_hold(out, row, before="    ")


@app.command()
def show(
    study_instance_uid: StudyUid, as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG
) -> None:
    """Show one study: when it came, its state, what is to be done, and its jobs."""
    node = open_node(config)
    with node.database.read() as connection:
        row = _find(connection, study_instance_uid)
        jobs = job_table.listing(connection, study_instance_uid=study_instance_uid)
        number = len(study_table.instance_rows(connection, row["id"]))
        fetched = fetches.of_study(connection, row["id"])
        was_missed = missed_table.of_study(connection, study_instance_uid)
        wrong = wrong_results(connection, study_instance_uid)
        unfinished = recalls.unfinished(connection, study_instance_uid)
    aside = reviewing.aside(node, study_instance_uid) if row["state"] == _WAITS else []
    found = {
        **row,
        "next_step": next_step.of_study(StudyState(row["state"]), jobs, reason=row["reason"]),
        "kept_aside": [str(path) for path in aside],
        "instances": number,
        "jobs": [asdict(job) for job in jobs],
        "fetches": [asdict(each) for each in fetched],
        "missed": [asdict(each) for each in was_missed],
        "wrong_results_at": wrong,
        "retractions_waiting": list(unfinished),
    }
    if as_json:
        print_json(found)
        return
    _print(found)
    for each in fetched:
        what = "which priors there are" if each.is_question else f"prior {each.study_instance_uid}"
        console(soft_wrap=True).print(
            f"asked {each.peer} for {what}: {each.state} {each.reason or ''}"
        )


def _print(found: dict[str, Any]) -> None:
    out = console(soft_wrap=True)
    uid = found["study_instance_uid"]
    out.print(f"{uid} from {found['calling_ae_title']}")
    out.print(f"{found['instances']} instances, the last at {moment(found['last_received_at'])}")
    out.print(_state(found))
    _print_hold(out, found)
    out.print(f"next: {found['next_step']}")
    for path in found["kept_aside"]:
        out.print(f"came under a UID of this study with other contents, and is kept aside: {path}")
    if found["evidence"]:
        out.print(_completeness(found))
    for job in found["jobs"]:
        outcome, reason = job["outcome"] or "", job["reason"] or ""
        out.print(f"job {job['id']}: {job['model']} {job['state']} {outcome} {reason}")
    for each in found["missed"]:
        told = f"{each['state']} {each['reason'] or ''}"
        out.print(f"looked for at {each['peer']}, in case it was missed: {told}")
    if found["wrong_results_at"]:
        out.print(
            f"Results of images that are not to be used are at "
            f"{', '.join(found['wrong_results_at'])}: take them back by `dicom-ai-node results "
            f"retract --study {uid}`"
        )
    for why in found["retractions_waiting"]:
        out.print(f"Results that are being taken back: {why}")


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
                "held_at": row["held_at"],
                "held_by": row["held_by"],
                "held_why": row["held_why"],
                "expected": [_expected(each) for each in expected],
                "verdicts": verdicts,
                "jobs": [asdict(job) for job in jobs],
            }
        )
        return
    out = console(soft_wrap=True)
    out.print(f"The study is {_state(row)}.")
    _print_hold(out, row)
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


def _state(row: Mapping[str, Any]) -> str:
    return f"{row['state']}{': ' + row['reason'] if row['reason'] else ''}"


def _print_hold(out: Console, row: Mapping[str, Any], *, before: str = "") -> None:
    if row["held_at"] is not None:
        since = moment(row["held_at"])
        out.print(f"{before}held by {row['held_by']} since {since}: {row['held_why']}")


def _next_step(connection: Connection, row: RowMapping) -> str:
    jobs = job_table.listing(connection, study_instance_uid=row["study_instance_uid"])
    return next_step.of_study(StudyState(row["state"]), jobs, reason=row["reason"])


def _completeness(row: dict[str, Any]) -> str:
    again = f", for the {row['revision']}. time" if row["revision"] > 1 else ""
    return f"Taken as complete{again}: {row['evidence']}."


def _expected(each: Expected) -> dict[str, Any]:
    named = each.sop_instance_uids
    return {**asdict(each), "sop_instance_uids": None if named is None else sorted(named)}


def _find(connection: Connection, study_instance_uid: str) -> dict[str, Any]:
    row: RowMapping | None = study_table.find(connection, study_instance_uid)
    if row is None:
        raise NodeError("no such study: see `dicom-ai-node studies list`")
    return dict(row)
