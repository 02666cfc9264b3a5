"""Who is told, from the configuration."""

from collections.abc import Collection, Sequence

from dicom_ai_node.alarms.channel import Channel
from dicom_ai_node.alarms.mail import Email
from dicom_ai_node.alarms.webhook import Webhook
from dicom_ai_node.config.alarms import AlarmSettings
from dicom_ai_node.database.alarms import Alarm


def open_channels(settings: AlarmSettings) -> Sequence[Channel]:
    """Raises ConfigError where a secret or a certificate cannot be used."""
    channels: list[Channel] = [
        Webhook(each, key=f"alarms.webhooks.{index}")
        for index, each in enumerate(settings.webhooks)
    ]
    if settings.email is not None:
        channels.append(Email(settings.email, key="alarms.email"))
    return channels


def wanting(channels: Sequence[Channel], alarm: Alarm) -> Collection[str]:
    """The names of those that are told of this alarm."""
    return [each.name for each in channels if each.wants(alarm.name, alarm.severity)]
