"""`run`, and its parts one by one: `receive`, `work`, `deliver`, `web`."""

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_ai_node import metrics
from dicom_ai_node.cli.alarm_threads import notifiers, watching
from dicom_ai_node.cli.missed import catching_up
from dicom_ai_node.cli.node import DEFAULT_CONFIG, ConfigDir, Node, open_node
from dicom_ai_node.cli.peer_threads import confirmations, peer_queues, prior_fetchers
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import soundness, waiting
from dicom_ai_node.database.claim import claimed
from dicom_ai_node.disks import look_at_disks
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.log import get_logger
from dicom_ai_node.processes import (
    hangups,
    run_together,
    stop_on_signals,
    stop_with_parent,
    supervise,
)
from dicom_ai_node.service_notify import ServiceNotify
from dicom_ai_node.spool import RECEIVING_LOCK

if TYPE_CHECKING:
    from dicom_ai_node.observe.server import Server

log = get_logger(__name__)

ROLES = ("receive", "work", "deliver", "web")
_LOCK_WAIT_S = 10.0  # beyond draining, while the killed predecessor of a child lets go

Supervised = Annotated[bool, typer.Option("--supervised", hidden=True)]
Shared = Annotated[bool, typer.Option("--shared", hidden=True)]


def add_to(app: typer.Typer) -> None:
    for verb in (run, receive, work, deliver, web):
        app.command()(verb)


def run(config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Run the whole node on this machine: receive, work, deliver, ticks and web."""
    stop = ServiceNotify(stop_on_signals())
    hung_up = hangups()
    node = open_node(config, need_models=True)
    _require_senders(node.config)
    _check_peers(node.config)
    with node.spool.lock("run"), claimed(node.database.path, node.spool.root):
        soundness.require_sound(node.database.path)
        look_at_disks(node.spool.root, node.database.path)
        node.database.close()  # the children have connections of their own
        metrics.forget_gauges(node.spool.metrics)
        commands = {role: _command(role, config) for role in ROLES}
        supervise(
            commands,
            stop,
            drain_s=node.config.node.drain_s + 10,
            hung_up=hung_up,
            reloads="receive",
        )


def receive(
    config: ConfigDir = DEFAULT_CONFIG, supervised: Supervised = False, shared: Shared = False
) -> None:
    """Receive studies by C-STORE; SIGHUP reads the certificates again."""
    from dicom_ai_node.receive.rescan import rescan

    hung_up = hangups()
    if shared:
        _share(config, hung_up)
        return
    with _role("receive", config, supervised) as (node, stop):
        _require_senders(node.config)
        settings = node.config.node
        # those of a predecessor that was killed finish what they have begun
        with node.spool.lock(RECEIVING_LOCK, wait_s=settings.drain_s + _LOCK_WAIT_S):
            node.spool.sweep_incoming("*.part")
            rescan(node.spool, node.database)
            metrics.forget_gauges(node.spool.metrics, "receive")
        if settings.receive_processes == 1:
            _listen(node, stop, hung_up)
        else:
            node.database.close()
            run_together(
                [*_command("receive", config), "--shared"],
                settings.receive_processes,
                stop,
                name="receive",
                drain_s=settings.drain_s + 5,
                hung_up=hung_up,
            )


def _share(config: Path, hung_up: "SimpleQueue[None]") -> None:
    """One of several receive processes; the one that started them holds the lock of the role, and
    may be killed before they end."""
    stop = stop_on_signals()
    stop_with_parent(stop)
    node = open_node(config)
    with node.spool.share(RECEIVING_LOCK, wait_s=_LOCK_WAIT_S):
        _listen(node, stop, hung_up)
    node.database.close()


def _listen(node: Node, stop: threading.Event, hung_up: "SimpleQueue[None]") -> None:
    from dicom_ai_node.receive.server import Receiver

    metrics.keep(node.spool.metrics, "receive")
    receiver = Receiver(node.config, node.spool, node.database)

    def reload_on_hangup() -> None:
        while True:
            hung_up.get()
            receiver.reload()

    threading.Thread(target=reload_on_hangup, daemon=True).start()
    with receiver.running():
        stop.wait()


def work(config: ConfigDir = DEFAULT_CONFIG, supervised: Supervised = False) -> None:
    """Run models on queued jobs; takes back what corrections make wrong."""
    from dicom_ai_node.config.disabled import read_disabled
    from dicom_ai_node.engines.local import LocalEngine
    from dicom_ai_node.retraction.due import DueRecalls
    from dicom_ai_node.work import Worker

    with _role("work", config, supervised, need_models=True) as (node, stop):
        node.spool.sweep_incoming("attempt-*")
        metrics.keep(node.spool.metrics, "work")
        routed = {route.model_label for route in node.config.routes}
        spool, font = node.spool, node.config.node.font
        off = {f"{name} {version}" for name, version in read_disabled(node.config.node.models)}
        engine = LocalEngine(
            node.config.work,
            readable=[
                *(node.config.node.models, spool.instances, spool.outbox),
                *([font] if font else []),
            ],
            home=spool.incoming,
            preload=[m for k, m in node.models.items() if k in routed and m.label not in off],
        )
        try:
            engine.start()
            _started(DueRecalls(config=node.config, spool=spool, database=node.database).run, stop)
            Worker(
                name=socket.gethostname()[:64],
                config=node.config,
                models=node.models,
                spool=node.spool,
                database=node.database,
                engine=engine,
            ).run(stop)
        finally:
            engine.close()


def deliver(config: ConfigDir = DEFAULT_CONFIG, supervised: Supervised = False) -> None:
    """Send results to peers; hosts the timed work as well."""
    from dicom_ai_node import schedule
    from dicom_ai_node.alarms.channels import open_channels
    from dicom_ai_node.confirm import asked_peers, forget_others
    from dicom_ai_node.intake.intake import Intake
    from dicom_ai_node.outbox_rescan import rescan_outbox
    from dicom_ai_node.peers.association import abort_all

    with _role("deliver", config, supervised, need_models=True) as (node, stop):
        _check_peers(node.config)
        channels = open_channels(node.config.alarms)
        metrics.keep(node.spool.metrics, "deliver")
        intake = Intake(
            config=node.config, models=node.models, spool=node.spool, database=node.database
        )
        _name_orphans(node)
        rescan_outbox(node.spool, node.database)
        asked = asked_peers(node.config.peers)
        forget_others(node.database, asked)
        queues = peer_queues(node, wants_commitment=asked)
        watched = watching(node, channels, {queue.name: queue.contact for queue in queues})
        ticks = schedule.start(node.config, node.spool, node.database, intake, watched)
        sent = [each.run for each in queues] + [e.run for e in confirmations(node, asked)]
        told = [each.run for each in notifiers(node, channels)]
        sending = [_started(each, stop) for each in (*sent, *told)]
        for fetcher in prior_fetchers(node):
            _started(fetcher.run, stop)
        for catch_up in catching_up(node):
            _started(catch_up.run, stop)
        stop.wait()
        ticks.shutdown()
        deadline = time.monotonic() + node.config.node.drain_s
        for thread in sending:
            thread.join(max(0.0, deadline - time.monotonic()))
        abort_all()


def _started(run: Callable[[threading.Event], None], stop: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=run, args=(stop,), daemon=True)
    thread.start()
    return thread


def web(config: ConfigDir = DEFAULT_CONFIG, supervised: Supervised = False) -> None:
    """Serve metrics, health checks, and the web page where it is installed."""
    with _role("web", config, supervised) as (node, stop):
        server = _metrics_server(node)
        with _page(node):
            stop.wait()
        if server is not None:
            server.shutdown()
            server.server_close()


def _metrics_server(node: Node) -> "Server | None":
    """Serving; None where the configuration wants none."""
    from dicom_ai_node.observe.observed import Observed
    from dicom_ai_node.observe.server import make_server

    settings = node.config.metrics
    if settings.port is None:
        return None
    observed = Observed(config=node.config, spool=node.spool, database=node.database)
    try:
        server = make_server(observed)
    except OSError as error:
        raise ConfigError(
            f"metrics.port {settings.port} cannot be used ({error.strerror}): choose another one"
        ) from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log.info("metrics_listening", host=settings.host, port=server.server_address[1])
    return server


@contextmanager
def _page(node: Node) -> Iterator[None]:
    """Without its extra, or without a port, nothing is served beside metrics and health."""
    if node.config.web.port is None:
        yield
        return
    try:
        from dicom_ai_node.web.server import serving
        from dicom_ai_node.web.site import Site
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("dicom_ai_node"):
            raise
        log.warning("web_page_not_installed", install="pip install 'dicom-ai-node[web]'")
        yield
        return
    site = Site(config=node.config, spool=node.spool, database=node.database, trail=node.trail)
    with serving(site):
        yield


@contextmanager
def _role(
    name: str, directory: Path, supervised: bool, *, need_models: bool = False
) -> Iterator[tuple[Node, threading.Event]]:
    """Hold one role on this spool; the event is set by SIGTERM, or when the supervisor is gone."""
    stop = stop_on_signals()
    if supervised:
        stop_with_parent(stop)
    node = open_node(directory, need_models=need_models)
    wait_s = node.config.node.drain_s + _LOCK_WAIT_S if supervised else 0
    with node.spool.lock(name, wait_s=wait_s), claimed(node.database.path, node.spool.root):
        if not supervised:
            soundness.require_sound(node.database.path)
            look_at_disks(node.spool.root, node.database.path)
        try:
            yield node, stop
        finally:
            node.database.close()


def _name_orphans(node: Node) -> None:
    """Results that wait for a peer which the configuration no longer has are kept, and said."""
    with node.database.write() as connection:
        orphans = waiting.mark_orphans(connection, node.config.peers)
    for peer, number in orphans.items():
        log.error("peer_not_configured", peer=peer, objects_waiting=number)


def _check_peers(config: Config) -> None:
    """Raises ConfigError; what will be a mistake soon is said."""
    from dicom_ai_node.peers.check import check_peers

    for note in check_peers(config.peers, datetime.now(UTC)):
        log.warning("peer_to_look_at", note=note)


def _command(role: str, directory: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "dicom_ai_node",
        role,
        "--config",
        str(directory),
        "--supervised",
    ]


def _require_senders(config: Config) -> None:
    if not config.accept:
        raise ConfigError(
            "accept: is empty, so nobody may store: name your PACS, for example "
            "`- {ae_title: PACS, from: [10.0.0.5/32]}`"
        )
