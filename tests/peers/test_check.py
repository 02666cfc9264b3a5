"""What `check` and `echo` say of peers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from dicom_ai_node.cli.app import app
from dicom_ai_node.config.peers import AnyPeer
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.peers.check import check_peers
from tests.made import configuration
from tests.peers.dicomweb.server import DicomwebServer, Reply
from tests.peers.pacs import Pacs
from tests.peers.test_tls import Hospital, answering, hospital

__all__ = ["hospital"]  # a fixture
NOW = datetime.now(UTC)


def peers(tmp_path: Path, **entries: dict[str, Any]) -> dict[str, AnyPeer]:
    return configuration(tmp_path, peers=entries, routes=[]).peers


def say(home: Path, *words: str, **entries: dict[str, Any]) -> Result:
    tree = {"node": {"ae_title": "AI_NODE", "spool": str(home / "spool")}, "peers": entries}
    folder = home / "config"
    folder.mkdir(exist_ok=True)
    with (folder / "node.yaml").open("w") as file:
        YAML().dump(tree, file)
    return CliRunner().invoke(app, [*words, "--config", str(folder)])


def dimse(port: int, host: str = "127.0.0.1", **more: Any) -> dict[str, Any]:
    return {"kind": "dimse", "ae_title": "PACS", "host": host, "port": port, **more}


def test_every_mistake_is_named_with_its_key(hospital: Hospital, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o644)
    nowhere = {**hospital.tls(), "ca": tmp_path / "nowhere.pem"}
    oauth2 = {
        "token_url": "https://id.example/token",
        "client_id": "node",
        "client_secret_file": secret,
    }
    found = peers(
        tmp_path,
        pacs=dimse(104, tls=nowhere),
        web={"kind": "dicomweb", "url": "https://pacs.example/dicom-web", "oauth2": oauth2},
        well=dimse(104, tls=hospital.tls()),
    )
    with pytest.raises(ConfigError) as told:
        check_peers(found, NOW)
    first, second = str(told.value).splitlines()
    assert first.startswith("peers.pacs.tls.ca: ")
    assert "cannot be read" in first
    assert second.startswith("peers.web.oauth2.client_secret_file: ")
    assert "run `chmod 600" in second


def test_what_will_be_a_mistake_is_said_ahead_of_time(hospital: Hospital, tmp_path: Path) -> None:
    found = peers(tmp_path, pacs=dimse(104, "pacs.example", tls=hospital.tls()))
    assert check_peers(found, NOW) == []
    assert [note.split(" ")[0] for note in check_peers(found, NOW + timedelta(days=340))] == [
        "peers.pacs.tls.ca:",
        "peers.pacs.tls.certificate:",
    ]
    late = check_peers(found, NOW + timedelta(days=366))
    assert all("has expired on" in note for note in late)


def test_what_crosses_the_network_in_the_clear_is_said(tmp_path: Path) -> None:
    web = {"kind": "dicomweb", "url": "http://pacs.example/", "allow_plaintext": True}
    found = peers(tmp_path, near=dimse(104), far=dimse(104, "10.0.0.5"), web=web)
    notes = check_peers(found, NOW)
    assert [note.split(":")[0] for note in notes] == ["peers.far", "peers.web"]


def test_check_and_echo_end_with_2_at_a_mistake(hospital: Hospital, tmp_path: Path) -> None:
    nowhere = {"ca": str(tmp_path / "nowhere.pem")}
    for words in (["check"], ["echo", "pacs"]):
        done = say(tmp_path, *words, pacs=dimse(104, tls=nowhere))
        assert isinstance(done.exception, ConfigError)
        assert "peers.pacs.tls.ca" in str(done.exception)
        assert done.exception.exit_status == 2


def test_echo_asks_each_kind_in_its_way(hospital: Hospital, tmp_path: Path) -> None:
    tls = {name: str(value) for name, value in hospital.tls().items()}
    with Pacs().running() as pacs:
        assert "answers" in say(tmp_path, "echo", "pacs", pacs=dimse(pacs.port)).output
    with answering(hospital.server_context()) as port:
        done = say(tmp_path, "echo", "pacs", pacs=dimse(port, tls=tls))
        assert "answers over TLS" in done.output
    with DicomwebServer(answer=lambda _: Reply(body=b"[]")).running() as server:
        url = f"http://127.0.0.1:{server.port}/dicom-web"
        entry = {"kind": "dicomweb", "url": url}
        assert f"web: {url} answers" in say(tmp_path, "echo", "web", web=entry).output
    done = say(tmp_path, "echo", "web", web=entry)
    assert done.exit_code == 1
    assert "does not answer" in done.output
    folder = {"kind": "folder", "path": str(tmp_path / "results")}
    assert "can be written" in say(tmp_path, "echo", "archive", archive=folder).output
