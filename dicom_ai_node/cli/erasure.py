"""`studies delete`, and `hold` and `release`, which prevent and allow it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_ai_node import decisions
from dicom_ai_node.audit.trail import this_person
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, Node, open_node
from dicom_ai_node.cli.show import console, print_json
from dicom_ai_node.errors import NodeError

if TYPE_CHECKING:
    from dicom_ai_node.erasure.erase import Prospect

BACKUPS = (
    "Backups made before still hold it, and so do a PACS and the audit trail: see docs/privacy.md."
)
StudyUids = Annotated[list[str], typer.Argument(help="Study Instance UIDs.")]


def add_to(app: typer.Typer) -> None:
    for verb in (delete, hold, release):
        app.command()(verb)


def delete(
    study_instance_uids: StudyUids,
    retract: Annotated[
        bool,
        typer.Option(
            "--retract", help="First take back its results from the peers that have them."
        ),
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="With --retract: seconds for peers to take the notes.")
    ] = 60,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Delete studies from this node: images, results, jobs, and every row about them.

    For good: what is sent again is a new study. A job that runs is stopped. What peers have stays
    there, unless --retract takes it back; this says where it is. A study that is held is not
    deleted.
    """
    from dicom_ai_node.erasure import erase
    from dicom_ai_node.erasure.retract_first import retract_first

    if as_json and not yes:
        raise NodeError("--json asks no questions: add --yes")
    node = open_node(config)
    uids = list(dict.fromkeys(study_instance_uids))
    found = [erase.look_at(node.spool, node.database, uid) for uid in uids]
    if not as_json:
        for each in found:
            _tell(each, retract=retract)
    if not yes:
        number = sum(each.instances for each in found)
        what = "this study" if len(found) == 1 else f"these {len(found)} studies"
        typer.confirm(f"Delete {what} ({number} instances) for good?", abort=True)
    for uid in uids:
        with _audited(node, uid):
            if retract:
                retract_first(node.config, node.spool, node.database, uid, wait_s=wait)
            erase.erase(node.spool, node.database, uid)
        if not as_json:
            typer.echo(f"{uid} is deleted.")
    if as_json:
        print_json({"deleted": [each.as_dict() for each in found], "note": BACKUPS})
    else:
        typer.echo(BACKUPS)


def hold(
    study_instance_uid: Annotated[str, typer.Argument(help="Study Instance UID.")],
    why: Annotated[
        str, typer.Option(help="For those who come after you: nothing about the patient.")
    ],
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Keep a study: neither a person nor its age deletes it, until it is released."""
    node = open_node(config)
    reason = " ".join(why.split())
    if not reason:
        raise NodeError("--why is empty: say why it is held, and who may release it")
    by = this_person().name
    if not decisions.hold(node.spool, node.database, study_instance_uid, by=by, why=reason):
        raise NodeError("no such study: see `dicom-ai-node studies list`")
    typer.echo("It is held: `studies release` ends that.")


def release(
    study_instance_uid: Annotated[str, typer.Argument(help="Study Instance UID.")],
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Let a study go again that `studies hold` has kept."""
    node = open_node(config)
    if not decisions.release(node.spool, node.database, study_instance_uid):
        raise NodeError("nobody holds such a study: see `dicom-ai-node studies list`")
    typer.echo("It is released: it is deleted when its time has come, or by `studies delete`.")


def _tell(found: "Prospect", *, retract: bool) -> None:
    out = console(soft_wrap=True)
    out.print(
        f"{found.study_instance_uid}: {found.instances} instances, {found.kept_aside} kept aside, "
        f"{found.jobs} jobs."
    )
    for job in found.running:
        out.print(f"Job {job} is running: it is stopped, and its result is thrown away.")
    for model, version, peer in found.results_at:
        then = (
            "they are taken back first."
            if retract
            else "they stay there (--retract takes them back)."
        )
        out.print(f"{peer} has results of {model} {version}, or may have: {then}")
    if found.compared_in:
        numbers = ", ".join(map(str, found.compared_in))
        out.print(f"Later studies were compared with it, and name its images: jobs {numbers}.")
    if found.stopped_in:
        numbers = ", ".join(map(str, found.stopped_in))
        out.print(
            f"Of those, jobs {numbers} have no result yet: they are stopped, and their studies "
            "judged again without it."
        )


@contextmanager
def _audited(node: Node, study_instance_uid: str) -> Iterator[None]:
    """Before it is done, where it could not be told afterwards; and how it ended."""
    actor = this_person()

    def record(**how: Any) -> None:
        node.trail.acted(actor, "studies delete", study_instance_uid=study_instance_uid, **how)

    record(subject="begun")
    try:
        yield
    except BaseException:
        record(succeeded=False, is_over=True)
        raise
    record(is_over=True)
