"""Priors from a real PACS: asked for with C-FIND, sent by it after C-MOVE."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.database import fetches, schema, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.intake.fetcher import Fetcher
from dicom_ai_node.intake.priors import priors_of, settle_fetched, still_awaited
from dicom_ai_node.peers.find import count_series
from dicom_ai_node.peers.move import move
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.spool import Spool
from tests.acceptance.loopback import free_port, own_network
from tests.acceptance.orthanc import Orthanc, executable
from tests.made import arrive, configuration
from tests.peers.archive import study, uids
from tests.tools import missing_tool

pytestmark = pytest.mark.orthanc


@pytest.fixture
def fetcher(tmp_path: Path) -> Iterator[tuple[Fetcher, Orthanc]]:
    """A PACS that knows the node, and the node's receiver, alone on their network."""
    if executable() is None:
        missing_tool("Orthanc")
    with own_network():
        accept = [{"ae_title": "ORTHANC", "from": ["127.0.0.1/32"]}]
        config = configuration(tmp_path, node={"port": free_port()}, accept=accept)
        assert config.node.port is not None
        spool, database = Spool(config.node.spool), Database(config.node.database)
        schema.upgrade(database)
        pacs = Orthanc(tmp_path / "pacs", node_port=config.node.port, routing=False).start()
        peer = DimsePeer(kind="dimse", ae_title="ORTHANC", host="127.0.0.1", port=pacs.dicom_port)
        try:
            with Receiver(config, spool, database).running():
                yield (
                    Fetcher(
                        name="pacs",
                        settings=peer,
                        ae_title="AI_NODE",
                        spool=spool,
                        database=database,
                    ),
                    pacs,
                )
        finally:
            pacs.stop()
            database.close()


def upload(pacs: Orthanc, made: list[Dataset]) -> None:
    for ds in made:
        buffer = BytesIO()
        ds.save_as(buffer, enforce_file_format=True)
        pacs.request("/instances", buffer.getvalue())


def test_orthanc_gives_the_priors_of_exactly_this_patient(
    fetcher: tuple[Fetcher, Orthanc],
) -> None:
    node, pacs = fetcher
    main = study("main", date="20260102")
    old = study("old", date="20240301", number=4)
    upload(pacs, main + old)
    upload(pacs, study("older", date="20200101", number=3))
    upload(pacs, study("else", date="20250101", patient_id="PHANTOM-10"))
    upload(pacs, study("lower case", date="20250102", patient_id="phantom-1"))
    arrive(node.spool, node.database, main, now=node.database.now(), calling="ORTHANC")
    with node.database.write() as connection:
        row = studies.find(connection, main[0].StudyInstanceUID)
        assert row is not None
        now = node.database.now()
        fetches.ask(connection, row["id"], peer="pacs", within_days=3650, now=now)
    while node.fetch_due(now=node.database.now()):
        pass

    def is_complete() -> bool:
        settle_fetched(node.database, quiet_s=60, now=node.database.now())
        return not still_awaited(node.database, row["id"], priors_s=120, now=node.database.now())

    pacs.wait(is_complete)
    with node.database.read() as connection:
        rows = fetches.of_study(connection, row["id"])
        priors = priors_of(connection, node.spool, row, within_days=3650)
        before = studies.find(connection, old[0].StudyInstanceUID)
    assert [(each.state, each.instances) for each in rows[1:]] == [("moved", 4), ("moved", 3)]
    assert before is not None
    assert (before["state"], before["calling_ae_title"]) == ("prior", "ORTHANC")
    assert [len(each.instances) for each in priors] == [4, 3]
    assert {each.sop_instance_uid for each in priors[0].instances} == uids(old)


def test_what_orthanc_says_of_a_study_and_of_a_destination(
    fetcher: tuple[Fetcher, Orthanc],
) -> None:
    node, pacs = fetcher
    made = study("one", date="20240301", number=4, study="s")
    made += study("two", date="20240301", number=2, study="s")
    upload(pacs, made)
    uid = made[0].StudyInstanceUID
    assert count_series(node.settings, uid, calling_ae_title="AI_NODE") == {
        made[0].SeriesInstanceUID: 4,
        made[4].SeriesInstanceUID: 2,
    }
    moved = move(node.settings, uid, destination_ae="NOBODY", calling_ae_title="AI_NODE")
    assert moved.problem is not None
    assert moved.sent == 0
