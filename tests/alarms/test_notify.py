"""The outbox of messages: none is lost, and none comes twice without need."""

from pathlib import Path
from typing import Any

import pytest

from dicom_ai_node.alarms.channel import Channel
from dicom_ai_node.alarms.mail import Email
from dicom_ai_node.alarms.notify import BACKOFF_MAX_S, Notifier, backoff_s
from dicom_ai_node.alarms.webhook import Webhook
from dicom_ai_node.config.alarms import EmailSettings, WebhookSettings
from dicom_ai_node.database import alarms, notifications
from dicom_ai_node.database.alarms import Trouble
from dicom_ai_node.database.engine import Database
from tests.acceptance.loopback import free_port
from tests.alarms.made import DAY, NOW
from tests.alarms.receivers import Hook, mail_receiver, web_receiver


def webhook(hook: Hook) -> Webhook:
    return Webhook(WebhookSettings(url=hook.url), key="alarms.webhooks.0")


def raise_(database: Database, channel: Channel, *subjects: str, now: float = NOW) -> None:
    found = [
        Trouble(name="dead_letters", subject=each, severity="warning", text="t")
        for each in subjects
    ]
    with database.write() as connection:
        alarms.settle(connection, found, lambda _: [channel.name], ends_after_s={}, now=now)


def backlog(database: Database) -> dict[str, Any]:
    with database.read() as connection:
        return {name: each.messages for name, each in notifications.backlog(connection).items()}


def notifier(database: Database, channel: Channel) -> Notifier:
    return Notifier(channel=channel, database=database, node="AI_NODE")


def test_messages_come_in_their_order_and_once(database: Database) -> None:
    with web_receiver() as hook:
        channel = webhook(hook)
        raise_(database, channel, "a", "b")
        raise_(database, channel, "b", now=NOW + 30)  # a has ended
        assert notifier(database, channel).send_due(now=NOW + 30) == 3
        assert notifier(database, channel).send_due(now=NOW + 60) == 0
    said = [(each["what"], each["subject"]) for each in hook.messages()]
    assert said == [("raised", "a"), ("raised", "b"), ("ended", "a")]
    assert hook.messages()[2]["ended_at"] == "2023-11-14T22:13:50+00:00"
    assert len({each["id"] for each in hook.messages()}) == 3


def test_a_receiver_that_is_down_gets_everything_later(database: Database) -> None:
    with web_receiver() as hook:
        hook.answers = [503, 503]
        channel = webhook(hook)
        raise_(database, channel, "a", "b")
        sender = notifier(database, channel)
        assert sender.send_due(now=NOW) == 0
        assert hook.answers == [503]  # one try is one for all
        assert sender.send_due(now=NOW + 9) == 0
        assert hook.answers == [503]
        assert sender.send_due(now=NOW + 10) == 0
        assert hook.answers == []
        assert backlog(database) == {channel.name: 2}
        # a new process knows nothing of it but the rows
        assert notifier(database, channel).send_due(now=NOW + 31) == 2
    assert backlog(database) == {}


def test_a_message_that_is_refused_holds_up_no_others(database: Database) -> None:
    with web_receiver() as hook:
        hook.answers = [400]
        channel = webhook(hook)
        raise_(database, channel, "a", "b")
        assert notifier(database, channel).send_due(now=NOW) == 1
        assert [each["subject"] for each in hook.messages()] == ["b"]
        assert notifier(database, channel).send_due(now=NOW + 10) == 1
    assert [each["subject"] for each in hook.messages()] == ["b", "a"]


def test_a_node_that_dies_between_sending_and_writing_sends_the_same_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with web_receiver() as hook:
        channel = webhook(hook)
        raise_(database, channel, "a")
        with monkeypatch.context() as patched:
            patched.setattr(notifications, "finish", killed)
            with pytest.raises(KeyboardInterrupt):
                notifier(database, channel).send_due(now=NOW)
        assert notifier(database, channel).send_due(now=NOW) == 1
    first, second = hook.messages()
    assert first == second  # its ID tells that it is one


def test_a_dead_mail_server_delays_no_webhook(database: Database) -> None:
    with web_receiver() as hook:
        values = {"host": "localhost", "port": free_port(), "tls": "none", "to": ["a@b.example"]}
        dead = Email(
            EmailSettings.model_validate({**values, "from": "n@b.example"}), key="alarms.email"
        )
        both = [webhook(hook), dead]
        found = [Trouble(name="dead_letters", subject="a", severity="warning", text="t")]
        with database.write() as connection:
            names = [each.name for each in both]
            alarms.settle(connection, found, lambda _: names, ends_after_s={}, now=NOW)
        assert [notifier(database, each).send_due(now=NOW) for each in both] == [1, 0]
    assert backlog(database) == {"email": 1}
    with mail_receiver() as box:
        alive = Email(
            EmailSettings.model_validate({**values, "from": "n@b.example", "port": box.port}),
            key="alarms.email",
        )
        assert notifier(database, alive).send_due(now=NOW + 10) == 1
    assert "dead_letters" in box.mails[0]


def test_what_no_channel_takes_any_more_is_given_up(database: Database) -> None:
    with web_receiver() as hook:
        channel = webhook(hook)
        raise_(database, channel, "a")
        with database.write() as connection:
            known, before = [channel.name], NOW - 7 * DAY
            assert notifications.give_up(connection, known=known, before=before, now=NOW) == 0
            assert notifications.give_up(connection, known=[], before=before, now=NOW) == 1
        assert notifier(database, channel).send_due(now=NOW) == 0


def test_pauses_grow_to_a_quarter_of_an_hour(tmp_path: Path) -> None:
    assert [backoff_s(tries) for tries in (0, 1, 2, 60)] == [10, 20, 40, BACKOFF_MAX_S]


def test_a_clock_that_was_set_back_holds_up_no_message(database: Database) -> None:
    with web_receiver() as hook:
        hook.answers = [503]
        channel = webhook(hook)
        raise_(database, channel, "a")
        assert notifier(database, channel).send_due(now=NOW) == 0
        assert notifier(database, channel).send_due(now=NOW - DAY) == 1
