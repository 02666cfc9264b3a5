"""From the outbox to one channel: a thread for each, so that one that is down delays no other."""

import threading
from dataclasses import dataclass

from dicom_ai_node.alarms.channel import Channel, MessageRefused, NotTold
from dicom_ai_node.alarms.message import message_of
from dicom_ai_node.database import notifications
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.notifications import Notification, NotificationState
from dicom_ai_node.log import get_logger

log = get_logger(__name__)

POLL_S = 1.0
BACKOFF_FIRST_S, BACKOFF_MAX_S = 10.0, 900.0


@dataclass(slots=True, kw_only=True)
class Notifier:
    """A message may come twice, when the node is killed between sending it and writing that down;
    it has the same ID then."""

    channel: Channel
    database: Database
    node: str  # its AE title
    trouble: str = ""  # said once

    def run(self, stop: threading.Event) -> None:
        """Until told to stop; trouble with the database ends no channel."""
        while not stop.is_set():
            try:
                self.send_due(now=self.database.now(), stop=stop)
            except Exception:
                log.exception("notifier_failed", channel=self.channel.name)
            stop.wait(POLL_S)

    def send_due(self, *, now: float, stop: threading.Event | None = None) -> int:
        """What is due, in its order; how many were sent."""
        name = self.channel.name
        with self.database.read() as connection:
            due = notifications.due(connection, name, now=now, longest_s=BACKOFF_MAX_S)
        sent = 0
        for row in due:
            if stop is not None and stop.is_set():
                break
            try:
                said = self.channel.send(message_of(row, self.node))
            except MessageRefused as error:
                self._refused(row, str(error), now)
            except NotTold as error:
                self._unreachable(row, str(error), now)
                break
            else:
                self._sent(row, said, now)
                sent += 1
        return sent

    def _sent(self, row: Notification, said: str, now: float) -> None:
        self.trouble = ""
        with self.database.write() as connection:
            notifications.finish(connection, row.id, NotificationState.SENT, status=said, now=now)
        log.info("notification_sent", channel=row.channel, alarm=row.alarm_id, what=row.what)

    def _refused(self, row: Notification, why: str, now: float) -> None:
        with self.database.write() as connection:
            until = now + backoff_s(row.tries)
            notifications.put_off(connection, [row.id], status=why, until=until)
        log.error("notification_refused", channel=row.channel, alarm=row.alarm_id, why=why)

    def _unreachable(self, row: Notification, why: str, now: float) -> None:
        with self.database.write() as connection:
            until = now + backoff_s(row.tries)
            notifications.put_off_channel(connection, row.channel, status=why, until=until)
        if why != self.trouble:
            self.trouble = why
            log.error("channel_unreachable", channel=row.channel, why=why)


def backoff_s(tries: int) -> float:
    """Doubles from 10 s to a quarter of an hour."""
    return min(BACKOFF_FIRST_S * 2.0 ** min(tries, 20), BACKOFF_MAX_S)
