"""Text in headers and titles that would be SQL, markup or a terminal's command: it stays text."""

import copy
from pathlib import Path

import pytest
from pydicom import DataElement, Dataset
from pydicom.datadict import DicomDictionary
from sqlalchemy import inspect

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, studies
from dicom_ai_node.database.books import books
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.tables import metadata
from dicom_ai_node.job import DeliveryState, JobState
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.spool import Spool
from tests import dicom_factory
from tests.intake.in_process import Road
from tests.made import IS_CT, bright, configuration
from tests.operator import Operator
from tests.receive.scu import association

SQL = "'; DROP TABLE study; --"
TITLE = "'; DROP TABLE j"  # of an AE: 16 characters at most
ESCAPE = "\x1b[31m[red]\u202e"
_GROUPS = (0x0008, 0x0010, 0x0018, 0x0020, 0x0032, 0x0040)
ASKS = {"attr": "StudyDescription", "op": "matches", "value": ".*"}


def hostile(ds: Dataset) -> Dataset:
    """SQL in every attribute of text, and in a private one."""
    made = copy.deepcopy(ds)
    for tag, (vr, vm, *_, retired, keyword) in DicomDictionary.items():
        is_plain = vr in ("PN", "LO", "SH", "ST", "LT", "UT") and vm == "1" and keyword
        if is_plain and not retired and tag >> 16 in _GROUPS:
            made.add(DataElement(tag, vr, SQL[: 16 if vr == "SH" else 64]))
    made.add(DataElement(0x00090010, "LO", SQL))
    made.add(DataElement(0x00091001, "LT", SQL))
    made.SeriesDescription = ESCAPE
    return made


@pytest.fixture
def config(tmp_path: Path) -> Config:
    describes = {"attr": "SeriesDescription", "op": "matches", "value": ".*"}
    return configuration(
        tmp_path,
        study={"quiet_s": 0.001},
        accept=[{"ae_title": TITLE, "from": ["127.0.0.1/32"]}],
        routes=[
            {"model": "bright", "send_to": ["archive"], "require": [IS_CT, ASKS, describes]},
            {"model": "bright", "name": "no", "send_to": ["archive"], "exclude": [ASKS, describes]},
        ],
    )


@pytest.mark.fault("H6")
def test_sql_in_every_text_stays_text(
    config: Config, spool: Spool, database: Database, tmp_path: Path
) -> None:
    """From a real association to the result, and in what a person is shown of it."""
    before = {"alembic_version", *metadata.tables}
    made = [hostile(ds) for ds in dicom_factory.series(name="hostile", shape=(6, 16, 16))]
    good = dicom_factory.series(name="good", shape=(6, 16, 16))
    with Receiver(config, spool, database).running() as port:
        for study in (made, good):
            with association(port, calling=TITLE) as assoc:
                assert {assoc.send_c_store(ds).Status for ds in study} == {0}
    road = Road(config, spool, database, {"bright": bright(tmp_path)})
    assert road.intake.settle_quiet(now=database.now()) == 2
    assert road.work() == 2
    assert {job.state for job in road.jobs()} == {JobState.READY}
    with database.write() as connection:
        for row, _ in deliveries.due(connection, "archive", now=database.now()):
            stored = DeliveryState.STORED
            deliveries.record(connection, row, stored, status=SQL, next_try_at=0, now=1.0)
    with database.read() as connection:
        assert before <= {*inspect(connection).get_table_names(), "sqlite_sequence"}
        row = studies.find(connection, str(made[0].StudyInstanceUID))
        assert row is not None
        assert row["calling_ae_title"] == TITLE
        assert books(connection).balanced
        assert books(connection).instances == 12

    operator = Operator(tmp_path, config)
    uid = str(made[0].StudyInstanceUID)
    said = operator.must("studies", "explain", uid) + operator.must("studies", "show", uid)
    assert "DROP TABLE" in said
    assert "\x1b" not in said
    assert "\u202e" not in said
    for words in (["studies", "show", SQL], ["studies", "delete", SQL, "--yes"]):
        status, answer = operator.ask(*words)
        assert (status, "no such study" in answer) == (1, True)
    with database.read() as connection:
        assert len(studies.listing(connection)) == 2
