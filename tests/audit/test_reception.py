"""What comes in, and who is turned away."""

import base64
import fcntl
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_ai_node.audit.lines import HEAD, locked
from dicom_ai_node.audit.read import every_line
from dicom_ai_node.audit.trail import Trail
from dicom_ai_node.audit.verify import verify
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.doctor import senders
from dicom_ai_node.doctor.finding import Level
from dicom_ai_node.receive import strangers
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.spool import Spool
from tests.audit.schema import assert_valid, event, identified, kind, messages, parties, subject
from tests.dicom_factory import series
from tests.operator import Operator
from tests.receive.scu import association, refusal, slices


def wait(test: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not test():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def send(port: int, instances: list[Dataset], **titles: str) -> list[int]:
    with association(port, **titles) as assoc:
        return [assoc.send_c_store(ds).Status for ds in instances]


def classes(message: ET.Element) -> dict[str | None, str | None]:
    found = subject(message, "110180")
    assert found is not None
    return {each.get("UID"): each.get("NumberOfInstances") for each in found.iter("SOPClass")}


def test_an_association_has_a_message_for_each_study(
    receiver: int, trail: Trail, tmp_path: Path
) -> None:
    one = series(name="one", shape=(3, 4, 4), patient_id="P<1>&\"2'", patient_name="Ä^Ö=山^田")
    other = series(name="other", shape=(1, 4, 4), patient_id="P-2")
    assert set(send(receiver, [*one, *other])) == {0}
    wait(lambda: len(messages(trail.folder)) == 2)
    first, second = messages(trail.folder)
    assert event(first) == "DICOM Instances Transferred"
    assert identified(first, "110180") == one[0].StudyInstanceUID
    assert identified(first, "2") == "P<1>&\"2'"
    patient = subject(first, "2")
    assert patient is not None
    assert patient.findtext("ParticipantObjectName") == "Ä^Ö=山^田"
    assert classes(first) == {one[0].SOPClassUID: "3"}
    assert identified(second, "2") == "P-2"
    source, here = first.findall("ActiveParticipant")
    assert source.attrib == {
        "UserID": "PACS",
        "AlternativeUserID": "AETITLES=PACS",
        "UserIsRequestor": "true",
        "NetworkAccessPointID": "127.0.0.1",
        "NetworkAccessPointTypeCode": "2",
    }
    assert here.get("AlternativeUserID") == "AETITLES=AI_NODE"
    assert_valid([line.body for line in every_line(trail.folder)], tmp_path)


def test_what_was_here_already_and_what_was_refused_are_told_apart(
    receiver: int, trail: Trail, tmp_path: Path
) -> None:
    (known,) = slices()
    send(receiver, [known])
    wait(lambda: len(messages(trail.folder)) == 1)
    changed = slices()[0]
    changed.PatientComments = "other contents"
    bad = slices(name="bad")[0]
    del bad.StudyInstanceUID
    assert send(receiver, [known, changed, bad]) == [0x0000, 0x0111, 0xC000]
    wait(lambda: len(messages(trail.folder)) == 4)
    again, conflict, unreadable = messages(trail.folder)[1:]
    found = again.find("EventIdentification")
    assert found is not None
    assert found.get("EventActionCode") == "R"
    assert identified(again, "2") == "PHANTOM-1"
    assert event(conflict) == event(unreadable) == "DICOM Instances Transferred 4"
    assert identified(conflict, "110180") == known.StudyInstanceUID
    assert "0111" in conflict.findtext("EventIdentification/EventOutcomeDescription", "")
    assert identified(unreadable, "110180") is None
    assert identified(unreadable, "110181") == bad.SOPClassUID
    assert_valid([line.body for line in every_line(trail.folder)], tmp_path)


def test_an_association_that_breaks_has_its_message(receiver: int, trail: Trail) -> None:
    (ds,) = slices()
    with association(receiver) as assoc:
        assert assoc.send_c_store(ds).Status == 0
        assoc.abort()
    wait(lambda: messages(trail.folder))
    assert event(messages(trail.folder)[0]) == "DICOM Instances Transferred"


def test_who_is_not_known_is_a_security_alert_once_a_minute(
    receiver: int, trail: Trail, tmp_path: Path
) -> None:
    for _ in range(3):
        with association(receiver, calling="INTRUDER") as assoc:
            assert refusal(assoc) == (1, 1, 3)
    with association(receiver, called="ANOTHER") as assoc:
        assert refusal(assoc) == (1, 1, 7)
    wait(lambda: len(messages(trail.folder)) == 2)
    title, called = messages(trail.folder)
    assert event(title) == event(called) == "Security Alert 4"
    assert kind(title) == "Node Authentication"
    assert "INTRUDER" in parties(title)
    assert identified(title, "110182") == "127.0.0.1"
    detail = title.find(".//ParticipantObjectDetail")
    assert detail is not None
    assert b"no entry of accept" in base64.b64decode(detail.get("value", ""))
    assert send(receiver, slices()) == [0]  # the one who is known
    assert_valid([line.body for line in every_line(trail.folder)], tmp_path)


@pytest.mark.parametrize("config", [{"accept": []}], indirect=True)
def test_an_address_that_nobody_named_is_a_security_alert(receiver: int, trail: Trail) -> None:
    with association(receiver):
        pass
    wait(lambda: messages(trail.folder))
    assert event(messages(trail.folder)[0]) == "Security Alert 4"


def test_a_flood_of_strangers_does_not_fill_the_trail(trail: Trail) -> None:
    strangers._rate._number = 0
    for number in range(500):
        strangers.alert("connection_from_stranger", f"10.0.{number // 250}.{number % 250}", {})
    wait(lambda: len(messages(trail.folder)) == strangers._MOST_A_MINUTE)
    strangers._rate._began = 0.0


@contextmanager
def hanging(trail: Trail) -> Iterator[None]:
    """Another process holds its lock, for as long as it likes."""
    trail.folder.mkdir(exist_ok=True)
    with locked(trail.folder, fcntl.LOCK_EX):
        yield


@pytest.mark.parametrize("config", [{"limits": {"associations_per_peer": 1}}], indirect=True)
def test_a_trail_that_hangs_keeps_nobody_from_storing(receiver: int, trail: Trail) -> None:
    """Neither holds it the place of an association, nor is it waited for where peers come in."""
    sent = [slices(name=f"study {number}") for number in range(4)]
    with hanging(trail):
        for each in sent:
            assert send(receiver, each) == [0]
            strangers.alert("connection_from_stranger", "10.0.0.7", {})
        assert messages(trail.folder) == []
    wait(lambda: len(messages(trail.folder)) == 2 * len(sent))
    assert verify(trail.folder).faults == ()


def test_a_trail_that_cannot_be_written_keeps_nobody_from_storing(
    config: Config, spool: Spool, database: Database, trail: Trail
) -> None:
    """What came is never refused for it; the log says so, and lines after it are whole."""
    trail.folder.mkdir()
    (trail.folder / HEAD).mkdir()  # where a file should be
    with Receiver(config, spool, database).running() as port:
        assert send(port, slices()) == [0]
        (trail.folder / HEAD).rmdir()
        assert send(port, slices(name="later")) == [0]
        wait(lambda: messages(trail.folder))
    assert verify(trail.folder).faults == ()


def test_doctor_and_the_list_say_who_was_turned_away(
    receiver: int, trail: Trail, config: Config, spool: Spool, tmp_path: Path
) -> None:
    assert [each.level for each in senders.examine(config, spool)] == [Level.OK]
    with association(receiver, calling="ORTHANC") as assoc:
        assert refusal(assoc) == (1, 1, 3)
    wait(lambda: messages(trail.folder))
    (found,) = senders.examine(config, spool)
    assert found.level is Level.WARN
    assert "turned away once in the last 24 hours, the last from 127.0.0.1 as ORTHANC" in found.text
    assert "in one entry of accept" in found.next_step
    listed = Operator(tmp_path, config).must("audit", "list")
    assert ", with ORTHANC at 127.0.0.1" in listed

    entry = config.accept[0].model_copy(update={"ae_title": "ORTHANC"})
    mended = config.model_copy(update={"accept": (*config.accept, entry)})
    assert [each.level for each in senders.examine(mended, spool)] == [Level.OK]

    with association(receiver, called="ANOTHER") as assoc:
        assert refusal(assoc) == (1, 1, 7)
    wait(lambda: len(messages(trail.folder)) > 2)
    (found,) = senders.examine(mended, spool)
    assert found.level is Level.WARN
    assert "node.ae_title" in found.next_step
