"""`audit list` and `audit verify`: reading the trail, which is in the trail itself."""

import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir, open_node
from dicom_ai_node.cli.show import console, moment, print_json
from dicom_ai_node.errors import NodeError
from dicom_ai_node.log import visible

app = typer.Typer(help="Who did what with whose images.", no_args_is_help=True)

_FAILED = {4: "failed", 8: "failed badly", 12: "failed badly"}


@app.command(name="list")
def list_(
    since: Annotated[
        str | None, typer.Option(help="From this day or moment on: 2026-03-04, 2026-03-04T05:06.")
    ] = None,
    study: Annotated[str | None, typer.Option(help="Only on this Study Instance UID.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=2**62, help="At most so many, the newest last.")
    ] = 100,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """List what happened, the newest last: it names patients. That it was read is recorded."""
    from collections import deque

    from dicom_ai_node.audit.read import entries

    folder = _opened(config)
    found = deque(
        entries(folder, since=_moment(since), study_instance_uid=study or ""), maxlen=limit
    )
    if as_json:
        print_json([asdict(each) for each in found])
        return
    out = console(soft_wrap=True)
    for each in found:
        kind = f" ({each.kind})" if each.kind else ""
        failed = f" {_FAILED[each.outcome]}" if each.outcome else ""
        others = map(_party, each.others, each.addresses)
        who = ", with ".join((_party(each.who, each.address), *others))
        out.print(visible(f"{moment(each.at)}  {each.event}{kind}{failed}: {who}"))
        if each.what:
            out.print(visible(f"    {each.what}"))
        if each.study_instance_uid:
            out.print(visible(f"    study {each.study_instance_uid}, patient {each.patient_id}"))


@app.command()
def verify(as_json: AsJson = False, config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Look for lines that were changed or taken out; exit 1 if there are any.

    Keep the number and the hash of the last line in another place: they prove all before it.
    """
    from dicom_ai_node.audit.verify import verify as verified

    folder = _opened(config)
    found = verified(folder)
    if as_json:
        print_json(asdict(found))
    else:
        for fault in found.faults:
            typer.echo(visible(fault), err=True)
        typer.echo(f"Lines {found.first} to {found.last}; the last has the hash {found.digest}.")
        if not found.faults:
            typer.echo("No line was changed or taken out.")
    if found.faults:
        raise typer.Exit(1)


def _party(name: str, address: str) -> str:
    return f"{name} at {address}" if address and address != name else name


def _opened(config: Path) -> Path:
    """The folder of the trail; that somebody looks is on disk before they see anything."""
    from dicom_ai_node.audit import events
    from dicom_ai_node.audit.trail import this_person

    node = open_node(config)
    trail = node.trail
    uri = trail.folder.absolute().as_uri()
    person = trail.person(this_person())
    trail.require(events.audit_log_used(trail.here, person, uri=uri, at=time.time()))
    node.database.close()
    return trail.folder


def _moment(text: str | None) -> float:
    if text is None:
        return 0.0
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        raise NodeError(
            "--since takes a day or a moment: 2026-03-04, or 2026-03-04T05:06"
        ) from None
