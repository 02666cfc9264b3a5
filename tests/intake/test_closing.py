"""From the last instance to «closed», on real sockets: a receiver, a PACS that counts, the tick."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import RowMapping

from dicom_ai_node import schedule
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import jobs, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.intake.intake import Intake
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import StudyState
from tests.dicom_factory import series
from tests.made import bright, configuration
from tests.peers.finder import Finder
from tests.receive.scu import association

FIRST, SECOND = (series(name=name, study="both", shape=(6, 8, 8)) for name in ("one", "two"))
STUDY = FIRST[0].StudyInstanceUID


@pytest.fixture
def finder() -> Iterator[Finder]:
    counts = {each[0].SeriesInstanceUID: ("CT", 6) for each in (FIRST, SECOND)}
    with Finder(counts).running() as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, finder: Finder) -> Config:
    """Nothing but proof can close a study within an hour."""
    complete = {"ask": "pacs", "final": True, "quiet_s": 3600, "incomplete_s": 3600}
    entry = {"ae_title": "PACS", "from": ["127.0.0.1/32"], "complete": complete}
    peers = {
        "archive": {"kind": "folder", "path": tmp_path / "results"},
        "pacs": finder.peer,
    }
    return configuration(tmp_path, accept=[entry], peers=peers)


@pytest.fixture
def port(config: Config, spool: Spool, database: Database, tmp_path: Path) -> Iterator[int]:
    """Of a node that receives and ticks."""
    models = {"bright": bright(tmp_path)}
    intake = Intake(config=config, models=models, spool=spool, database=database)
    ticks = schedule.start(config, spool, database, intake)
    try:
        with Receiver(config, spool, database).running() as listening:
            yield listening
    finally:
        ticks.shutdown(wait_s=30)


def the_study(database: Database) -> RowMapping | None:
    with database.read() as connection:
        return studies.find(connection, STUDY)


def settled(database: Database) -> RowMapping:
    """Waits until the study is."""
    for _ in range(2000):
        row = the_study(database)
        if row is not None and row["state"] == StudyState.ROUTED:
            return row
        threading.Event().wait(0.01)
    raise TimeoutError


def test_a_study_is_closed_by_the_answer_to_the_question_that_its_release_brings(
    port: int, finder: Finder, database: Database
) -> None:
    """Received, released, asked, answered, closed: in this order, and by nothing else."""
    finder.answering.clear()
    with association(port) as assoc:
        for ds in [*FIRST, *SECOND]:
            assert assoc.send_c_store(ds).Status == 0x0000
        assert finder.asked == []
        assoc.release()
    while not finder.asked:
        threading.Event().wait(0.01)
    row = the_study(database)
    assert row is not None
    assert (row["state"], row["evidence"]) == (StudyState.RECEIVING, None)
    finder.answering.set()
    row = settled(database)
    assert row["last_received_at"] <= row["association_ended_at"] <= row["routed_at"]
    assert row["evidence"] == "all 12 images of 2 series are here, as pacs counts them"
    assert finder.asked == [("SERIES", STUDY)]


def test_a_study_over_two_associations_is_closed_once_and_whole(
    port: int, finder: Finder, database: Database
) -> None:
    """The end of the first one closes nothing: the PACS has more."""
    with association(port) as assoc:
        for ds in FIRST:
            assoc.send_c_store(ds)
    while len(finder.asked) < 1:
        threading.Event().wait(0.01)
    with association(port) as assoc:
        for ds in SECOND:
            assoc.send_c_store(ds)
    row = settled(database)
    assert row["revision"] == 1
    with database.read() as connection:
        queued = jobs.listing(connection, study_instance_uid=STUDY)
        assert {len(job.inputs["image"]) for job in queued} == {6}
        assert len(queued) == 2
