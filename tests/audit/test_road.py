"""What a job sends, what is asked of peers, what is imported, and what is deleted."""

import base64
import threading
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.filereader import read_dataset

from dicom_ai_node.audit.lines import HEAD
from dicom_ai_node.audit.read import every_line
from dicom_ai_node.audit.trail import NotRecorded, Trail
from dicom_ai_node.config.peers import FolderPeer
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import arrivals, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import Job
from dicom_ai_node.peers.dicomweb.query import DicomwebQuery
from dicom_ai_node.peers.find import find_study
from dicom_ai_node.purge import purge_expired
from dicom_ai_node.receive.imported import from_folder
from dicom_ai_node.receive.importing import Importer
from dicom_ai_node.receive.part10_file import files_below
from dicom_ai_node.sent import SentTo
from dicom_ai_node.spool import Spool
from tests.audit.schema import assert_valid, event, identified, messages, parties, subject
from tests.database.made import NOW
from tests.delivering import queue_of, ready
from tests.dicom_factory import series, write
from tests.made import arrive
from tests.peers.archive import Archive, study
from tests.peers.dicomweb.server import DicomwebServer, Reply
from tests.peers.pacs import Pacs


def waiting(spool: Spool, database: Database) -> Job:
    """A result about a patient, in the outbox."""
    job = ready(spool, database)
    for path in spool.outbox_path(job.key).glob("*.dcm"):
        ds = dcmread(path)
        ds.StudyInstanceUID, ds.PatientID, ds.PatientName = "1.2.3", "PHANTOM-1", "Phantom"
        ds.save_as(path)
    with database.write() as connection:  # as if it had been made so
        connection.exec_driver_sql("update delivery set sha256 = ''")
    return job


def valid(trail: Trail, home: Path) -> None:
    assert_valid([line.body for line in every_line(trail.folder)], home)


def test_what_is_sent_begins_and_ends_in_the_trail(
    config: Config, spool: Spool, database: Database, trail: Trail, tmp_path: Path
) -> None:
    waiting(spool, database)
    with Pacs().running() as pacs:
        queue = queue_of(pacs, config, spool, database)
        object.__setattr__(queue, "sent_to", SentTo.of("pacs", pacs.settings))
        queue.deliver_due(now=database.now())
    begin, end = messages(trail.folder)
    assert event(begin) == "Begin Transferring DICOM Instances"
    assert event(end) == "DICOM Instances Transferred"
    for each in (begin, end):
        assert parties(each)[1] == "PACS"
        assert identified(each, "2") == "PHANTOM-1"
        assert identified(each, "110180") == "1.2.3"
        described = subject(each, "110180")
        assert described is not None
        assert len(list(described.iter("SOPClass"))) == 2
    valid(trail, tmp_path)


def test_what_a_peer_refuses_is_told_apart_from_what_it_takes(
    config: Config, spool: Spool, database: Database, trail: Trail, tmp_path: Path
) -> None:
    waiting(spool, database)
    pacs = Pacs(answer=lambda sop_class: 0xA700 if sop_class.name.startswith("Seg") else 0)
    with pacs.running():
        queue = queue_of(pacs, config, spool, database)
        queue.deliver_due(now=database.now())
    assert [event(each) for each in messages(trail.folder)] == [
        "Begin Transferring DICOM Instances",
        "DICOM Instances Transferred",
        "DICOM Instances Transferred 4",
    ]
    said = messages(trail.folder)[-1].findtext("EventIdentification/EventOutcomeDescription", "")
    assert said.startswith("A700")
    assert said.endswith("is tried again")
    valid(trail, tmp_path)


def test_a_peer_that_is_down_fills_nothing(
    config: Config, spool: Spool, database: Database, trail: Trail
) -> None:
    waiting(spool, database)
    with Pacs().running() as pacs:
        pass
    queue_of(pacs, config, spool, database).deliver_due(now=database.now())
    assert messages(trail.folder) == []


def test_what_is_put_into_a_folder_is_an_export(trail: Trail, spool: Spool, tmp_path: Path) -> None:
    from dicom_ai_node.peers.folder import _WRITTEN

    paths = write(series(shape=(1, 4, 4)), tmp_path / "made")
    peer = FolderPeer(kind="folder", path=tmp_path / "results")
    SentTo.of("archive", peer).record(paths, [_WRITTEN])
    (found,) = messages(trail.folder)
    assert event(found) == "Export"
    assert parties(found)[1] == (tmp_path / "results").as_uri()
    assert identified(found, "2") == "PHANTOM-1"
    valid(trail, tmp_path)


def test_an_import_names_its_folder_and_each_study(
    config: Config, spool: Spool, database: Database, trail: Trail, tmp_path: Path
) -> None:
    cd = tmp_path / "cd"
    write(series(name="one", shape=(3, 4, 4)), cd / "one")
    write(series(name="two", shape=(1, 4, 4), patient_id="P-2"), cd / "two")
    importer = Importer(config, spool, database, calling_ae_title="CD", said=from_folder(cd))
    for _ in range(2):  # the second time, nothing is new
        list(importer.run(files_below(cd), threading.Event()))
    found = messages(trail.folder)
    assert [event(each) for each in found] == ["Import", "Import"]
    assert {identified(each, "2") for each in found} == {"PHANTOM-1", "P-2"}
    assert all(parties(each)[2] == cd.as_uri() for each in found)
    valid(trail, tmp_path)


def test_a_question_is_recorded_as_it_was_asked(trail: Trail, tmp_path: Path) -> None:
    made = study("20250101", date="20250101")
    archive = Archive(instances=made)
    with archive.running():
        find_study(archive.settings, made[0].StudyInstanceUID, calling_ae_title="AI_NODE")
    (found,) = messages(trail.folder)
    assert event(found) == "Query"
    asked = subject(found, "110181")
    assert asked is not None
    content = base64.b64decode(asked.findtext("ParticipantObjectQuery", ""))
    query = read_dataset(BytesIO(content), is_implicit_VR=False, is_little_endian=True)
    assert query.StudyInstanceUID == made[0].StudyInstanceUID
    detail = asked.find("ParticipantObjectDetail")
    assert detail is not None
    assert detail.get("type") == "TransferSyntax"
    assert base64.b64decode(detail.get("value", "")) == b"1.2.840.10008.1.2.1"
    valid(trail, tmp_path)


def test_a_question_over_http_is_recorded_too(trail: Trail, tmp_path: Path) -> None:
    with DicomwebServer(answer=lambda _: Reply(body=b"[]")).running() as server:
        DicomwebQuery(server.settings()).series("1.2.3")
    (found,) = messages(trail.folder)
    assert event(found) == "Query"
    asked = subject(found, "12")
    assert asked is not None
    content = base64.b64decode(asked.findtext("ParticipantObjectQuery", ""))
    assert content.startswith(b"/studies/1.2.3/series?includefield=")
    valid(trail, tmp_path)


def aged(spool: Spool, database: Database) -> str:
    """A study that retention is over for."""
    instances = series(shape=(2, 4, 4))
    arrive(spool, database, instances, now=NOW)
    with database.write() as connection:
        connection.exec_driver_sql("update study set state = 'refused'")
    return str(instances[0].StudyInstanceUID)


def there(database: Database, uid: str) -> bool:
    with database.read() as connection:
        return studies.a_file(connection, uid) is not None


def test_a_purge_is_on_record_before_anything_is_gone(
    config: Config, spool: Spool, database: Database, trail: Trail, tmp_path: Path
) -> None:
    uid = aged(spool, database)
    later = NOW + 100 * 86_400
    trail.folder.mkdir()
    (trail.folder / HEAD).mkdir()  # it cannot be written
    with pytest.raises(NotRecorded, match="nothing was done"):
        purge_expired(config, spool, database, now=later)
    assert there(database, uid)
    assert len(list(spool.instance_files())) == 2
    (trail.folder / HEAD).rmdir()
    assert purge_expired(config, spool, database, now=later) == 1
    assert not there(database, uid)
    (found,) = messages(trail.folder)
    assert event(found) == "DICOM Study Deleted"
    assert identified(found, "110180") == uid
    assert identified(found, "2") == "PHANTOM-1"
    valid(trail, tmp_path)


def test_a_study_that_is_purged_is_named_without_its_patient(
    spool: Spool, database: Database, trail: Trail, config: Config
) -> None:
    uid = aged(spool, database)
    assert trail.study(uid).patient is not None
    purge_expired(config, spool, database, now=NOW + 100 * 86_400)
    assert trail.study(uid).patient is None
    assert trail.study(uid).study_instance_uid == uid


def test_of_a_damaged_file_the_study_is_named(
    spool: Spool, database: Database, trail: Trail
) -> None:
    instances = series(shape=(1, 4, 4))
    arrive(spool, database, instances, now=NOW)
    uid = str(instances[0].StudyInstanceUID)
    with database.read() as connection:
        file = arrivals.file_of(connection, str(instances[0].SOPInstanceUID))
    spool.instance_path(file).write_bytes(b"nonsense")
    assert trail.study(uid).patient is None
