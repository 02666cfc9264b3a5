"""A notification by e-mail."""

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate

from dicom_ai_node.alarms.channel import ANSWER_S, MessageRefused, NotTold, verifying
from dicom_ai_node.alarms.message import Message
from dicom_ai_node.config.alarms import EmailSettings
from dicom_ai_node.secret import read_secret_text


class Email:
    """One connection a message: they are few."""

    name = "email"

    def __init__(self, settings: EmailSettings, *, key: str) -> None:
        """Raises ConfigError for files that cannot be used."""
        self._settings = settings
        file = settings.password_file
        self._password = None if file is None else read_secret_text(f"{key}.password_file", file)
        self._context = None if settings.tls == "none" else verifying(f"{key}.ca", settings.ca)

    def wants(self, name: str, severity: str) -> bool:
        return self._settings.wants(name, severity)

    def send(self, message: Message) -> str:
        try:
            with self._connected() as server:
                refused = server.send_message(self._written(message))
        except smtplib.SMTPAuthenticationError as error:
            raise NotTold(f"it does not let {self._settings.user} in ({error.smtp_code})") from None
        except smtplib.SMTPRecipientsRefused:
            raise MessageRefused("it takes nothing for these addresses") from None
        except smtplib.SMTPResponseException as error:
            kind = MessageRefused if 500 <= error.smtp_code < 600 else NotTold
            raise kind(f"it answers {error.smtp_code}") from None
        except smtplib.SMTPNotSupportedError:
            raise NotTold("it does not offer what is configured: see alarms.email.tls") from None
        except ssl.SSLCertVerificationError as error:
            raise NotTold(f"its certificate is not good: {error.verify_message}") from None
        except (OSError, smtplib.SMTPException) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise NotTold(f"it cannot be reached ({why})") from None
        if refused:
            return f"taken, but not for {len(refused)} of {len(self._settings.to)} addresses"
        return "taken"

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        host, port = self._settings.host, self._settings.port
        name = socket.gethostname()  # smtplib would ask the name service, which may be down
        if self._settings.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                host, port, name, timeout=ANSWER_S, context=self._context
            )
        else:
            server = smtplib.SMTP(host, port, name, timeout=ANSWER_S)
        with server:
            if self._settings.tls == "starttls":
                server.starttls(context=self._context)
            if self._settings.user is not None and self._password is not None:
                server.login(self._settings.user, self._password)
            yield server

    def _written(self, message: Message) -> EmailMessage:
        """The same message has the same ID, so that one that comes twice can be told."""
        mail = EmailMessage()
        mail["Subject"] = message.headline
        mail["From"] = self._settings.from_
        mail["To"] = ", ".join(self._settings.to)
        mail["Date"] = formatdate()
        mail["Message-ID"] = f"<{message.id.replace(' ', '_')}@dicom-ai-node.invalid>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(_body(message))
        return mail


def _body(message: Message) -> str:
    lines = [message.text[:1].upper() + message.text[1:] + ".", "", f"Since: {message.since}"]
    if message.ended_at is not None:
        lines.append(f"Ended: {message.ended_at}")
    lines += [f"Node: {message.node}", f"What to do: {message.runbook}"]
    return "\n".join(lines) + "\n"
