"""Alarms about what comes in, and what goes out."""

from collections.abc import Iterator

from dicom_ai_node.alarms.expected_hours import expected_hours
from dicom_ai_node.alarms.facts import Facts
from dicom_ai_node.alarms.words import how_long, many
from dicom_ai_node.config.alarm_names import AlarmName
from dicom_ai_node.config.alarms import AlarmSettings
from dicom_ai_node.database.alarms import Trouble


def troubles(facts: Facts, settings: AlarmSettings, now: float) -> Iterator[Trouble]:
    yield from _nothing_received(facts, settings, now)
    yield from _unreachable(facts, settings, now)
    yield from _orphans(facts)
    yield from _not_committed(facts, settings, now)


def _nothing_received(facts: Facts, settings: AlarmSettings, now: float) -> Iterator[Trouble]:
    """A node to which nothing ever came is not in use yet."""
    last, limit_h = facts.last_received, settings.nothing_received_h
    if last is None or limit_h is None or facts.is_draining:
        return
    if expected_hours(last, now, settings.studies_come) >= limit_h:
        yield Trouble(
            name=AlarmName.NOTHING_RECEIVED,
            subject="node",
            severity="warning",
            text=f"nothing has come for {how_long(now - last)}: see whether the PACS still sends "
            "here, and whether `dicom-ai-node doctor` finds anything",
        )


def _unreachable(facts: Facts, settings: AlarmSettings, now: float) -> Iterator[Trouble]:
    """One that refuses this node needs a person at once; one that is away may come back."""
    for peer in sorted(facts.in_vain.keys() | facts.refusing.keys()):
        waiting = facts.in_vain.get(peer)
        is_late = waiting and now - waiting.since >= settings.peer_unreachable_min * 60
        if peer not in facts.peers or not (is_late or peer in facts.refusing):
            continue
        since = f" for {how_long(now - waiting.since)}" if waiting else ""
        number = many(waiting.objects, "object") if waiting else "results"
        why = facts.refusing.get(peer) or (waiting.status if waiting else None) or "no answer"
        yield Trouble(
            name=AlarmName.PEER_UNREACHABLE,
            subject=peer,
            severity="critical" if is_late else "warning",
            text=f"{number} cannot be sent to {peer}{since} ({why}): run `dicom-ai-node echo "
            f"{peer}`, and call who runs it",
        )


def _orphans(facts: Facts) -> Iterator[Trouble]:
    for peer, objects in facts.books.waiting_for.items():
        if peer not in facts.peers:
            yield Trouble(
                name=AlarmName.PEER_UNREACHABLE,
                subject=peer,
                severity="warning",
                text=f"{many(objects, 'object')} wait for {peer}, which is not configured: name it "
                f"under peers again, or run `dicom-ai-node jobs cancel --peer {peer}`",
            )


def _not_committed(facts: Facts, settings: AlarmSettings, now: float) -> Iterator[Trouble]:
    for peer, waiting in facts.uncommitted.items():
        if now - waiting.since >= settings.not_committed_h * 3600:
            yield Trouble(
                name=AlarmName.NOT_COMMITTED,
                subject=peer,
                severity="warning",
                text=f"{peer} has not committed to {many(waiting.objects, 'object')}, the oldest "
                f"stored {how_long(now - waiting.since)} ago: see whether its storage commitment "
                "works, and whether it may answer this node",
            )
