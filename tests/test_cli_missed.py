"""`studies missed`: what an administrator sees of it, and can have done by hand."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.cli.missed import catching_up
from dicom_ai_node.cli.node import open_node
from dicom_ai_node.config.load import load
from dicom_ai_node.config.peers import CatchUpSettings, DimsePeer
from dicom_ai_node.database import fetches, missed, schema
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.fetches import Fetch, FetchState
from tests.intake.missed_site import recent, report_of
from tests.made import IS_CT, arrive
from tests.peers.archive import Archive


@pytest.fixture
def archive() -> Iterator[Archive]:
    with Archive().running() as running:
        yield running


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path}/node.db")
    schema.require_current(opened)
    yield opened
    opened.close()


PAGE = (Path(__file__).parents[1] / "docs" / "catch-up.md").read_text()


def configure(home: Path, archive: Archive, limits: dict[str, int], **peer: Any) -> Path:
    address = {"ae_title": "PACS", "host": "127.0.0.1", "port": archive.port}
    content = {
        "node": {
            "ae_title": "AI_NODE",
            "spool": str(home / "spool"),
            "database": f"sqlite:///{home}/node.db",
        },
        "accept": [{"ae_title": "PACS", "from": ["127.0.0.1/32"]}],
        "peers": {"pacs": {"kind": "dimse", **address, **peer}},
        "routes": [{"model": "m", "send_to": ["pacs"], "require": [IS_CT]}],
        "limits": limits,
    }
    (home / "config").mkdir(exist_ok=True)
    (home / "config" / "node.yaml").write_text(json.dumps(content))  # JSON is YAML
    return home / "config"


def run(home: Path, archive: Archive, *words: str, **peer: Any) -> Result:
    config = configure(home, archive, {}, **peer)
    arguments = ["studies", "missed", *words, "--config", str(config)]
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, arguments)


def rows(database: Database, uid: str) -> list[Fetch]:
    with database.read() as connection:
        return list(missed.of_study(connection, uid))


def test_what_was_missed_is_shown_and_fetched_when_somebody_says_so(
    archive: Archive, database: Database, tmp_path: Path
) -> None:
    ct = recent("ct")
    uid = ct[0].StudyInstanceUID
    archive.instances = [*ct, report_of(ct), *recent("mr", modality="MR")]
    (fetch, leave) = sorted(
        json.loads(run(tmp_path, archive, "--json", catch_up={}).stdout),
        key=lambda row: str(row["call"]),
    )
    assert fetch == {
        "peer": "pacs",
        "study_instance_uid": uid,
        "modalities": "CT SR",
        "there": 3,
        "here": 0,
        "call": "fetch",
        "reason": "it never came",
    }
    assert (leave["call"], leave["reason"]) == ("leave", "no route takes it (MR)")
    assert rows(database, uid) == [], "looking changes nothing"

    shown = run(tmp_path, archive, "--fetch", catch_up={}).stdout
    assert uid in shown
    assert "1 left alone: no route takes it (MR)" in shown
    (row,) = rows(database, uid)
    assert row.state is FetchState.PENDING
    with database.read() as connection:
        assert missed.next_due(connection, "pacs", now=database.now()) == row


def test_what_failed_or_waits_is_tried_again_at_once(
    archive: Archive, database: Database, tmp_path: Path
) -> None:
    waits, failed = recent("waits"), recent("failed")
    archive.instances = [*waits, *failed]
    now = database.now()
    for made in (waits, failed):
        uid = made[0].StudyInstanceUID
        with database.write() as connection:
            missed.want(
                connection, peer="pacs", study_instance_uid=uid, there=2, at=now + 900, now=now
            )
            if made is failed:
                (row,) = missed.of_study(connection, uid)
                fetches.begin(connection, row, now=now)
                fetches.record(connection, row, FetchState.FAILED, reason="no", now=now)
    shown = run(tmp_path, archive, catch_up={}).stdout
    assert "it could not be fetched: no" in shown
    assert "it is being fetched from pacs" in shown
    run(tmp_path, archive, "--fetch", catch_up={})
    for made in (waits, failed):
        (row,) = rows(database, made[0].StudyInstanceUID)
        assert (row.state, row.tries) == (FetchState.PENDING, 0)
        with database.write() as connection:
            assert missed.next_due(connection, "pacs", now=database.now() + 1) is not None
            missed.put_off(connection, row, until=now + 9000, there=2, reason=None)


def test_what_cannot_be_asked_says_what_to_do(
    archive: Archive, database: Database, tmp_path: Path
) -> None:
    nobody = run(tmp_path, archive)
    assert nobody.exit_code != 0
    assert "add `catch_up: {}` to one under peers" in str(nobody.exception)
    archive.find_status = 0xA700
    refused = run(tmp_path, archive, catch_up={})
    assert refused.exit_code != 0
    assert "answered C-FIND with status A700" in str(refused.exception)


def test_the_page_says_what_there_is(tmp_path: Path) -> None:
    """Its example loads, with the defaults that it names, and its verbs know their options."""
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "node.yaml").write_text("node: {ae_title: AI_NODE}\n" + example)
    peer = load(tmp_path, {}).peers["pacs"]
    assert isinstance(peer, DimsePeer)
    assert peer.catch_up == CatchUpSettings()
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines():
        words = line.partition("#")[0].split()
        shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*words[1:3], "--help"])
        assert shown.exit_code == 0
        assert all(word in shown.stdout for word in words if word.startswith("--"))


@pytest.mark.parametrize(
    ("limits", "fetches_it"),
    [
        ({}, True),
        ({"waiting_studies": 2}, False),  # one waits, which is half of them
        ({"waiting_studies": 4}, True),
        ({"space_soft_mb": 10**9}, False),
    ],
)
def test_the_deliver_role_leaves_room_for_what_comes_by_itself(
    archive: Archive, database: Database, tmp_path: Path, limits: dict[str, int], fetches_it: bool
) -> None:
    node = open_node(configure(tmp_path, archive, limits, catch_up={}))
    arrive(node.spool, database, recent("waits"), now=database.now())
    missed_one = recent("missed")
    archive.instances = list(missed_one)
    archive.node_port = 1  # nobody listens there: that it was asked to send is enough
    (catch_up,) = catching_up(node)
    now = node.database.now()
    assert catch_up.step(now=now, clock=0.0)
    catch_up.step(now=now + 121, clock=121.0)
    assert bool(archive.moved) == fetches_it
    node.database.close()
