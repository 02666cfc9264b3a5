"""The tick: what is wrong now becomes the active alarms, and everybody is told who wants to be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dicom_ai_node.alarms.channel import Channel
from dicom_ai_node.alarms.channels import wanting
from dicom_ai_node.alarms.read import read_facts
from dicom_ai_node.alarms.troubles import ENDS_AFTER_S, troubles
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import alarms, notifications
from dicom_ai_node.database.alarms import Change
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.notifications import What
from dicom_ai_node.log import get_logger
from dicom_ai_node.peers.contact import Contact
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

EVERY_S = 30.0
_TOO_OLD_S = 7 * 86_400.0  # of a message that nobody took


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookout:
    """`contacts` are those of this process with the peers, by their names."""

    config: Config
    spool: Spool
    database: Database
    contacts: Mapping[str, Contact]
    channels: Sequence[Channel]
    audit_waits_since: Callable[[], float | None] = lambda: None

    def look(self, *, now: float) -> list[Change]:
        """What has changed since the last look."""
        facts = read_facts(
            self.config,
            self.spool,
            self.database,
            self.contacts,
            now=now,
            audit_waits_since=self.audit_waits_since,
        )
        found = troubles(facts, self.config, now=now)
        known = [each.name for each in self.channels]
        with self.database.write() as connection:
            changes = alarms.settle(
                connection,
                found,
                lambda each: wanting(self.channels, each),
                ends_after_s=ENDS_AFTER_S,
                now=now,
            )
            lost = notifications.give_up(connection, known=known, before=now - _TOO_OLD_S, now=now)
        for each in changes:
            _say(each)
        if lost:
            log.error("notifications_given_up", messages=lost)
        return changes


def _say(change: Change) -> None:
    alarm = change.alarm
    level = log.info if change.what is What.ENDED else log.error
    fields = {"name": alarm.name, "subject": alarm.subject, "severity": alarm.severity}
    level(f"alarm_{change.what}", alarm=alarm.id, text=alarm.text, **fields)
