"""Every verb that acts is in the audit trail, before it begins: who, what, on what, and if it
failed."""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from dicom_ai_node.errors import ConfigError

# by their last word: they read the node's state, or do not touch the node
_READING = frozenset(
    (
        *("list", "show", "explain", "status", "check", "echo", "doctor", "version", "test"),
        *("verify", "diff", "example", "schema", "completion", "demo", "setup"),
        *("predict", "record", "convert", "stress"),  # of the author of a model
    )
)
# roles of the node, which say themselves when they start and stop
_ROLES = frozenset({"run", "receive", "work", "deliver", "web"})
# these say themselves when they begin and when they end, for each study
_THEMSELVES = frozenset({"studies delete"})
_RECORDED = "is_recorded"
_STUDY = ("study_instance_uid", "study")
_JOB = ("job_id", "job_ids", "job")
_SUBJECTS = ("name", "model", "peer", "directory", "folder", "source", "package", "token", "path")


def record_acts(app: typer.Typer) -> None:
    """When every verb is there; a new one is an act unless it stands above."""
    for verb, command in verbs(app):
        if command.callback is None or not is_act(verb):
            continue
        if not hasattr(command.callback, _RECORDED):  # groups are made once, and used again
            command.callback = _recorded(verb, command.callback)


def is_act(verb: str) -> bool:
    return verb not in _ROLES | _THEMSELVES and verb.split()[-1] not in _READING


def verbs(app: typer.Typer, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Each with its words, and what typer knows of it."""
    for command in app.registered_commands:
        function = command.callback
        name = command.name or (function.__name__.rstrip("_").replace("_", "-") if function else "")
        yield " ".join((*path, name)), command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from verbs(group.typer_instance, (*path, str(group.name)))


def _recorded(verb: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*arguments: Any, **named: Any) -> Any:
        with _on_record(verb, named):
            return function(*arguments, **named)

    setattr(run, _RECORDED, True)
    return run


@contextmanager
def _on_record(verb: str, named: Mapping[str, Any]) -> Iterator[None]:
    """Raises NotRecorded, and then nothing is done; without a configuration there is no node."""
    record = _recorder(verb, named)
    if record is None:
        yield
        return
    record(True)
    try:
        yield
    except typer.Exit as end:
        if end.exit_code:
            record(False)
        raise
    except BaseException:
        record(False)
        raise


def _recorder(verb: str, named: Mapping[str, Any]) -> Callable[[bool], None] | None:
    # here: `version`, and the shell's completion, ask for the verbs alone
    from dicom_ai_node.audit.trail import this_person
    from dicom_ai_node.cli.node import DEFAULT_CONFIG, read_verb_config
    from dicom_ai_node.database.engine import Database
    from dicom_ai_node.node_trail import trail_of
    from dicom_ai_node.spool import Spool

    try:
        config, _ = read_verb_config(Path(named.get("config") or DEFAULT_CONFIG))
    except ConfigError:
        return None  # the verb will say so, and do nothing
    actor = this_person()
    jobs: list[int | None] = [*_numbers(named)] or [None]
    study = next((str(named[each]) for each in _STUDY if named.get(each)), "")
    subject = "; ".join(str(named[each]) for each in _SUBJECTS if named.get(each))

    def record(succeeded: bool) -> None:
        database = Database(config.node.database)
        trail = trail_of(config, Spool(config.node.spool), database)
        try:
            for job in jobs:
                trail.acted(
                    actor,
                    verb,
                    study_instance_uid=study if re.fullmatch(r"[0-9.]{1,64}", study) else "",
                    job_id=job,
                    subject=subject,
                    succeeded=succeeded,
                )
        finally:
            database.close()

    return record


def _numbers(named: Mapping[str, Any]) -> Iterator[int]:
    for each in _JOB:
        found = named.get(each)
        yield from [found] if isinstance(found, int) else found or ()
