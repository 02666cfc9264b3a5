"""Webhooks and e-mail, with receivers of our own on this machine."""

import email
import email.policy
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dicom_ai_node.alarms.channel import MessageRefused, NotTold
from dicom_ai_node.alarms.mail import Email
from dicom_ai_node.alarms.message import Message, trial
from dicom_ai_node.alarms.webhook import Webhook
from dicom_ai_node.config.alarms import EmailSettings, WebhookSettings
from dicom_ai_node.errors import ConfigError
from tests.acceptance.loopback import free_port
from tests.alarms.made import NOW
from tests.alarms.receivers import Mailbox, mail_receiver, web_receiver
from tests.receive.certificates import Authority

MESSAGE = Message(
    id="AI_NODE-7-1700000000",
    node="AI_NODE",
    what="raised",
    name="peer_unreachable",
    subject="pacs",
    severity="critical",
    text="2 objects cannot be sent to pacs: run `dicom-ai-node echo pacs`",
    since="2026-03-04T05:06:07+00:00",
    ended_at=None,
    runbook="docs/runbook.md#peer_unreachable",
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("ca"))


def webhook(**settings: Any) -> Webhook:
    return Webhook(WebhookSettings.model_validate(settings), key="alarms.webhooks.0")


def secret(folder: Path, text: str) -> Path:
    path = folder / "secret"
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return path


def test_a_webhook_is_sent_the_whole_message_signed(tmp_path: Path) -> None:
    with web_receiver() as hook:
        channel = webhook(url=hook.url, secret_file=secret(tmp_path, "between us"))
        assert channel.send(MESSAGE) == "200 OK"
    (found,) = hook.messages()
    assert found == json.loads(MESSAGE.as_json())
    assert found["runbook"] == "docs/runbook.md#peer_unreachable"
    signature = hmac.new(b"between us", hook.bodies[0], hashlib.sha256).hexdigest()
    assert hook.headers[0]["X-Signature-256"] == f"sha256={signature}"
    assert hook.headers[0]["Content-Type"] == "application/json"


def test_an_address_may_have_a_key_and_stand_in_a_file(tmp_path: Path) -> None:
    with web_receiver() as hook:
        url = f"{hook.url}/in/T0KEN?key=a/b/"
        channel = webhook(url_file=secret(tmp_path, url))
        assert channel.send(MESSAGE) == "200 OK"
        assert hook.paths == ["/alarms/in/T0KEN?key=a/b/"]
    assert channel.name == webhook(url=url).name
    assert "T0KEN" not in channel.name


@pytest.mark.parametrize(
    "url", ["T0KEN", "http://x.example/T0KEN", "https://x.example/T0KEN#a", "https://x/T0KEN\n\n"]
)
def test_an_address_in_a_file_that_cannot_be_used_is_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"^alarms\.webhooks\.0\.url_file: what .* holds") as said:
        webhook(url_file=secret(tmp_path, url))
    assert "T0KEN" not in str(said.value)


@pytest.mark.parametrize("both", [{}, {"url": "https://x.example", "url_file": "secrets/hook"}])
def test_a_webhook_has_one_address(both: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="give either url, or url_file"):
        webhook(**both)


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, NotTold), (503, NotTold), (429, NotTold), (400, MessageRefused), (404, MessageRefused)],
)
def test_what_a_webhook_answers_decides_whether_others_wait(
    status: int, error: type[NotTold]
) -> None:
    with web_receiver() as hook:
        hook.answers = [status]
        with pytest.raises(NotTold, match=f"it answers {status}") as raised:
            webhook(url=hook.url).send(MESSAGE)
    assert type(raised.value) is error


def test_nobody_is_followed_elsewhere() -> None:
    with web_receiver() as hook:
        hook.answers = [302]
        with pytest.raises(MessageRefused, match="it answers 302"):
            webhook(url=hook.url).send(MESSAGE)
    assert hook.bodies == []


def test_a_receiver_that_is_not_there_is_said() -> None:
    with pytest.raises(NotTold, match="cannot be reached"):
        webhook(url=f"http://127.0.0.1:{free_port()}/").send(MESSAGE)


def test_https_needs_a_certificate_of_somebody_trusted(authority: Authority) -> None:
    identity = authority.issue("alerts", dns=["localhost"])
    with web_receiver(identity) as hook:
        url = f"https://localhost:{hook.port}/"
        with pytest.raises(NotTold, match="certificate is not good"):
            webhook(url=url).send(MESSAGE)
        ca = authority.own.certificate
        with pytest.raises(NotTold, match="certificate is not good"):  # of another name
            webhook(url=hook.url, ca=ca).send(MESSAGE)
        assert webhook(url=url, ca=ca).send(MESSAGE) == "200 OK"
    assert len(hook.bodies) == 1


def test_a_channel_is_named_without_what_may_be_a_secret() -> None:
    name = webhook(url="https://chat.example/hooks/T0P-S3CRET").name
    assert name.startswith("webhook chat.example ")
    assert "S3CRET" not in name
    assert name != webhook(url="https://chat.example/hooks/other").name


@pytest.mark.fault("H5")
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = secret(tmp_path, "x")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match=r"alarms\.webhooks\.0\.secret_file.*chmod 600"):
        webhook(url="https://alerts.example/", secret_file=path)
    path.chmod(0o600)
    assert webhook(url="https://alerts.example/", secret_file=path).name


@pytest.mark.parametrize("url", ["http://alerts.example/", "ftp://alerts.example/", "file:///etc"])
def test_only_what_is_protected_leaves_this_machine(url: str) -> None:
    with pytest.raises(ValidationError):
        WebhookSettings(url=url)


def mail(box: Mailbox, **settings: Any) -> Email:
    values: dict[str, Any] = {
        "host": "localhost",
        "port": box.port,
        "from": "node@hospital.example",
        "to": ["pacs@hospital.example", "it@hospital.example"],
    }
    return Email(EmailSettings.model_validate(values | settings), key="alarms.email")


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_mail_goes_over_tls_with_a_password(tls: str, authority: Authority, tmp_path: Path) -> None:
    identity = authority.issue("mail", dns=["localhost"])
    with mail_receiver(identity=identity, at_once=tls == "tls", password="let me") as box:  # noqa: S106
        channel = mail(
            box,
            tls=tls,
            ca=authority.own.certificate,
            user="node",
            password_file=secret(tmp_path, "let me"),
        )
        assert channel.send(MESSAGE) == "taken"
        assert box.was_protected == [True]
        wrong = mail(
            box,
            tls=tls,
            ca=authority.own.certificate,
            user="node",
            password_file=secret(tmp_path, "wrong"),
        )
        with pytest.raises(NotTold, match="does not let node in"):
            wrong.send(MESSAGE)
    found = email.message_from_string(box.mails[0], policy=email.policy.default)
    assert found["Subject"] == "[AI_NODE] critical: peer_unreachable pacs"
    assert found["To"] == "pacs@hospital.example, it@hospital.example"
    assert found["Message-ID"] == "<AI_NODE-7-1700000000@dicom-ai-node.invalid>"
    text = found.get_content()
    assert "2 objects cannot be sent to pacs: run `dicom-ai-node echo pacs`." in text
    assert "docs/runbook.md#peer_unreachable" in text


def test_mail_goes_to_nobody_without_a_good_certificate(authority: Authority) -> None:
    identity = authority.issue("mail", dns=["localhost"])
    with mail_receiver(identity=identity) as box:
        with pytest.raises(NotTold, match="certificate is not good"):
            mail(box).send(MESSAGE)
        assert box.mails == []
    with mail_receiver() as plain, pytest.raises(NotTold, match="does not offer"):
        mail(plain).send(MESSAGE)


def test_a_recipient_who_is_refused_holds_up_no_others() -> None:
    refused = pytest.raises(MessageRefused, match="nothing for these addresses")
    with mail_receiver(refuses="550 nobody here") as box, refused:
        mail(box, tls="none").send(MESSAGE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tls": "none", "host": "mail.example"},
        {"user": "node"},
        {"to": ["a@b.example, c@d.example"]},
        {"from": "a@b.example\nBcc: c@d.example"},
        {"to": []},
    ],
)
def test_settings_that_would_tell_the_wrong_ones_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        mail(Mailbox(port=25), **wrong)


def test_a_channel_can_be_for_some_alarms_alone() -> None:
    some = webhook(url="https://a.example/", severity="critical", names=["disk_full"])
    assert some.wants("disk_full", "critical")
    assert not some.wants("disk_full", "warning")
    assert not some.wants("disk_low", "critical")
    with pytest.raises(ValidationError, match="disk_ful"):
        webhook(url="https://a.example/", names=["disk_ful"])


def test_a_test_message_says_that_nothing_is_wrong() -> None:
    assert "nothing is wrong" in trial("AI_NODE", NOW).text
    assert trial("AI_NODE", NOW).headline == "[AI_NODE] test: warning: test node"
