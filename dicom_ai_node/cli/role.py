"""One role of a node in its process: held alone on the spool, ended and reloaded by signals."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated

import typer

from dicom_ai_node import in_force
from dicom_ai_node.cli.activity import running
from dicom_ai_node.cli.node import Node, configure_log, open_role, read_config
from dicom_ai_node.cli.reloading import NEEDS_MODELS, Reloading, unexpected
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import soundness
from dicom_ai_node.database.claim import claimed
from dicom_ai_node.disks import look_at_disks
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.log import get_logger
from dicom_ai_node.processes import hangups, keep_hangups, stop_on_signals, stop_with_parent

log = get_logger(__name__)

LOCK_WAIT_S = 10.0  # beyond draining, while the killed predecessor of a child lets go

Supervised = Annotated[bool, typer.Option("--supervised", hidden=True)]
Shared = Annotated[bool, typer.Option("--shared", hidden=True)]
InForceFile = Annotated[Path | None, typer.Option("--in-force", hidden=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A role that this process has."""

    node: Node
    stop: threading.Event  # set by SIGTERM, or when the supervisor is gone
    leave: threading.Event  # set by those, and to come back with what was reloaded
    hung_up: "SimpleQueue[None]"
    reloading: Reloading | None  # None: the supervisor decides what is taken
    in_force: Path | None  # where that stands
    is_shared: bool = False  # with other processes

    def renew(self, apply: Callable[[Config], None]) -> None:
        """Serve one SIGHUP in place; `apply` raises ConfigError before it changes anything."""
        if self.reloading is not None:
            self.reloading.take(apply)
            return
        try:
            config = read_config(self.node.directory, in_force_file=self.in_force)
            apply(config)
        except ConfigError as error:
            log.error("configuration_not_reloaded", mistakes=str(error).splitlines())  # noqa: TRY400
            return
        except Exception as error:  # a boundary: who receives goes on with what there is
            log.exception("configuration_not_reloaded", mistakes=[unexpected(error)])
            return
        configure_log(config, self.node.spool)
        if not self.is_shared:
            note(self.node, "receive", config)


@contextmanager
def role(
    name: str,
    directory: Path,
    supervised: bool,
    in_force_file: Path | None,
    *,
    stop: threading.Event | None = None,
) -> Iterator[tuple[Node, threading.Event]]:
    """Hold it; the event is set when the role is to end: by SIGTERM, when the supervisor is gone,
    or by SIGHUP, to come back with what was reloaded. `stop` is set by the first two alone."""
    told = stop or threading.Event()
    with holding(name, directory, supervised, in_force_file, stop=told) as held:
        comes_back = threading.Event()

        def leave_on_hangup() -> None:
            while not held.leave.is_set():
                held.hung_up.get()
                if held.reloading is None or held.reloading.take():
                    comes_back.set()
                    held.leave.set()

        threading.Thread(target=leave_on_hangup, name="reload", daemon=True).start()
        yield held.node, held.leave
    if comes_back.is_set() and not supervised and not told.is_set():
        _come_back(name, directory, held.node)


@contextmanager
def holding(
    name: str,
    directory: Path,
    supervised: bool,
    in_force_file: Path | None,
    *,
    stop: threading.Event | None = None,
    in_place: bool = False,
) -> Iterator[Held]:
    """Hold it; who holds it serves the hang-ups, `in_place` or by ending."""
    stop, leave = stop or threading.Event(), threading.Event()
    hung_up = hangups()  # before the configuration is read: none is lost
    stop_on_signals(stop, leave)
    if supervised:
        stop_with_parent(stop, leave)
    node = open_role(
        directory,
        need_models=name in NEEDS_MODELS,
        need_secrets=True,
        in_force_file=in_force_file,
    )
    wait_s = node.config.node.drain_s + LOCK_WAIT_S if supervised else 0
    with node.spool.lock(name, wait_s=wait_s), claimed(node.database.path, node.spool.root):
        reloading = None
        if not supervised:
            soundness.require_sound(node.database.path)
            look_at_disks(node.spool.root, node.database.path)
            reloading = Reloading(name, directory, node.spool, node.config, by_restart=not in_place)
        else:
            note(node, name, node.config)
        try:
            with running(node, name):
                yield Held(
                    node=node,
                    stop=stop,
                    leave=leave,
                    hung_up=hung_up,
                    reloading=reloading,
                    in_force=in_force_file,
                )
        finally:
            node.database.close()


def command(name: str, directory: Path, in_force_file: Path | None) -> list[str]:
    begin = [sys.executable, "-m", "dicom_ai_node", name, "--config", str(directory)]
    return begin if in_force_file is None else [*begin, "--in-force", str(in_force_file)]


def note(node: Node, name: str, config: Config) -> None:
    """That a role which is supervised runs with this configuration now, for who waits for that."""
    try:
        in_force.write(node.spool, name, in_force.InForce(config=config))
    except OSError as error:
        log.warning("configuration_not_written", role=name, errno=error.errno)


def _come_back(name: str, directory: Path, node: Node) -> None:
    """The same process, with another configuration: who started it sees no end of it."""
    file = in_force.path_of(node.spool, name)
    keep_hangups()
    arguments = command(name, directory, file)
    os.execv(arguments[0], arguments)  # noqa: S606 - no shell is wanted
