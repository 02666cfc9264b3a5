"""What the deliver role runs for the people on call: the lookout, the channels, the probe."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from dicom_ai_node.cli.node import Node

if TYPE_CHECKING:
    from dicom_ai_node.alarms.channel import Channel
    from dicom_ai_node.alarms.notify import Notifier
    from dicom_ai_node.peers.contact import Contact

Tick = tuple[str, float, Callable[[], object]]


def notifiers(node: Node, channels: Sequence["Channel"]) -> list["Notifier"]:
    """One for each channel."""
    from dicom_ai_node.alarms.notify import Notifier

    title = node.config.node.ae_title[0]
    return [Notifier(channel=each, database=node.database, node=title) for each in channels]


def watching(
    node: Node, channels: Sequence["Channel"], contacts: Mapping[str, "Contact"]
) -> list[Tick]:
    """`contacts` are those with the peers."""
    from dicom_ai_node.alarms import look
    from dicom_ai_node.audit.cursor import unsent_since
    from dicom_ai_node.probe import ending

    has_repository = node.config.audit.syslog is not None
    lookout = look.Lookout(
        config=node.config,
        spool=node.spool,
        database=node.database,
        contacts=contacts,
        channels=channels,
        audit_waits_since=lambda: unsent_since(node.trail.folder) if has_repository else None,
    )
    now = node.database.now
    ticks: list[Tick] = [("alarms", look.EVERY_S, lambda: lookout.look(now=now()))]
    if node.config.probe is None:
        spool, database = node.spool, node.database
        ticks.append(("probe", ending.EVERY_S, lambda: ending.wind_up(spool, database, now=now())))
    else:
        from dicom_ai_node.probe import run

        probe = run.Probe(
            config=node.config,
            settings=node.config.probe,
            spool=node.spool,
            database=node.database,
            models=node.models,
        )
        ticks.append(("probe", ending.EVERY_S, lambda: probe.tick(now=now())))
    return ticks
