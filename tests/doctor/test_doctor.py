"""`doctor` finds what is broken, says what to do, and is content with a node that is well."""

import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from dicom_ai_node.config.observe import WebSettings, WebTlsSettings
from dicom_ai_node.config.peers import DimsePeer, PeerTlsSettings
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import jobs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.doctor import certificates, machine
from dicom_ai_node.doctor.examine import examine
from dicom_ai_node.doctor.finding import Finding, Level
from dicom_ai_node.spool import Spool
from tests.database.made import claimed, enqueued, publish
from tests.dicom_factory import series
from tests.intake.in_process import Road
from tests.made import arrive, bright
from tests.operator import Operator
from tests.receive.certificates import Authority

DAY = timedelta(days=1)


@pytest.fixture
def road(config: Config, spool: Spool, database: Database, tmp_path: Path) -> Road:
    """A study with its result, which waits for its peer."""
    made = Road(config, spool, database, {"bright": bright(tmp_path)})
    arrive(spool, database, series(name="well", shape=(6, 8, 8)), now=1_600_000_000)
    made.intake.settle_quiet(now=database.now())
    made.work()
    for folder in spool.instances.glob("??/*.dcm"):  # it came some time ago
        os.utime(folder, (1_600_000_000, 1_600_000_000))
    return made


def found(road: Road, *, every: bool = False) -> dict[str, Finding]:
    checks = examine(road.config, road.spool, road.database, every=every)
    return {each.check: each for each in checks}


def bad(road: Road, *, every: bool = False) -> dict[str, Finding]:
    """Without what is so of every node in a test: no role runs, no model is in the store."""
    usual = ("roles", "route bright", "space of the spool", "space of the database")
    return {
        name: each
        for name, each in found(road, every=every).items()
        if each.level is not Level.OK and name not in usual
    }


@pytest.mark.parametrize("every", [False, True])
def test_a_node_that_is_well(road: Road, every: bool) -> None:
    assert bad(road, every=every) == {}
    assert found(road)["stored instances"].text.startswith("6 (by chance)")


@pytest.mark.fault("G11")
def test_a_flipped_bit_in_a_stored_file(road: Road) -> None:
    path = next(iter(road.spool.instance_files()))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    finding = bad(road, every=True)["stored instances"]
    assert (finding.level, finding.text[:6]) == (Level.FAIL, "1 of 6")
    assert "studies discard" in finding.next_step


def test_a_file_that_is_gone_and_one_without_a_row(road: Road) -> None:
    first, second, *_ = road.spool.instance_files()
    first.unlink()
    assert "1 rows have lost their file" in bad(road)["rows and files"].text
    with road.database.write() as connection:
        others = text("DELETE FROM instance WHERE file != :file")
        connection.execute(others, {"file": second.name})
    finding = bad(road)["rows and files"]
    assert (finding.level, finding.text[:17]) == (Level.WARN, "4 files have no r")


def test_a_result_that_was_altered_before_it_was_sent(road: Road) -> None:
    (job,) = road.jobs()
    road.objects(job)["sr"].write_bytes(b"something else")
    assert "of 1 jobs" in bad(road)["unsent results"].text


def test_a_folder_of_results_that_no_job_has(road: Road) -> None:
    road.spool.outbox_path("ab" * 32).mkdir(parents=True)
    assert bad(road)["outbox"].text.startswith("1 folders of 2 belong to no job")


def test_books_that_do_not_say_what_the_rows_say(road: Road, tmp_path: Path) -> None:
    with road.database.write() as connection:
        connection.exec_driver_sql("UPDATE tally SET number = 9 WHERE book = 'job' AND number = 1")
    finding = bad(road)["tallies"]
    assert "job ready: 9 in the books, 1 counted" in finding.text
    assert "--correct" in finding.next_step
    Operator(tmp_path, road.config).ask("doctor", "--correct")
    assert bad(road) == {}


def test_a_clock_that_was_set_back(road: Road) -> None:
    with road.database.write() as connection:
        later = text("UPDATE study SET last_received_at = :at")
        connection.execute(later, {"at": road.database.now() + 3600})
    assert "it was set back" in bad(road)["clock"].text


def test_a_peer_that_is_not_configured_any_more(road: Road) -> None:
    gone = road.config.model_copy(update={"peers": {}})
    checks = {each.check: each for each in examine(gone, road.spool, road.database, every=False)}
    assert "objects wait for it, and it is not configured" in checks["peer archive"].text


def test_a_peer_that_has_taken_nothing_for_long(road: Road) -> None:
    with road.database.write() as connection:
        connection.exec_driver_sql("UPDATE delivery SET created_at = created_at - 7200")
    finding = bad(road)["peer archive"]
    assert "the oldest since 2.0 h ago" in finding.text
    assert "dicom-ai-node echo archive" in finding.next_step


@pytest.mark.fault("G9")
def test_a_database_that_is_damaged(road: Road) -> None:
    road.database.close()
    content = bytearray(road.database.path.read_bytes())
    content[8192:40_960] = os.urandom(32_768)
    road.database.path.write_bytes(content)
    finding = bad(road)["database"]
    assert finding.level is Level.FAIL
    assert "restore a backup" in finding.next_step


def test_the_database_of_another_version(road: Road) -> None:
    with sqlite3.connect(road.database.path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0004'")
    connection.close()
    assert "db upgrade" in bad(road)["database"].next_step


@pytest.mark.parametrize(
    ("left", "level"),
    [(400 * DAY, Level.OK), (29 * DAY, Level.WARN), (-1 * DAY, Level.FAIL)],
)
def test_certificates_are_warned_of_before_they_end(
    config: Config, tmp_path: Path, left: timedelta, level: Level
) -> None:
    authority = Authority.make(tmp_path)
    end = authority.own.x509.not_valid_after_utc
    tls = PeerTlsSettings(ca=authority.own.certificate)
    peer = DimsePeer(kind="dimse", ae_title="PACS", host="h", port=104, tls=tls)
    settings = config.model_copy(update={"peers": {"pacs": peer}})
    (finding,) = certificates.examine(settings, now=end - left)
    assert (finding.check, finding.level) == ("peers.pacs.tls.ca", level)


def test_the_certificate_of_the_page_is_warned_of_too(config: Config, tmp_path: Path) -> None:
    shown = Authority.make(tmp_path).issue("web")
    tls = WebTlsSettings(certificate=shown.certificate, key=shown.key)
    settings = config.model_copy(update={"web": WebSettings(tls=tls)})
    (finding,) = certificates.examine(settings, now=shown.x509.not_valid_after_utc - DAY)
    assert (finding.check, finding.level) == ("web.tls.certificate", Level.WARN)
    assert "start the node again" in finding.next_step


def test_a_certificate_that_cannot_be_read(config: Config, tmp_path: Path) -> None:
    tls = PeerTlsSettings(ca=tmp_path / "none.pem")
    peer = DimsePeer(kind="dimse", ae_title="PACS", host="h", port=104, tls=tls)
    settings = config.model_copy(update={"peers": {"pacs": peer}})
    (finding,) = certificates.examine(settings, now=datetime.now(UTC))
    assert finding.level is Level.FAIL


@pytest.mark.fault("G13")
def test_a_spool_on_a_network_is_told_from_one_on_a_disk() -> None:
    mounts = (
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "40 22 0:50 / /mnt/with\\040space rw shared:1 - nfs4 server:/x rw\n"
    )
    assert machine.kind_of_file_system(Path("/mnt/with space/var"), mounts) == "nfs4"
    assert machine.kind_of_file_system(Path("/mnt/with"), mounts) == "ext4"


def test_who_runs_is_seen_without_standing_in_the_way(road: Road) -> None:
    with road.spool.lock("receive"), road.spool.lock("work"):
        assert found(road)["roles"].text == "these do not run on this spool: deliver"


def test_the_verb_fails_where_something_has_failed(road: Road, tmp_path: Path) -> None:
    operator = Operator(tmp_path, road.config)
    status, said = operator.ask("doctor")
    assert (status, "ok    tallies" in said) == (0, True), said
    next(iter(road.spool.instance_files())).unlink()
    status, said = operator.ask("doctor")
    assert status == 1
    assert "fail  rows and files" in said


def test_what_is_pending_of_a_cancelled_job_waits_for_nobody(road: Road) -> None:
    with road.database.write() as connection:
        enqueued(connection)
        job = claimed(connection)
        publish(connection, job)
        current = jobs.find(connection, job.id)
        assert current is not None
        jobs.move(connection, current, jobs.JobState.CANCELLED, now=road.database.now())
    assert "peer pacs" not in found(road)
