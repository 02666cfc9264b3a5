"""`run`, and two of its parts: `work` and `deliver`. `receive` and `web` stand in `receiving` and
`observing`."""

import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from dicom_ai_node import in_force, metrics
from dicom_ai_node.cli.alarm_threads import notifiers, watching
from dicom_ai_node.cli.missed import catching_up
from dicom_ai_node.cli.node import DEFAULT_CONFIG, ConfigDir, Node, open_role
from dicom_ai_node.cli.peer_threads import audit_senders, confirmations, peer_queues, prior_fetchers
from dicom_ai_node.cli.reloading import Reloading, check_peers, require_senders
from dicom_ai_node.cli.role import (
    InForceFile,
    Supervised,
    command,
    role,
)
from dicom_ai_node.config.load import located
from dicom_ai_node.database import soundness, waiting
from dicom_ai_node.database.claim import claimed
from dicom_ai_node.disks import look_at_disks
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.log import get_logger
from dicom_ai_node.ownership import doubts
from dicom_ai_node.ports import mistakes_of_ports
from dicom_ai_node.processes import (
    Reload,
    hangups,
    stop_on_signals,
    supervise,
)
from dicom_ai_node.service_notify import ServiceNotify

if TYPE_CHECKING:
    pass

log = get_logger(__name__)

_PORT_WAIT_S = 3.0


def add_to(app: typer.Typer) -> None:
    for verb in (run, work, deliver):
        app.command()(verb)


def run(config: ConfigDir = DEFAULT_CONFIG) -> None:
    """Run the whole node on this machine: receive, work, deliver, ticks and web.

    SIGHUP, or `dicom-ai-node reload`, takes a changed configuration.
    """
    stop = ServiceNotify(stop_on_signals())
    hung_up = hangups()
    node = open_role(config, need_models=True, need_secrets=True)
    require_senders(node.config)
    check_peers(node.config, config)
    _require_ports(node)
    for doubt in doubts(node.config, config):
        log.warning("not_as_it_should_be", note=doubt)
    with node.spool.lock("run"), claimed(node.database.path, node.spool.root):
        soundness.require_sound(node.database.path)
        look_at_disks(node.spool.root, node.database.path)
        node.database.close()  # the children have connections of their own
        metrics.forget_gauges(node.spool.metrics)
        reloading = Reloading("run", config, node.spool, node.config)
        file = in_force.path_of(node.spool, "run")
        supervise(
            {each: [*command(each, config, file), "--supervised"] for each in in_force.ROLES},
            stop,
            drain_s=node.config.node.drain_s + 10,
            reload=Reload(asked=hung_up, take=reloading.take, take_back=reloading.take_back),
        )


def work(
    config: ConfigDir = DEFAULT_CONFIG,
    supervised: Supervised = False,
    in_force_file: InForceFile = None,
) -> None:
    """Run models on queued jobs; takes back what corrections make wrong."""
    from dicom_ai_node.config.disabled import read_disabled
    from dicom_ai_node.engines.local import LocalEngine
    from dicom_ai_node.retraction.due import DueRecalls
    from dicom_ai_node.work import Worker

    stop = threading.Event()
    with role("work", config, supervised, in_force_file, stop=stop) as (node, leave):
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
            ).run(stop, leave)
        finally:
            engine.close()


def deliver(
    config: ConfigDir = DEFAULT_CONFIG,
    supervised: Supervised = False,
    in_force_file: InForceFile = None,
) -> None:
    """Send results to peers; hosts the timed work as well."""
    from dicom_ai_node import schedule
    from dicom_ai_node.alarms.channels import open_channels
    from dicom_ai_node.confirm import asked_peers, forget_others
    from dicom_ai_node.intake.intake import Intake
    from dicom_ai_node.outbox_rescan import rescan_outbox
    from dicom_ai_node.peers.association import abort_all

    with role("deliver", config, supervised, in_force_file) as (node, stop):
        check_peers(node.config, config)
        metrics.keep(node.spool.metrics, "deliver")
        channels = open_channels(node.config.alarms)
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
        told += [each.run for each in audit_senders(node)]
        sending = [_started(each, stop) for each in (*sent, *told)]
        for fetcher in prior_fetchers(node):
            _started(fetcher.run, stop)
        for catch_up in catching_up(node):
            _started(catch_up.run, stop)
        stop.wait()
        deadline = time.monotonic() + node.config.node.drain_s
        ticks.shutdown(wait_s=node.config.node.drain_s)
        for thread in sending:
            thread.join(max(0.0, deadline - time.monotonic()))
        abort_all()


def _started(run: Callable[[threading.Event], None], stop: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=run, args=(stop,), daemon=True)
    thread.start()
    return thread


def _name_orphans(node: Node) -> None:
    """Results that wait for a peer which the configuration no longer has are kept, and said."""
    with node.database.write() as connection:
        orphans = waiting.mark_orphans(connection, node.config.peers)
    for peer, number in orphans.items():
        log.error("peer_not_configured", peer=peer, objects_waiting=number)


def _require_ports(node: Node) -> None:
    """Raises ConfigError; a child of a killed predecessor may still be letting go."""
    deadline = time.monotonic() + _PORT_WAIT_S
    while wrong := list(mistakes_of_ports(node.config)):
        if time.monotonic() > deadline:
            raise located(ConfigError("\n".join(wrong)), node.directory)
        time.sleep(0.1)
