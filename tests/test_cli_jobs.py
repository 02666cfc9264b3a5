"""The queue as an operator sees it."""

import json
import re
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.cli.job_list import waits_for_time
from dicom_ai_node.database import deliveries, ladders, schema, waiting
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import NOTE_SUBJECT, DeliveryState
from tests.database.made import IN_TWO_FORMS, NOW, TWO_FORMS, claimed, enqueued


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A node with one job, of which the peer has not taken the first form."""
    database = Database(f"sqlite:///{tmp_path}/node.db")
    schema.require_current(database)
    with database.write() as connection:
        job = enqueued(connection, send_to=("pacs",))
        deliveries.publish(
            connection,
            claimed(connection),
            IN_TWO_FORMS,
            outcome="findings",
            reason=None,
            timings={},
            now=NOW,
            forms={"pacs": TWO_FORMS},
        )
        (first, _), *_ = deliveries.due(connection, "pacs", now=NOW)
        ladders.step_down(connection, job.id, "pacs", [first.id], status="0122", now=NOW)
        other = enqueued(connection, "other", send_to=("pacs",))
        deliveries.publish(
            connection,
            claimed(connection),
            IN_TWO_FORMS,
            outcome="findings",
            reason=None,
            timings={},
            now=NOW,
            forms={"pacs": TWO_FORMS},
        )
        assert (job.id, other.id) == (1, 2)
    database.close()
    content = {
        "node": {
            "ae_title": "AI",
            "spool": str(tmp_path / "spool"),
            "database": f"sqlite:///{tmp_path}/node.db",
            "models": str(tmp_path / "models"),
        },
        "peers": {"pacs": {"kind": "folder", "path": str(tmp_path / "results")}},
    }
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "node.yaml").write_text(json.dumps(content))  # JSON is YAML
    return tmp_path


def said(home: Path, *words: str) -> str:
    runner = CliRunner(env={"COLUMNS": "200"})
    result = runner.invoke(app, [*words, "--config", str(home / "config")])
    assert result.exit_code == 0, result.output
    return result.output


def deliveries_of(home: Path, job: str) -> list[tuple[str, ...]]:
    table = said(home, "jobs", "show", job).partition("Deliveries")[2]
    rows = re.findall(r"^│ pacs +│ (.+?) +│ (.+?) +│ (.+?) +│ (.*?) +│$", table, re.MULTILINE)
    return [tuple(row) for row in rows]


def test_an_operator_sees_which_form_was_not_taken(home: Path) -> None:
    assert deliveries_of(home, "1") == [
        ("labelmap", "not taken", "1", "0122"),
        ("seg", "pending", "0", ""),
        ("sr", "not taken", "0", ""),
        ("sr", "pending", "0", ""),
    ]


def test_an_operator_sees_what_is_kept_back(home: Path) -> None:
    assert [state for _, state, *_ in deliveries_of(home, "2")] == [
        *("pending", "kept back", "pending", "kept back")
    ]


def test_an_operator_sees_what_its_peer_has_not_committed_to(home: Path) -> None:
    database = Database(f"sqlite:///{home}/node.db")
    with database.write() as connection:
        due = [row for row, _ in deliveries.due(connection, "pacs", now=NOW) if row.job_id == 1]
        for row, wanted in zip(due, (True, False), strict=True):
            deliveries.record(
                connection,
                row,
                DeliveryState.STORED,
                status="0000",
                next_try_at=NOW,
                now=NOW,
                wants_commitment=wanted,
            )
    database.close()
    assert [state for _, state, *_ in deliveries_of(home, "1")] == [
        *("not taken", "stored, not yet committed", "not taken", "stored")
    ]


def test_what_waits_is_what_is_pending(home: Path) -> None:
    books = json.loads(said(home, "status", "--json"))
    assert books["waiting_for"] == {"pacs": 4}


@pytest.mark.fault("F13")
def test_an_operator_sees_that_a_peer_is_gone_from_the_configuration_and_what_to_do(
    home: Path,
) -> None:
    file = home / "config" / "node.yaml"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"peers": {}}))
    for told in (said(home, "jobs", "show", "1", "--json"), said(home, "jobs", "show", "1")):
        assert "cannot be delivered: pacs is no longer under peers:" in told
        assert (
            "restore it there, or give them up for this peer with `jobs cancel --peer`"
            in " ".join(told.replace("│", " ").split())
        )
    listed = json.loads(said(home, "jobs", "list", "--json"))
    assert all(each["waits"].startswith("cannot be delivered") for each in listed)
    assert all(each["next_step"] == each["waits"] for each in listed)
    file.write_text(json.dumps(content))
    listed = json.loads(said(home, "jobs", "list", "--json"))
    assert [each["waits"] for each in listed] == [None, None]


def test_rejection_notes_do_not_bury_the_list(home: Path) -> None:
    """One that waits for a person is shown with the dead letters."""
    database = Database(f"sqlite:///{home}/node.db")
    with closing(database), database.write() as connection:
        note = enqueued(connection, "note", subject=f"{NOTE_SUBJECT}1")
    listed = json.loads(said(home, "jobs", "list", "--json"))
    assert [each["id"] for each in listed] == [2, 1]
    listed = json.loads(said(home, "jobs", "list", "--notes", "--json"))
    assert [each["id"] for each in listed] == [note.id, 2, 1]
    with closing(Database(f"sqlite:///{home}/node.db")) as opened, opened.write() as connection:
        connection.exec_driver_sql("UPDATE job SET state = 'quarantined' WHERE id = 3")
    for words in (["--dead"], ["--state", "quarantined"]):
        listed = json.loads(said(home, "jobs", "list", *words, "--json"))
        assert [each["id"] for each in listed] == [note.id]


def test_a_job_of_other_hours_says_until_when_it_waits(home: Path) -> None:
    database = Database(f"sqlite:///{home}/node.db")
    opens = time.time() + 3600
    with closing(database), database.write() as connection:
        late = enqueued(connection, "late", run_after=opens)
    clock = datetime.fromtimestamp(opens).astimezone().strftime("%H:%M")
    assert f"waits until {clock}" in said(home, "jobs", "list")
    assert json.loads(said(home, "jobs", "show", "3", "--json"))["waits"] == f"waits until {clock}"
    assert waits_for_time(late, now=opens + 1) is None
    tomorrow = datetime.fromtimestamp(opens).astimezone().strftime("%Y-%m-%d %H:%M")
    assert waits_for_time(late, now=opens - 90_000) == f"waits until {tomorrow}"


def test_a_list_says_how_long_ago(home: Path) -> None:
    assert re.search(r"2023-11-1\d \d\d:\d\d:\d\d \(\d+ d\)", said(home, "jobs", "list"))


def test_a_peer_that_does_not_answer_is_why_a_job_waits(home: Path) -> None:
    """At once, and not only after an hour."""
    database = Database(f"sqlite:///{home}/node.db")
    with closing(database), database.write() as connection:
        later = database.now() + 60
        waiting.put_off(connection, "pacs", until=later, status="pacs does not answer")
    assert "waits for pacs: it does not answer; it is tried again" in said(home, "jobs", "list")
    assert "waits for pacs: it does not answer" in said(home, "jobs", "show", "1")
    runner = CliRunner(env={"COLUMNS": "200"})
    with patch("dicom_ai_node.log.configure"):
        told = runner.invoke(app, ["doctor", "--config", str(home / "config")]).output
    (line,) = [each for each in told.splitlines() if "peer pacs: " in each]
    assert line.startswith("warn")
    assert "to the last try: it does not answer" in line
