"""A file with a secret is used when it is its owner's alone, and is told apart from the secret."""

import os
from pathlib import Path

import pytest

from dicom_ai_node.config.load import load
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.secret import fault_of, read_secret, read_secret_text
from tests.made import configuration
from tests.operator import Operator

PEER = "peers:\n  web:\n    kind: dicomweb\n    url: https://pacs.example/dicom-web\n    oauth2:\n"


def secret_in(folder: Path, content: bytes = b"hunter2\n", mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("content", "read"),
    [(b"hunter2\n", b"hunter2"), (b"hunter2\r\n", b"hunter2"), (b" a b \n\n", b" a b \n")],
)
def test_one_line_end_is_not_of_the_secret(tmp_path: Path, content: bytes, read: bytes) -> None:
    assert read_secret("key", secret_in(tmp_path, content)) == read


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_what_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = secret_in(tmp_path, mode=mode)
    with pytest.raises(ConfigError, match=rf"^a\.b: .* run `chmod 600 {path}`$"):
        read_secret("a.b", path)
    path.chmod(0o600)
    assert read_secret("a.b", path) == b"hunter2"


@pytest.mark.parametrize(("mode", "is_read"), [(0o440, True), (0o400, True), (0o444, False)])
def test_of_a_credential_the_group_may_read(
    mode: int, is_read: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer versions of systemd let the service in by an ACL, whose mask stands in these bits."""
    given = tmp_path / "credentials"
    given.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    assert (fault_of(secret_in(given, mode=mode)) is None) is is_read
    assert fault_of(secret_in(tmp_path, mode=0o440)) is not None
    assert fault_of(given / ".." / "secret") is not None


def test_an_empty_file_holds_no_secret(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is empty"):
        read_secret("key", secret_in(tmp_path, b""))


def test_a_secret_that_is_no_text_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        read_secret_text("key", secret_in(tmp_path, b"\xff"))


@pytest.mark.parametrize("written", ["hunter2", "hun\\0ter2", "/proc/self/mem/hunter2"])
def test_a_secret_in_the_place_of_its_file_is_not_repeated(tmp_path: Path, written: str) -> None:
    said = refused(tmp_path, f'"{written}"')
    assert said.startswith(f"{tmp_path}/a.yaml:9: peers.web.oauth2.client_secret_file: ")
    assert "hunter2" not in said


def test_a_key_that_others_may_read_is_named_with_its_line(tmp_path: Path) -> None:
    path = secret_in(tmp_path, mode=0o644)
    assert refused(tmp_path, str(path)) == (
        f"{tmp_path}/a.yaml:9: peers.web.oauth2.client_secret_file: {path} may be read by others "
        f"than its owner: run `chmod 600 {path}`"
    )
    path.chmod(0o600)
    assert load(tmp_path, {}, need_secrets=True).peers


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_secret_of_somebody_else_is_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, str(secret_in(tmp_path, mode=0o000)))
    assert "cannot be read" in said


def refused(folder: Path, file: str) -> str:
    text = "      token_url: https://id.example/t\n      client_id: a\n"
    text += f"      client_secret_file: {file}\n"
    (folder / "a.yaml").write_text("node: {ae_title: A}\n" + PEER + text)
    with pytest.raises(ConfigError) as caught:
        load(folder, {}, need_secrets=True)
    return str(caught.value)


def test_a_secret_that_is_gone_takes_no_tool_away(
    tmp_path: Path, config: Config, database: Database
) -> None:
    """What is needed on a bad day runs; what needs the secret, or starts with it, says so."""
    gone = str(tmp_path / "gone")
    mail = {"host": "h", "from": "a@b", "to": "c@d", "user": "u", "password_file": gone}
    person = Operator(tmp_path, configuration(tmp_path, alarms={"email": mail}))
    for words in (
        "status",
        "jobs list",
        "drain --off",
        f"backup {tmp_path}/copy.db",
        "config show",
    ):
        person.must(*words.split())
    status, said = person.ask("doctor")
    assert status == 1
    assert "secrets: " in said
    assert "alarms.email.password_file: there is no such file\n      → give the path" in said
    for words in ("check --offline", "web", "alarms test"):
        status, said = person.ask(*words.split())
        assert (status, "password_file: there is no such file" in said) == (2, True)
