"""Who did what: every verb that acts, before it does, in one place for all of them."""

import json
import os
import pwd
import stat
from pathlib import Path

import pytest

from dicom_ai_node.audit.acts import Actor
from dicom_ai_node.audit.lines import HEAD
from dicom_ai_node.audit.read import every_line
from dicom_ai_node.audit.trail import NotRecorded, Trail, this_person
from dicom_ai_node.audit.verify import verify
from dicom_ai_node.cli.acts import is_act, verbs
from dicom_ai_node.cli.app import app
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import jobs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import JobState
from dicom_ai_node.spool import Spool
from tests.audit.schema import assert_valid, event, identified, kind, messages, parties, subject
from tests.database.made import NOW, again, claimed, enqueued
from tests.dicom_factory import series
from tests.made import arrive
from tests.operator import Operator


@pytest.fixture
def operator(config: Config, database: Database, tmp_path: Path) -> Operator:
    return Operator(tmp_path, config)


@pytest.fixture
def folder(config: Config) -> Path:
    return config.node.spool / "audit"


def quarantined(database: Database) -> int:
    with database.write() as connection:
        enqueued(connection)
        job = claimed(connection)
        jobs.move(connection, job, JobState.QUARANTINED, now=NOW)
        return job.id


def test_an_act_is_recorded_with_who_and_on_what(
    operator: Operator, database: Database, folder: Path, tmp_path: Path
) -> None:
    job_id = quarantined(database)
    operator.must("jobs", "retry", str(job_id))
    (found,) = messages(folder)
    assert (event(found), kind(found)) == ("Security Alert", "Use of Restricted Function")
    assert identified(found, "job") == str(job_id)
    assert str(parties(found)[0]).startswith(f"{this_person().name}@")
    assert_valid([line.body for line in every_line(folder)], tmp_path)


def test_an_act_that_fails_is_recorded_as_asked_for_and_as_failed(
    operator: Operator, folder: Path
) -> None:
    assert operator.ask("jobs", "cancel", "99")[0] == 1
    asked, failed = messages(folder)
    assert (event(asked), event(failed)) == ("Security Alert", "Security Alert 4")
    assert identified(failed, "job") == "99"


def test_an_act_on_a_study_names_its_patient(
    operator: Operator, spool: Spool, database: Database, folder: Path
) -> None:
    instances = series(shape=(1, 4, 4), patient_id="P-9")
    arrive(spool, database, instances, now=NOW)
    operator.ask("studies", "judge", instances[0].StudyInstanceUID)
    assert identified(messages(folder)[0], "110180") == instances[0].StudyInstanceUID
    assert identified(messages(folder)[0], "2") == "P-9"


def test_what_reads_is_no_act_and_what_changes_the_software_is_configuration(
    operator: Operator, folder: Path
) -> None:
    operator.must("jobs", "list")
    operator.must("status")
    assert not folder.exists()
    operator.ask("models", "disable", "bright")
    assert kind(messages(folder)[0]) == "Software Configuration"
    assert identified(messages(folder)[0], "name") == "bright"


def test_an_act_that_cannot_be_recorded_is_not_done(
    operator: Operator, database: Database, folder: Path
) -> None:
    job_id = quarantined(database)
    folder.mkdir(parents=True)
    (folder / HEAD).mkdir()  # where a file should be
    status, said = operator.ask("jobs", "retry", str(job_id))
    assert status == 1
    assert "audit trail" in said
    assert "nothing was done" in said
    with database.read() as connection:
        (job,) = jobs.listing(connection)
    assert job.state is JobState.QUARANTINED
    (folder / HEAD).rmdir()
    operator.must("jobs", "retry", str(job_id))
    with database.read() as connection:
        assert again(connection, job).state is JobState.QUEUED


def test_every_verb_of_the_node_that_changes_something_is_an_act() -> None:
    """A list of those that are none: a new verb is one unless its name is that of a reading one."""
    every = {verb for verb, _ in verbs(app)}
    acts = {verb for verb in every if is_act(verb)}
    assert acts >= {
        *("import", "drain", "rescan", "purge", "backup", "restore", "db upgrade", "db rebuild"),
        *("jobs retry", "jobs cancel", "jobs prioritise", "studies judge", "studies discard"),
        *("studies missed", "results retract", "models install", "models remove"),
        *("models enable", "models disable"),
    }
    reading = {"status", "jobs list", "jobs show", "audit list", "audit verify", "check"}
    assert every - acts >= reading


def test_reading_the_trail_is_in_the_trail(
    operator: Operator, folder: Path, tmp_path: Path
) -> None:
    operator.ask("jobs", "cancel", "99")
    found = json.loads(operator.must("audit", "list", "--json"))
    assert [each["event"] for each in found] == [
        "Security Alert",
        "Security Alert",
        "Audit Log Used",
    ]
    assert found[1]["outcome"] == 4
    assert found[1]["what"] == "jobs cancel: it failed, or was refused (job 99)"
    said = operator.must("audit", "list", "--since", "2020-01-01")
    assert "jobs cancel (job 99)" in said
    assert json.loads(operator.must("audit", "list", "--json", "--study", "1.2.3")) == []
    assert operator.ask("audit", "list", "--since", "yesterday")[0] == 1
    used = messages(folder)[2]
    assert identified(used, "12") == folder.as_uri()
    assert_valid([line.body for line in every_line(folder)], tmp_path)


def test_a_name_that_colours_a_terminal_does_not(
    operator: Operator, spool: Spool, database: Database
) -> None:
    instances = series(shape=(1, 4, 4), patient_id="P\u202e-9")
    arrive(spool, database, instances, now=NOW)
    operator.ask("studies", "judge", instances[0].StudyInstanceUID)
    said = operator.must("audit", "list")
    assert "\u202e" not in said
    assert "P\\u202e-9" in said


def test_verify_says_what_was_changed_and_ends_with_1(operator: Operator, folder: Path) -> None:
    operator.ask("jobs", "cancel", "99")
    assert "No line was changed or taken out." in operator.must("audit", "verify")
    (file,) = folder.glob("*.log")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_bytes(file.read_bytes().replace(b'"99"', b'"98"', 1))
    status, said = operator.ask("audit", "verify")
    assert status == 1
    assert "line 1 was changed" in said
    assert verify(folder).faults


def test_signing_in_and_seeing_images_have_messages_of_their_own(
    trail: Trail, spool: Spool, database: Database, tmp_path: Path
) -> None:
    instances = series(shape=(1, 4, 4))
    arrive(spool, database, instances, now=NOW)
    uid = str(instances[0].StudyInstanceUID)
    somebody = Actor(name="dr.who", through="web page", address="10.0.0.7")
    trail.acted(somebody, "sign in", succeeded=False)
    trail.acted(somebody, "sign in")
    trail.acted(somebody, "preview", study_instance_uid=uid)
    trail.acted(somebody, "studies delete", study_instance_uid=uid)
    trail.acted(somebody, "tokens revoke", subject="ward")
    found = messages(trail.folder)
    assert [event(each) for each in found] == [
        "User Authentication 4",
        "User Authentication",
        "DICOM Instances Accessed",
        "DICOM Study Deleted",
        "Security Alert",
    ]
    assert [kind(each) for each in found[:2]] == ["Login", "Login"]
    assert kind(found[4]) == "User Security Attributes Changed"
    person = found[2].find("ActiveParticipant")
    assert person is not None
    assert person.get("UserID") == "dr.who"
    assert person.get("NetworkAccessPointID") == "10.0.0.7"
    assert subject(found[3], "2") is not None
    assert_valid([line.body for line in every_line(trail.folder)], tmp_path)


def test_the_account_behind_sudo_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.getuid():
        pytest.skip("only root may be somebody behind sudo")
    monkeypatch.setenv("SUDO_USER", "alice")
    account = pwd.getpwuid(0).pw_name
    assert this_person().name in (f"alice as {account}", account)  # the kernel knows better


def test_a_trail_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("no folder")
    with pytest.raises(NotRecorded, match="free space there, or give it back"):
        Trail(tmp_path / "audit").acted(Actor(name="a", through="node"), "jobs retry")
