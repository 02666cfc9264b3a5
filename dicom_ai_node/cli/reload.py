"""`reload`: have the running node take what the files say now."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from dicom_ai_node import in_force
from dicom_ai_node.cli.node import DEFAULT_CONFIG, AsJson, ConfigDir
from dicom_ai_node.cli.show import print_json
from dicom_ai_node.config.settings import Config
from dicom_ai_node.errors import ConfigError, NodeError
from dicom_ai_node.in_force import ROLES, InForce
from dicom_ai_node.spool import Spool

_LOOK_EVERY_S = 0.1


def add_to(app: typer.Typer) -> None:
    app.command()(reload)


def reload(
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds until every part of the node runs with it.")
    ] = 60,
    as_json: AsJson = False,
    config: ConfigDir = DEFAULT_CONFIG,
) -> None:
    """Check the configuration, and have the running node take it, whole or not at all.

    Exit 0 when every part of it runs with what the files say, 1 when one of them is still at
    something older, 2 when there is a mistake or a key that needs a restart: then nothing changes.
    """
    from dicom_ai_node.cli.reloading import acceptable
    from dicom_ai_node.config.load import load

    spool = Spool(load(config).node.spool)
    found = in_force.running(spool)
    if not found:
        raise NodeError(
            f"no node runs on the spool {spool.root}: start it, or, where node.spool is what was "
            "changed, restart it"
        )
    new = {role: acceptable(config, role, said.config) for role, said in found.items()}
    changed = {
        key for role, said in found.items() for key in in_force.changed_keys(said.config, new[role])
    }
    for role in found:
        _signal(spool, role)
    late = _wait(spool, found, new, wait)
    if as_json:
        print_json({"changed": sorted(changed), "in_force": not late, "not_yet": late})
    else:
        typer.echo(f"Changed: {', '.join(sorted(changed)) or 'nothing but certificates, if any'}.")
        if late:
            typer.echo(
                f"It is accepted, and {' and '.join(late)} takes it when what runs there has ended."
            )
        else:
            typer.echo("It is in force.")
    raise typer.Exit(1 if late else 0)


def _signal(spool: Spool, role: str) -> None:
    pid = spool.holder(role)
    if not pid:
        raise NodeError(f"{role} has just ended: see its log, and start it again")
    try:
        os.kill(pid, signal.SIGHUP)
    except ProcessLookupError:
        raise NodeError(f"{role} has just ended: see its log, and start it again") from None
    except PermissionError:
        raise NodeError(
            f"process {pid} ({role}) is another user's: say this as that user, or as root"
        ) from None


def _wait(
    spool: Spool, before: Mapping[str, InForce], new: Mapping[str, Config], wait_s: float
) -> list[str]:
    """The roles that do not run with it in time; raises ConfigError when one refuses it."""
    deadline = time.monotonic() + wait_s
    waits = {role: _answers(spool, role, said) for role, said in before.items()}
    if "run" in before:
        waits |= {role: _follows(spool, role, new["run"]) for role in ROLES}
    while late := [role for role, is_there in waits.items() if not is_there()]:
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK_EVERY_S)
    return late


def _answers(spool: Spool, role: str, before: InForce) -> Callable[[], bool]:
    """Whether it has taken, or refused, what was there when the signal came."""

    def look() -> bool:
        said = in_force.find(spool, role)
        if said is None or said.answered <= before.answered:
            return False
        if said.mistakes:
            raise ConfigError("\n".join((*said.mistakes, f"{role} goes on with what it had")))
        return said.runs

    return look


def _follows(spool: Spool, role: str, new: Config) -> Callable[[], bool]:
    """Whether a role below `run` runs with it."""

    def look() -> bool:
        said: Any = in_force.find(spool, role)
        return said is not None and not in_force.changed_keys(said.config, new)

    return look
