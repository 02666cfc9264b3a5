"""What waits for whom, and sending it now: of a queue that pauses after a failure."""

from pathlib import Path

import pytest

from dicom_ai_node import send_now
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import DeliveryState
from dicom_ai_node.spool import Spool
from tests.database.made import NOW, claimed, enqueued, publish
from tests.made import configuration
from tests.operator import Operator


@pytest.fixture
def config(tmp_path: Path) -> Config:
    pacs = {"kind": "dimse", "ae_title": "PACS", "host": "10.0.0.5", "port": 104}
    return configuration(tmp_path, peers={"pacs": pacs})


@pytest.fixture
def operator(config: Config, tmp_path: Path) -> Operator:
    return Operator(tmp_path, config)


def waits_for(database: Database, peer: str) -> None:
    """A result of two objects, the first of which was refused once."""
    with database.write() as connection:
        enqueued(connection, send_to=(peer,))
        publish(connection, claimed(connection))
    with database.write() as connection:
        row, _ = next(iter(deliveries.due(connection, peer, now=NOW)))
        again = DeliveryState.PENDING
        deliveries.record(connection, row, again, status="out of room", next_try_at=NOW, now=NOW)


def test_the_list_says_what_waits_and_what_was_said(operator: Operator, database: Database) -> None:
    waits_for(database, "pacs")
    (pacs,) = operator.data("peers", "list")
    assert (pacs["name"], pacs["waiting"]["objects"]) == ("pacs", 2)
    assert (pacs["last_contact"], pacs["last_answer"]) == (None, "out of room")
    said = operator.must("peers", "list")
    for words in ("DICOM PACS 10.0.0.5:104", "never", "2 objects, the oldest for", "out of room"):
        assert words in said


def test_what_waits_for_a_peer_that_is_gone_is_in_the_list(
    operator: Operator, database: Database
) -> None:
    waits_for(database, "gone")
    configured, gone = operator.data("peers", "list")
    assert (configured["waiting"], gone["waiting"]["objects"]) == (None, 2)
    assert "not configured any more" in operator.must("peers", "list")
    status, said = operator.ask("peers", "send", "gone")
    assert (status, "see `peers list`" in said) == (1, True)


def test_a_person_has_what_waits_sent_now(operator: Operator, spool: Spool) -> None:
    assert "now" in operator.must("peers", "send", "pacs")
    assert send_now.take(spool, "pacs")
    assert operator.ask("peers", "send", "../pacs")[0] == 1  # no name of the configuration
    assert [path.name for path in spool.root.glob("send-now/*")] == []
