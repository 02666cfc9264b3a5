"""`receive`: the role that takes studies, in one process or in several on one port."""

import threading
from pathlib import Path

import typer

from dicom_ai_node import in_force, metrics
from dicom_ai_node.cli.node import DEFAULT_CONFIG, ConfigDir, open_role
from dicom_ai_node.cli.reloading import require_senders
from dicom_ai_node.cli.role import (
    LOCK_WAIT_S,
    Held,
    InForceFile,
    Shared,
    Supervised,
    command,
    holding,
)
from dicom_ai_node.processes import (
    Reload,
    hangups,
    run_together,
    stop_on_signals,
    stop_with_parent,
)
from dicom_ai_node.spool import RECEIVING_LOCK


def add_to(app: typer.Typer) -> None:
    app.command()(receive)


def receive(
    config: ConfigDir = DEFAULT_CONFIG,
    supervised: Supervised = False,
    shared: Shared = False,
    in_force_file: InForceFile = None,
) -> None:
    """Receive studies by C-STORE; SIGHUP takes a changed configuration, and new certificates,
    without touching associations that are open."""
    from dicom_ai_node.receive.rescan import rescan

    if shared:
        _share(config, in_force_file)
        return
    with holding("receive", config, supervised, in_force_file, in_place=True) as held:
        node = held.node
        require_senders(node.config)
        settings = node.config.node
        # those of a predecessor that was killed finish what they have begun
        with node.spool.lock(RECEIVING_LOCK, wait_s=settings.drain_s + LOCK_WAIT_S):
            node.spool.sweep_incoming("*.part")
            rescan(node.spool, node.database)
            metrics.forget_gauges(node.spool.metrics, "receive")
        if settings.receive_processes == 1:
            _listen(held)
        else:
            node.database.close()
            _listen_together(held, config)


def _listen_together(held: Held, directory: Path) -> None:
    """In processes that share the port; each reads what is in force when it is told to."""
    settings, reloading = held.node.config.node, held.reloading
    file = held.in_force
    if reloading is not None:
        file = in_force.path_of(held.node.spool, "receive")

    def take() -> bool:
        if reloading is not None:
            return reloading.take()
        held.renew(lambda _: None)
        return True

    run_together(
        [*command("receive", directory, file), "--supervised", "--shared"],
        settings.receive_processes,
        held.stop,
        name="receive",
        drain_s=settings.drain_s + 5,
        reload=Reload(asked=held.hung_up, take=take, take_back=lambda: False),
    )


def _share(directory: Path, in_force_file: Path | None) -> None:
    """One of several receive processes; the one that started them holds the lock of the role, and
    may be killed before they end."""
    hung_up = hangups()
    stop = stop_on_signals()
    stop_with_parent(stop)
    node = open_role(directory, in_force_file=in_force_file)
    with node.spool.share(RECEIVING_LOCK, wait_s=LOCK_WAIT_S):
        _listen(
            Held(
                node=node,
                stop=stop,
                leave=stop,
                hung_up=hung_up,
                reloading=None,
                in_force=in_force_file,
                is_shared=True,
            )
        )
    node.database.close()


def _listen(held: Held) -> None:
    from dicom_ai_node.receive.server import Receiver

    metrics.keep(held.node.spool.metrics, "receive")
    receiver = Receiver(held.node.config, held.node.spool, held.node.database)

    def reload_on_hangup() -> None:
        while True:
            held.hung_up.get()
            held.renew(receiver.reload)

    with receiver.running():
        threading.Thread(target=reload_on_hangup, name="reload", daemon=True).start()
        held.stop.wait()
