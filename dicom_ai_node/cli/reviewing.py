"""`studies judge` and `studies discard`: a person decides about a study."""

from typing import TYPE_CHECKING, Annotated

import typer

from dicom_ai_node.cli.node import DEFAULT_CONFIG, ConfigDir, Node, open_node
from dicom_ai_node.database import operated, studies

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

StudyUid = Annotated[str, typer.Argument(help="Study Instance UID.")]
Reviewed = Annotated[
    bool, typer.Option("--reviewed", help="A person has looked: what is stored first is right.")
]


def add_to(app: typer.Typer) -> None:
    app.command()(judge)
    app.command()(discard)


def judge(
    study_instance_uid: StudyUid, reviewed: Reviewed = False, config: ConfigDir = DEFAULT_CONFIG
) -> None:
    """Judge a study again, by the routes as they are now; what is known already is not repeated."""
    node = open_node(config)
    if reviewed:
        _accept(node, study_instance_uid)
    else:
        with node.database.write() as connection:
            operated.judge_again(connection, study_instance_uid, now=node.database.now())
    typer.echo("The running node judges it again now: see `dicom-ai-node studies explain`.")


def _accept(node: Node, study_instance_uid: str) -> None:
    from dicom_ai_node.review import accept_first

    number = accept_first(node.spool, node.database, study_instance_uid)
    typer.echo(f"The {number} stored instances count as right.")
    for path in aside(node, study_instance_uid):
        typer.echo(f"Kept aside, and not used: {path}")


def discard(
    study_instance_uid: StudyUid,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Take a study and its files out, so that the right one can be sent under the same UID."""
    from dicom_ai_node import review

    node = open_node(config)
    number, out = review.look_at(node.spool, node.database, study_instance_uid)
    for model, version, peer in out:
        typer.echo(
            f"{peer} has results of {model} {version} about it, or may have: take them back first "
            f"(`dicom-ai-node results retract --study {study_instance_uid}`), or they stay there."
        )
    for path in aside(node, study_instance_uid):
        typer.echo(f"Kept aside, and left there: {path}")
    if not yes:
        typer.confirm(f"Delete its {number} instances here, and stop its jobs?", abort=True)
    number = review.discard(node.spool, node.database, study_instance_uid)
    typer.echo(f"{number} instances are gone: send the right ones.")


def aside(node: Node, study_instance_uid: str) -> "Sequence[Path]":
    """Files that came under UIDs of this study with other contents."""
    from dicom_ai_node.review import kept_aside

    with node.database.read() as connection:
        row = studies.find(connection, study_instance_uid)
        stored = [] if row is None else studies.instances(connection, node.spool, row["id"])
    return kept_aside(node.spool, stored)
