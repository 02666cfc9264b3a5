"""`import`: files of a backlog or a CD, stored with the promises of C-STORE."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    MRImageStorage,
)
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import AlreadyRunning
from dicom_ai_node.header import data_of
from dicom_ai_node.receive.import_check import Fate, Outcome
from dicom_ai_node.receive.imported import from_folder
from dicom_ai_node.receive.importing import Importer
from dicom_ai_node.receive.part10_file import files_below
from dicom_ai_node.receive.rescan import IMPORT_LOCK, Found, rescan
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.spool import Spool
from tests.dicom_factory import write
from tests.made import configuration, empty_place
from tests.receive.scu import association, encoded, part10, slices


@pytest.fixture
def cd(tmp_path: Path) -> Path:
    folder = tmp_path / "cd"
    folder.mkdir()
    return folder


@pytest.fixture
def importer(config: Config, spool: Spool, database: Database) -> Importer:
    return Importer(config, spool, database, calling_ae_title="CD", said=from_folder(Path()))


def run(importer: Importer, folder: Path) -> list[Outcome]:
    return list(importer.run(files_below(folder), threading.Event()))


def fates(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """By the file's name: the fate, and the status where it was not taken."""
    return {
        each.path.name: each.fate + (f" {each.answer.status:04X}" if each.answer.status else "")
        for each in outcomes
    }


def rows(database: Database, ds: Dataset) -> dict[str, str]:
    with database.read() as connection:
        study = studies.find(connection, ds.StudyInstanceUID)
        found = studies.instance_rows(connection, study["id"]) if study else []
        return {row["sop_instance_uid"]: row["file"] for row in found}


def a_file(path: Path, ds: Dataset, **meta: str) -> Path:
    meta = {"sop_instance_uid": ds.SOPInstanceUID, "sop_class_uid": ds.SOPClassUID} | meta
    return part10(path, encoded(ds), syntax=ds.file_meta.TransferSyntaxUID, **meta)


def configured(home: Path, **node: object) -> Path:
    """The same node as the fixtures', as files for the command line."""
    settings = configuration(home, node=node).model_dump(mode="json", by_alias=True)
    folder = home / "config"
    folder.mkdir()
    (folder / "node.yaml").write_text(json.dumps({**settings, "routes": []}))
    return folder


def command(cd: Path, config: Path) -> list[str]:
    words = ["import", str(cd), "--json", "--config", str(config)]
    return [sys.executable, "-m", "dicom_ai_node", *words]


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian],
    ids=lambda syntax: syntax.name,
)
def test_what_is_stored_is_what_was_in_the_file(
    importer: Importer, spool: Spool, database: Database, cd: Path, syntax: str
) -> None:
    """Every byte after the meta group, behind a meta group of ours (P2)."""
    (ds,) = slices()
    ds.file_meta.TransferSyntaxUID = syntax
    path = a_file(cd / "one", ds)
    path.write_bytes(path.read_bytes() + b"\xfc\xff\xfc\xff\0\0\0\0")  # implicit: padding
    if syntax != ImplicitVRLittleEndian:
        a_file(cd / "one", ds)
    (outcome,) = run(importer, cd)
    assert outcome.fate is Fate.STORED
    kept = spool.instance_path(rows(database, ds)[ds.SOPInstanceUID])
    assert bytes(data_of(kept.read_bytes())) == bytes(data_of(path.read_bytes()))
    meta = dcmread(kept).file_meta
    assert meta.TransferSyntaxUID == syntax
    assert (meta.SourceApplicationEntityTitle, meta.ReceivingApplicationEntityTitle) == (
        "CD",
        "AI_NODE",
    )
    with database.read() as connection:
        study = studies.find(connection, ds.StudyInstanceUID)
    assert study is not None
    assert (study["calling_ae_title"], study["state"]) == ("CD", "receiving")


def test_a_second_run_stores_nothing_and_writes_nothing(
    importer: Importer, spool: Spool, database: Database, cd: Path
) -> None:
    made = slices(3)
    write(made, cd)
    assert Counter(each.fate for each in run(importer, cd)) == {Fate.STORED: 3}
    before = rows(database, made[0])
    there = {path: path.stat().st_mtime_ns for path in spool.instances.rglob("*")}
    assert Counter(each.fate for each in run(importer, cd)) == {Fate.KNOWN: 3}
    assert rows(database, made[0]) == before
    assert {path: path.stat().st_mtime_ns for path in spool.instances.rglob("*")} == there


def test_no_place_is_left_for_a_rescan_to_remove(
    importer: Importer, spool: Spool, database: Database, cd: Path
) -> None:
    write(slices(3), cd)
    run(importer, cd)
    assert len(list(spool.instances.glob("??/*.dcm"))) == 3
    assert rescan(spool, database) == Found()


def test_a_file_that_lies_there_twice_is_stored_once(
    importer: Importer, database: Database, cd: Path
) -> None:
    (ds,) = slices()
    for name in ("a", "b"):
        write([ds], cd / name)
    fates = Counter(each.fate for each in run(importer, cd))
    assert fates == {Fate.STORED: 1, Fate.KNOWN: 1}
    assert len(rows(database, ds)) == 1


def test_what_else_is_on_a_cd_is_passed_over(importer: Importer, cd: Path) -> None:
    """The catalogue, the viewer, what it runs on; nothing waits on a pipe."""
    (ds,) = slices()
    a_file(cd / "IM1", ds)
    a_file(cd / "DICOMDIR", ds, sop_class_uid=MediaStorageDirectoryStorage)
    (cd / "VIEWER.EXE").write_bytes(b"MZ" + bytes(1000))
    (cd / "autorun.inf").write_text("[autorun]\nopen=VIEWER.EXE")
    (cd / "empty").touch()
    (cd / "nowhere").symlink_to(cd / "gone")
    os.mkfifo(cd / "pipe")
    found = fates(run(importer, cd))
    assert found.pop("nowhere") == "refused C000"
    assert found.pop("DICOMDIR") == "passed_over"
    assert {found.pop(name) for name in ("VIEWER.EXE", "autorun.inf", "empty")} == {"passed_over"}
    assert list(found.values()) == ["stored"]


def test_a_broken_file_stops_no_other(importer: Importer, database: Database, cd: Path) -> None:
    made = slices(6)
    good, other_class, other_uid, cut, _, program = made
    a_file(cd / "good", good)
    a_file(cd / "other-class", other_class, sop_class_uid=MRImageStorage)
    a_file(cd / "other-uid", other_uid, sop_instance_uid="1.2.3")
    path = a_file(cd / "cut", cut)
    path.write_bytes(path.read_bytes()[:-9])
    (cd / "meta").write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x10\x00UI\xff\xff" + bytes(40))
    (cd / "nothing-else").write_bytes(bytes(128) + b"DICM")
    path = a_file(cd / "program", program)
    path.write_bytes(b"MZ" + path.read_bytes()[2:])
    assert fates(run(importer, cd)) == {
        "good": "stored",
        "other-class": "refused A900",
        "other-uid": "refused A900",
        "cut": "refused C000",
        "meta": "refused C000",
        "nothing-else": "refused C000",
        "program": "refused C000",
    }
    assert list(rows(database, good)) == [good.SOPInstanceUID]


def test_a_wrong_length_of_the_meta_group_is_not_believed(
    importer: Importer, spool: Spool, database: Database, cd: Path
) -> None:
    (ds,) = slices()
    path = a_file(cd / "one", ds)
    content = bytearray(path.read_bytes())
    data = bytes(data_of(bytes(content)))
    content[140:144] = (7).to_bytes(4, "little")
    path.write_bytes(content)
    assert fates(run(importer, cd)) == {"one": "stored"}
    kept = spool.instance_path(rows(database, ds)[ds.SOPInstanceUID])
    assert bytes(data_of(kept.read_bytes())) == data


@pytest.mark.fault("B14")
def test_what_no_peer_may_send_is_not_imported(importer: Importer, cd: Path) -> None:
    """A document is no failure: it has no images; a deflated image and a private class are."""
    document, private, deflated = slices(3)
    document.SOPClassUID = EncapsulatedPDFStorage
    private.SOPClassUID = "1.3.12.2.1107.5.9.1"
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    for name, ds in (("document", document), ("private", private), ("deflated", deflated)):
        a_file(cd / name, ds)
    assert fates(run(importer, cd)) == {
        "document": "not_taken 0122",
        "private": "refused 0122",
        "deflated": "refused 0122",
    }


@pytest.mark.parametrize(
    "config",
    [{"node": {"accept_deflated": True, "accept_sop_classes": [EncapsulatedPDFStorage]}}],
    indirect=True,
)
def test_what_the_configuration_lets_in_is_imported(importer: Importer, cd: Path) -> None:
    document, deflated = slices(2)
    document.SOPClassUID = EncapsulatedPDFStorage
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    a_file(cd / "document", document)
    a_file(cd / "deflated", deflated)
    assert fates(run(importer, cd)) == {"document": "stored", "deflated": "stored"}


def test_the_same_uid_with_other_contents_is_kept_aside(
    importer: Importer, spool: Spool, database: Database, cd: Path
) -> None:
    """And the study waits for a person (P3)."""
    (ds,) = slices()
    a_file(cd / "a", ds)
    ds.PatientComments = "another"
    a_file(cd / "b", ds)
    assert fates(run(importer, cd)) == {"a": "stored", "b": "refused 0111"}
    with database.read() as connection:
        study = studies.find(connection, ds.StudyInstanceUID)
    assert study is not None
    assert study["state"] == "needs_review"
    (kept,) = spool.conflict.rglob("*.dcm")
    assert data_of(kept.read_bytes()) == encoded(ds)


def test_an_instance_whose_file_was_lost_comes_back(
    importer: Importer, spool: Spool, database: Database, cd: Path
) -> None:
    (ds,) = slices()
    a_file(cd / "one", ds)
    run(importer, cd)
    spool.instance_path(rows(database, ds)[ds.SOPInstanceUID]).unlink()
    assert fates(run(importer, cd)) == {"one": "known"}
    assert spool.instance_path(rows(database, ds)[ds.SOPInstanceUID]).is_file()


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"limits": {"object_bytes": 100}}, "refused A700"),
        ({"limits": {"study_instances": 2}}, "refused C001"),
        ({"limits": {"space_soft_mb": 10**9}}, "refused A700"),
        ({"limits": {"space_hard_mb": 10**9, "space_soft_mb": 0}}, "refused A700"),
        ({"limits": {"waiting_studies": 1}}, "refused A700"),
    ],
    indirect=["config"],
)
def test_limits_hold_for_files_as_well(
    config: Config, spool: Spool, database: Database, cd: Path, expected: str
) -> None:
    """P17. There is one study already, of two instances."""
    for number in (2, 3):
        write(slices(number), cd)
        said = from_folder(Path())
        importer = Importer(config, spool, database, calling_ae_title="CD", said=said)
        found = fates(run(importer, cd))
    assert found["IM0002.dcm"] == expected


def test_a_large_file_is_never_in_memory(importer: Importer, cd: Path) -> None:
    (ds,) = slices()
    ds.Rows = ds.Columns = 4096
    ds.PixelData = bytes(2 * 4096 * 4096)
    a_file(cd / "large", ds)
    del ds.PixelData
    tracemalloc.start()
    try:
        assert fates(run(importer, cd)) == {"large": "stored"}
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_rescan_waits_for_an_import(spool: Spool, database: Database) -> None:
    """It would remove the place that an instance is being written to."""
    place = spool.instance_path(empty_place(spool))
    with spool.lock(IMPORT_LOCK), pytest.raises(AlreadyRunning):
        rescan(spool, database, wait_s=0)
    assert place.is_file()
    rescan(spool, database, wait_s=0)
    assert not place.is_file()


def test_a_rescan_comes_in_between_two_parts_of_a_long_import(
    importer: Importer, spool: Spool, database: Database, cd: Path
) -> None:
    made = slices(250)
    write(made, cd)
    outcomes: list[Outcome] = []
    importing = threading.Thread(target=lambda: outcomes.extend(run(importer, cd)))
    importing.start()
    while not rows(database, made[0]):
        assert importing.is_alive()
        time.sleep(0.01)
    rescan(spool, database)
    assert importing.is_alive(), "it had to wait for the end"
    importing.join()
    assert Counter(each.fate for each in outcomes) == {Fate.STORED: 250}
    assert all(spool.instance_path(file).is_file() for file in rows(database, made[0]).values())
    assert rescan(spool, database) == Found()


def test_a_peer_may_send_the_same_at_the_same_time(
    config: Config, spool: Spool, database: Database, cd: Path, tmp_path: Path
) -> None:
    """Two processes, of which each believes an instance is new: one row, one file, its bytes."""
    made = slices(80)
    write(made[::-1], cd)  # towards each other
    with Receiver(config, spool, database).running() as port, association(port) as assoc:
        process = subprocess.Popen(
            command(cd, configured(tmp_path)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        answers = set()
        while process.poll() is None:  # the whole study again and again
            answers |= {assoc.send_c_store(ds).Status for ds in made}
        answers |= {assoc.send_c_store(ds).Status for ds in made}
        said = json.loads(process.stdout.read())
        process.stdout.close()
    assert (process.returncode, answers) == (0, {0x0000})
    assert (said["stored"] + said["known"], said["refused"]) == (80, 0)
    kept = rows(database, made[0])
    assert kept.keys() == {ds.SOPInstanceUID for ds in made}
    for ds in made:
        path = spool.instance_path(kept[ds.SOPInstanceUID])
        assert data_of(path.read_bytes()) == encoded(ds)
    assert len(list(spool.instance_files())) == 80
    assert rescan(spool, database) == Found()


def test_what_was_imported_while_a_receiver_runs_is_known_to_it(
    receiver: int, importer: Importer, spool: Spool, database: Database, cd: Path
) -> None:
    """The receiver has not seen it come, and learns it from the table."""
    made = slices(5)
    write(made, cd)
    run(importer, cd)
    before = rows(database, made[0])
    with association(receiver) as assoc:
        assert {assoc.send_c_store(ds).Status for ds in made} == {0x0000}
    assert rows(database, made[0]) == before
    assert {path.name for path in spool.instance_files()} == set(before.values())


def test_an_imported_instance_whose_file_was_lost_comes_back_from_a_peer(
    receiver: int, importer: Importer, spool: Spool, database: Database, cd: Path
) -> None:
    """The receiver takes it for new, and acknowledges it: so it must be there."""
    (ds,) = slices()
    a_file(cd / "one", ds)
    run(importer, cd)
    spool.instance_path(rows(database, ds)[ds.SOPInstanceUID]).unlink()
    with association(receiver) as assoc:
        assert assoc.send_c_store(ds).Status == 0x0000
    kept = spool.instance_path(rows(database, ds)[ds.SOPInstanceUID])
    assert data_of(kept.read_bytes()) == encoded(ds)
    assert rescan(spool, database) == Found()


def test_two_contents_from_two_sides_wait_for_a_person(
    receiver: int, importer: Importer, spool: Spool, database: Database, cd: Path
) -> None:
    """The receiver finds out when it commits its row (P3): the first stays, the second is aside."""
    (ds,) = slices()
    a_file(cd / "one", ds)
    run(importer, cd)
    first = encoded(ds)
    ds.PatientComments = "another"
    with association(receiver) as assoc:
        assert assoc.send_c_store(ds).Status in (0x0000, 0x0111)
    kept = spool.instance_path(rows(database, ds)[ds.SOPInstanceUID])
    assert data_of(kept.read_bytes()) == first
    (aside,) = spool.conflict.rglob("*.dcm")
    assert data_of(aside.read_bytes()) == encoded(ds)
    with database.read() as connection:
        study = studies.find(connection, ds.StudyInstanceUID)
    assert study is not None
    assert study["state"] == "needs_review"


def test_a_folder_that_cannot_be_looked_into_is_said(importer: Importer, cd: Path) -> None:
    assert fates(run(importer, cd / "gone")) == {"gone": "refused C000"}


def test_a_killed_import_is_finished_by_the_next(
    spool: Spool, database: Database, cd: Path, tmp_path: Path
) -> None:
    made = slices(200)
    write(made, cd)
    again = command(cd, configured(tmp_path))
    process = subprocess.Popen(again, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(rows(database, made[0])) < 20:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = rows(database, made[0])
    assert len(before) < 200
    rescan(spool, database)  # as the next start of the receiver does
    done = subprocess.run(again, capture_output=True, check=True)
    said = json.loads(done.stdout)
    assert said["stored"] + said["known"] == 200
    assert before.items() <= rows(database, made[0]).items()
    assert {path.name for path in spool.instance_files()} == set(rows(database, made[0]).values())
    assert rescan(spool, database) == Found()


def test_the_verb_says_what_was_not_taken_to_the_person_and_not_to_the_log(
    cd: Path, tmp_path: Path
) -> None:
    config = configured(tmp_path)
    good, bad = slices(2)
    a_file(cd / "good", good)
    a_file(cd / "DOE^JOHN", bad, sop_instance_uid="1.2.3")
    words = [word for word in command(cd, config) if word != "--json"]
    done = subprocess.run([*words, "--as", "CT1"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == (
        "2 files: 1 stored, 0 known already, 1 refused, 0 not taken here, 0 passed over\n"
    )
    said, logged = [], []
    for line in done.stderr.splitlines():
        (logged if line.startswith("{") else said).append(line)
    assert said == [
        f"{cd}/DOE^JOHN: A900 SOP class or instance of message and data set differ",
    ]
    assert [json.loads(line)["event"] for line in logged] == ["files_imported"]
    (cd / "DOE^JOHN").unlink()
    done = subprocess.run(command(cd, config), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {
        "files": 1,
        "stored": 0,
        "known": 1,
        "refused": 0,
        "not_taken": 0,
        "passed_over": 0,
        "stopped": False,
        "apart": [],
    }


def test_the_verb_says_what_is_wrong_with_its_arguments(tmp_path: Path) -> None:
    for words, message in (
        (["import", str(tmp_path / "gone")], "no such folder"),
        (["import", str(tmp_path), "--as", "A" * 17], "--as is no AE title"),
        (["import", str(tmp_path), "--as", " "], "--as is no AE title"),
    ):
        done = CliRunner().invoke(app, [*words, "--config", str(tmp_path)])
        assert done.exit_code == 1
        assert message in str(done.exception)
