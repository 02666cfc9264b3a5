"""`results retract`: of a model that is recalled, a study or a job; told before it is done."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, Node, open_node
from dicom_ai_node.cli.show import console, print_json
from dicom_ai_node.database.produced import ResultsOf
from dicom_ai_node.errors import NodeError
from dicom_ai_node.job import Job, JobState
from dicom_ai_node.retraction.plan import ByHand, PlannedNote, Rejection

if TYPE_CHECKING:
    from dicom_ai_node.config.installed import InstalledModel
    from dicom_ai_node.retraction.recall import Done, Outlook, Recall


def add_to(app: typer.Typer) -> None:
    app.command()(retract)


def retract(
    model: Annotated[str | None, typer.Option(help="The model's name.")] = None,
    version: Annotated[str | None, typer.Option(help="Only this version; else all.")] = None,
    study: Annotated[str | None, typer.Option(help="Only on this Study Instance UID.")] = None,
    job: Annotated[
        list[int] | None, typer.Option(help="Only of this job; may be repeated.")
    ] = None,
    reason: Annotated[
        str, typer.Option(help="For those who read the note: nothing about a patient.")
    ] = "its results are not to be relied on",
    rejected_for: Annotated[
        Rejection, typer.Option("--for", help="What the PACS is told: how it hides them.")
    ] = Rejection.PATIENT_SAFETY,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds for attempts that run to be ended.")
    ] = 10,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Take back results of a model, a study or a job: stop what is not sent, and send each peer a
    rejection note for each study; exit 1 where something is left to do by hand.

    A model that is named alone is recalled, and disabled.

    Run it as often as you like: nothing is sent twice.
    """
    from dicom_ai_node.retraction.recall import Recall

    if as_json and not (yes or dry_run):
        raise NodeError("--json asks no questions: add --yes, or --dry-run to look first")
    if model is None and study is None and not job:
        raise NodeError("say whose results: --model, --study or --job")
    node = open_node(config)
    recall = Recall(
        config=node.config,
        spool=node.spool,
        database=node.database,
        of=ResultsOf(
            model=model,
            version=version,
            study_instance_uid=study,
            job_ids=tuple(job) if job else None,
        ),
        rejection=rejected_for,
        why=" ".join(reason.split()).rstrip("."),
    )
    _take_back(node, recall, dry_run=dry_run, yes=yes, wait_s=wait, as_json=as_json)


def _take_back(
    node: Node, recall: "Recall", *, dry_run: bool, yes: bool, wait_s: float, as_json: bool
) -> None:
    with node.spool.lock("retract"):
        outlook = recall.look()
        if not outlook.jobs and not _installed(node, recall):
            raise NodeError(_nothing(recall))
        if dry_run or not as_json:
            _tell_outlook(outlook, recall, as_json=as_json)
        if dry_run:
            return
        if not yes:
            typer.confirm(f"Take back the results of {_label(recall)}?", abort=True)
        disabled = _disable(node, recall) if recall.of.is_of_model else []
        done = recall.do(wait_s=wait_s)
    _tell_done(done, disabled, recall, outlook, as_json=as_json)
    if done.by_hand or done.still_running:
        raise typer.Exit(1)


def _installed(node: Node, recall: "Recall") -> list["InstalledModel"]:
    from dicom_ai_node.config.store import read_store

    return [
        each
        for each in read_store(node.config.node.models).models
        if recall.of.is_of_model
        and each.package.name == recall.of.model
        and recall.of.version in (None, each.package.version)
    ]


def _disable(node: Node, recall: "Recall") -> list[str]:
    """Before anything is looked at, so that nothing is added to it; what was switched off."""
    from dicom_ai_node.config.disabled import disable

    found = _installed(node, recall)
    for each in found:
        why = f"recalled: {recall.why}"
        disable(node.config.node.models, each, why=why, now=node.database.now())
    return [each.label for each in found]


def _label(recall: "Recall") -> str:
    """As a sentence has it that speaks of results, or jobs, "of" it."""
    of = recall.of
    words = [word for word in (of.model, of.version) if word is not None]
    if of.job_ids is not None:
        words.append("job " + ", ".join(str(each) for each in of.job_ids))
    if of.study_instance_uid is not None:
        words.append(f"study {of.study_instance_uid}")
    return " ".join(words)


def _nothing(recall: "Recall") -> str:
    if recall.of.is_of_model:
        return (
            f"{_label(recall)} has no job here and is not installed: see `models list`, and "
            "`jobs list` for the names of models that have gone"
        )
    return f"there is no job of {_label(recall)} here: see `jobs list` and `studies list`"


def _jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"


def _tell_outlook(outlook: "Outlook", recall: "Recall", *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "jobs": len(outlook.jobs),
                "waiting": outlook.number(JobState.QUEUED, JobState.RUNNING),
                "unsent": outlook.unsent,
                "built_on": outlook.built_on,
                "notes": [_note(each, None) for each in outlook.plan.notes],
                "by_hand": [_by_hand(each) for each in outlook.plan.by_hand],
                "rejected_before": outlook.plan.rejected,
            }
        )
        return
    out = console(soft_wrap=True)
    plan = outlook.plan
    objects = sum(len(each.objects) for each in plan.notes)
    out.print(f"{_jobs(len(outlook.jobs))} of {_label(recall)}.")
    out.print(f"{objects} objects are at peers, or may be: {len(plan.notes)} notes reject them.")
    if outlook.unsent:
        out.print(f"{outlook.unsent} objects of ready jobs are not sent any more.")
    if waiting := outlook.number(JobState.QUEUED, JobState.RUNNING):
        then = "none runs on while the model is disabled"
        then = then if recall.of.is_of_model else "they are cancelled"
        out.print(f"{_jobs(waiting)} queued or running: {then}.")
    if plan.rejected or plan.waiting:
        named = plan.rejected + plan.waiting
        out.print(f"{named} objects are named by notes already.")
    for label, number in outlook.built_on.items():
        out.print(f"{label} worked on its masks in {_jobs(number)}: retract those as well.")
    _print_by_hand(out, plan.by_hand)


def _tell_done(
    done: "Done", disabled: list[str], recall: "Recall", outlook: "Outlook", *, as_json: bool
) -> None:
    if as_json:
        print_json(
            {
                "disabled": disabled,
                "retracted_jobs": done.stopped,
                "still_running": done.still_running,
                "notes": [_note(*each) for each in done.notes],
                "by_hand": [_by_hand(each) for each in done.by_hand],
                "rejected_before": done.rejected,
                "waiting_for_a_note": done.waiting,
                "built_on": outlook.built_on,
            }
        )
        return
    out = console(soft_wrap=True)
    for label in disabled:
        out.print(f"{label} is disabled.")
    if recall.of.is_of_model and not disabled:
        out.print(f"{_label(recall)} is not installed: nothing new can come of it.")
    out.print(f"{_jobs(done.stopped)} marked as retracted.")
    out.print(
        f"{len(done.notes)} notes are queued; {done.rejected} objects were rejected before, and "
        f"{done.waiting} wait for a note that is on its way."
    )
    if done.notes:
        table = Table("Note (job)", "Peer", "Objects", "Study Instance UID")
        for note, job in done.notes:
            number = str(len(note.objects))
            table.add_row(str(job.id), note.peer, number, note.study_instance_uid)
        out.print(table)
        of = recall.of
        which = f"--study {of.study_instance_uid}" if of.model is None else f"--model {of.model}"
        which = which if of.job_ids is None else f"--study {done.notes[0][0].study_instance_uid}"
        out.print(f"See what became of them: `dicom-ai-node results list {which}`.")
    if done.still_running:
        out.print(
            f"{_jobs(done.still_running)} still running: run this again when `jobs list --state "
            "running` shows none."
        )
    _print_by_hand(out, done.by_hand)


def _print_by_hand(out: Console, left: Iterable[ByHand]) -> None:
    for each in left:
        out.print(f"By hand: study {each.study_instance_uid} at {each.peer}: {each.why}.")
        for found in each.objects:
            out.print(f"    {found.kind} {found.sop_instance_uid}")


def _note(note: PlannedNote, job: Job | None) -> dict[str, Any]:
    return {
        "job": job.id if job else None,
        "study_instance_uid": note.study_instance_uid,
        "peer": note.peer,
        "model": note.of.model,
        "version": note.of.version,
        "is_sure": note.is_sure,
        "sop_instance_uids": [each.sop_instance_uid for each in note.objects],
    }


def _by_hand(each: ByHand) -> dict[str, Any]:
    return {
        "study_instance_uid": each.study_instance_uid,
        "peer": each.peer,
        "why": each.why,
        "sop_instance_uids": [found.sop_instance_uid for found in each.objects],
    }
