"""The storage SCP as a modality sees it: a real association over a real socket."""

import hashlib
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    MRImageStorage,
)
from pynetdicom import ALL_TRANSFER_SYNTAXES, _config, build_context
from pynetdicom.association import Association

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import schema, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.header import data_of
from dicom_ai_node.receive.admission import Admission
from dicom_ai_node.receive.negotiation import DEFLATED, VIDEO
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.spool import Spool
from dicom_ai_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, derived_uid
from tests.made import configuration
from tests.receive.scu import CT, ECHO, association, encoded, part10, rejection, slices

DEFLATED_CT = build_context(CTImageStorage, DeflatedExplicitVRLittleEndian)


@pytest.fixture
def _files_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """pynetdicom then sends the bytes of a file, and makes the command set of its meta group."""
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)


def rows(database: Database, study_instance_uid: str) -> dict[str, str]:
    """SOP Instance UID and file of what the table has."""
    with database.read() as connection:
        study = studies.find(connection, study_instance_uid)
        found = studies.instance_rows(connection, study["id"]) if study else []
        return {row["sop_instance_uid"]: row["file"] for row in found}


def kept_in(path: Path) -> bytes:
    return bytes(data_of(path.read_bytes()))


def state(database: Database, ds: Dataset) -> str:
    with database.read() as connection:
        row = studies.find(connection, ds.StudyInstanceUID)
    assert row is not None
    return str(row["state"])


def test_echo(receiver: int) -> None:
    with association(receiver) as assoc:
        assert assoc.send_c_echo().Status == 0x0000
        assert assoc.acceptor.implementation_class_uid == IMPLEMENTATION_CLASS_UID
        assert assoc.acceptor.implementation_version_name == IMPLEMENTATION_VERSION_NAME


def compressed(syntax: UID) -> Dataset:
    (ds,) = slices(name=f"in {syntax}")
    ds.file_meta.TransferSyntaxUID = syntax
    if syntax.is_compressed and not syntax.is_deflated:
        ds.PixelData = encapsulate([b"not really a frame"])
        ds["PixelData"].is_undefined_length = True
    return ds


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, JPEGLosslessSV1],
    ids=lambda syntax: syntax.name,
)
def test_what_is_stored_is_what_was_sent(
    receiver: int, spool: Spool, database: Database, syntax: UID
) -> None:
    """Every byte of the data set, behind a meta group of ours (P2)."""
    ds = compressed(syntax)
    with association(receiver, [build_context(CTImageStorage, syntax)]) as assoc:
        assert assoc.send_c_store(ds).Status == 0x0000
    path = spool.instance_path(rows(database, ds.StudyInstanceUID)[ds.SOPInstanceUID])
    assert kept_in(path) == encoded(ds)
    stored = pydicom.dcmread(path)
    assert stored.file_meta.TransferSyntaxUID == syntax
    assert stored.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert stored.file_meta.SourceApplicationEntityTitle == "PACS"
    assert stored.file_meta.ReceivingApplicationEntityTitle == "AI_NODE"
    assert stored.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert path.read_bytes()[:132] == bytes(128) + b"DICM"
    with database.read() as connection:
        study = studies.find(connection, ds.StudyInstanceUID)
        (row,) = studies.instance_rows(connection, study["id"])
    assert row["sha256"] == hashlib.sha256(encoded(ds)).hexdigest()
    assert (row["transfer_syntax_uid"], row["size"]) == (syntax, len(encoded(ds)))
    assert (study["calling_ae_title"], study["called_ae_title"]) == ("PACS", "AI_NODE")


def test_every_transfer_syntax_but_deflated_and_video_is_taken(
    receiver: int, database: Database
) -> None:
    contexts = [build_context(CTImageStorage, syntax) for syntax in ALL_TRANSFER_SYNTAXES]
    with association(receiver, contexts) as assoc:
        accepted = {cx.transfer_syntax[0] for cx in assoc.accepted_contexts}
        refused = {cx.transfer_syntax[0]: cx.result for cx in assoc.rejected_contexts}
        assert refused == dict.fromkeys((DEFLATED | VIDEO) & set(ALL_TRANSFER_SYNTAXES), 4)
        assert accepted | set(refused) == set(ALL_TRANSFER_SYNTAXES)
        for syntax in sorted(accepted):
            assert assoc.send_c_store(compressed(UID(syntax))).Status == 0x0000, syntax
    stored = [rows(database, compressed(UID(syntax)).StudyInstanceUID) for syntax in accepted]
    assert [len(found) for found in stored] == [1] * len(accepted)


@pytest.mark.parametrize("config", [{"node": {"accept_deflated": True}}], indirect=True)
def test_deflated_is_taken_where_it_is_switched_on(
    receiver: int, spool: Spool, database: Database
) -> None:
    ds = compressed(DeflatedExplicitVRLittleEndian)
    with association(receiver, [DEFLATED_CT]) as assoc:
        assert assoc.send_c_store(ds).Status == 0x0000
    path = spool.instance_path(rows(database, ds.StudyInstanceUID)[ds.SOPInstanceUID])
    assert kept_in(path) == encoded(ds)
    assert pydicom.dcmread(path).SOPInstanceUID == ds.SOPInstanceUID


def test_an_unknown_sop_class_is_not_accepted(receiver: int) -> None:
    with association(receiver, [CT, build_context("1.2.3.4")]) as assoc:
        assert [cx.result for cx in assoc.rejected_contexts] == [3]


def test_a_request_that_came_before_is_answered_as_before(receiver: int) -> None:
    """It is known byte for byte; the next peer's is another one."""
    (ds,) = slices()
    for contexts in ((CT, ECHO), (ECHO,), (CT, ECHO), (ECHO,)):
        with association(receiver, contexts) as assoc:
            accepted = {context.abstract_syntax for context in assoc.accepted_contexts}
            assert accepted == {context.abstract_syntax for context in contexts}
            if CT in contexts:
                assert assoc.send_c_store(ds).Status == 0x0000
            assert assoc.send_c_echo().Status == 0x0000


@pytest.mark.parametrize(
    ("calling", "called", "answer"),
    [
        ("STRANGER", "AI_NODE", (1, 1, 3)),
        ("PACS", "OTHER_NODE", (1, 1, 7)),
        ("STRANGER", "OTHER_NODE", (1, 1, 3)),
        ("pacs", "AI_NODE", (1, 1, 3)),
    ],
)
def test_who_is_not_known_is_told_why(
    receiver: int, calling: str, called: str, answer: tuple[int, int, int]
) -> None:
    with association(receiver, calling=calling, called=called) as assoc:
        assert rejection(assoc) == answer


TWO_ENTRIES = {
    "accept": [
        {"ae_title": "ELSEWHERE", "from": ["10.0.0.0/8", "fd00::/64"]},
        {"ae_title": "HERE", "from": ["10.0.0.0/8", "127.0.0.0/8"]},
    ]
}


@pytest.mark.parametrize("config", [TWO_ENTRIES], indirect=True)
def test_title_and_address_must_stand_in_one_entry(receiver: int) -> None:
    with association(receiver, calling="HERE") as assoc:
        assert assoc.is_established
    with association(receiver, calling="ELSEWHERE") as assoc:
        assert rejection(assoc) == (1, 1, 3)


@pytest.mark.parametrize("config", [{"accept": []}], indirect=True)
def test_nobody_may_store_until_somebody_is_named(receiver: int) -> None:
    """An address of which nothing is known gets no answer at all."""
    with association(receiver) as assoc:
        assert assoc.is_aborted


@pytest.mark.parametrize("config", [{"node": {"ae_title": ["ONE", "TWO"]}}], indirect=True)
def test_a_node_may_have_several_names(receiver: int, database: Database) -> None:
    for title in ("ONE", "TWO"):
        (ds,) = slices(name=title)
        with association(receiver, called=title) as assoc:
            assert assoc.send_c_store(ds).Status == 0x0000
        with database.read() as connection:
            assert studies.find(connection, ds.StudyInstanceUID)["called_ae_title"] == title


def test_a_draining_node_takes_no_new_association(
    config: Config, spool: Spool, database: Database
) -> None:
    """An association that is there already is served to its end (P13)."""
    one, two = slices(2)
    scp = Receiver(config, spool, database)
    with scp.running() as port, association(port) as before:
        assert before.send_c_store(one).Status == 0x0000
        scp.draining.set()
        with association(port) as after:
            assert rejection(after) == (2, 3, 1)
        assert before.send_c_store(two).Status == 0x0000
        before.release()
    assert len(rows(database, one.StudyInstanceUID)) == 2


def test_a_stopped_receiver_may_be_followed_by_another(config: Config, tmp_path: Path) -> None:
    for part in ("a", "b"):
        home = tmp_path / part
        again = configuration(home)
        database = Database(again.node.database)
        schema.upgrade(database)
        with Receiver(again, Spool(again.node.spool), database).running() as port:
            assert port > 0
        database.close()


@pytest.fixture
def assoc(receiver: int, _files_as_they_are: None) -> Iterator[Association]:
    with association(receiver) as established:
        assert established.is_established
        yield established


def with_uid(ds: Dataset, tag: int, value: bytes) -> bytes:
    """The data set's bytes with one UID replaced, whatever it is."""
    data = encoded(ds)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + b"UI"
    at = data.index(head)
    (length,) = struct.unpack_from("<H", data, at + 6)
    value += bytes(len(value) % 2)
    return data[: at + 6] + struct.pack("<H", len(value)) + value + data[at + 8 + length :]


BAD_UIDS = [
    b"",
    b"1.2." + b"3" * 61,  # 65 characters
    b"1..2",
    b"1.2.",
    b".1.2",
    b"../../etc/passwd",
    b"1.2.3/4",
    b"1.2.\xff",
    b"1.2.3\\1.2.4",
]


@pytest.mark.result_rule(4)
@pytest.mark.parametrize("tag", [0x00080018, 0x0020000D, 0x0020000E])
def test_an_odd_uid_is_refused_and_the_next_instance_is_not(
    assoc: Association, spool: Spool, database: Database, tmp_path: Path, tag: int
) -> None:
    odd, good = slices(2)
    for uid in BAD_UIDS:
        data = with_uid(odd, tag, uid)
        path = part10(tmp_path / "odd", data, sop_instance_uid=odd.SOPInstanceUID)
        answer = assoc.send_c_store(path)
        assert (uid, answer.Status) == (uid, 0xC000)
        assert answer.ErrorComment.endswith("UID is not a valid UID")
    path = part10(tmp_path / "good", encoded(good), sop_instance_uid=good.SOPInstanceUID)
    assert assoc.send_c_store(path).Status == 0x0000
    assoc.release()  # then the row is there
    assert set(rows(database, good.StudyInstanceUID)) == {good.SOPInstanceUID}
    assert len(list(spool.instance_files())) == 1


def test_leading_zeros_are_tolerated(assoc: Association, tmp_path: Path) -> None:
    (ds,) = slices()
    data = with_uid(ds, 0x0020000D, b"1.02.003")
    path = part10(tmp_path / "a", data, sop_instance_uid=ds.SOPInstanceUID)
    assert assoc.send_c_store(path).Status == 0x0000


def test_an_odd_uid_in_the_message_does_not_end_the_association(
    assoc: Association, database: Database, tmp_path: Path
) -> None:
    odd, good = slices(2)
    for uid in ("1..2", "1.2.", "abc"):
        path = part10(tmp_path / "odd", encoded(odd), sop_instance_uid=uid)
        assert assoc.send_c_store(path).Status == 0xA900
    path = part10(tmp_path / "good", encoded(good), sop_instance_uid=good.SOPInstanceUID)
    assert assoc.send_c_store(path).Status == 0x0000
    assoc.release()  # then the row is there
    assert set(rows(database, good.StudyInstanceUID)) == {good.SOPInstanceUID}


@pytest.mark.parametrize(
    "said",
    [
        {"sop_instance_uid": "1.2.3.4"},
        {"sop_class_uid": MRImageStorage},
    ],
    ids=["instance", "class"],
)
@pytest.mark.usefixtures("_files_as_they_are")
def test_message_and_data_set_must_agree(
    receiver: int,
    database: Database,
    tmp_path: Path,
    said: dict[str, str],
) -> None:
    (ds,) = slices()
    names = {"sop_instance_uid": ds.SOPInstanceUID} | said
    contexts = [CT, build_context(MRImageStorage, ExplicitVRLittleEndian)]
    with association(receiver, contexts) as assoc:
        answer = assoc.send_c_store(part10(tmp_path / "a", encoded(ds), **names))
    assert answer.Status == 0xA900
    assert "differ" in answer.ErrorComment
    assert rows(database, ds.StudyInstanceUID) == {}


@pytest.mark.result_rule(4)
@pytest.mark.parametrize(
    "keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
)
def test_a_missing_uid_is_named(assoc: Association, tmp_path: Path, keyword: str) -> None:
    (ds,) = slices()
    del ds[keyword]
    path = part10(tmp_path / "a", encoded(ds), sop_instance_uid="1.2.3")
    answer = assoc.send_c_store(path)
    assert (answer.Status, len(answer.ErrorComment) <= 64) == (0xC000, True)
    assert answer.ErrorComment.endswith("UID is missing")


@pytest.mark.parametrize("cut", [1, 40])
def test_a_data_set_that_is_cut_off_is_refused(
    assoc: Association, spool: Spool, tmp_path: Path, cut: int
) -> None:
    (ds,) = slices()
    path = part10(tmp_path / "a", encoded(ds)[:-cut], sop_instance_uid=ds.SOPInstanceUID)
    assert assoc.send_c_store(path).Status == 0xC000
    assert list(spool.instance_files()) == []


def test_no_comment_repeats_a_value(assoc: Association, tmp_path: Path) -> None:
    (ds,) = slices()
    data = encoded(ds).replace(b"Phantom^Left", b"Phantom^Lef\xff")[:-1]
    answer = assoc.send_c_store(part10(tmp_path / "a", data, sop_instance_uid=ds.SOPInstanceUID))
    assert answer.Status == 0xC000
    assert "Phantom" not in answer.ErrorComment


def test_the_same_instance_again_is_a_success(
    receiver: int, spool: Spool, database: Database
) -> None:
    (ds,) = slices()
    for _ in range(2):
        with association(receiver) as assoc:
            assert assoc.send_c_store(ds).Status == 0x0000
    assert len(list(spool.instance_files())) == 1
    assert state(database, ds) == "receiving"


@pytest.mark.result_rule(4)
def test_other_bytes_under_the_same_uid_are_refused(
    receiver: int, spool: Spool, database: Database
) -> None:
    """The first is kept, and a person must say which one is right (P3)."""
    (ds,) = slices()
    with association(receiver) as assoc:
        assert assoc.send_c_store(ds).Status == 0x0000
        first = encoded(ds)
        ds.PixelData = bytes(len(ds.PixelData))
        answer = assoc.send_c_store(ds)
    assert answer.Status == 0x0111
    assert "stored with other contents" in answer.ErrorComment
    (path,) = spool.instance_files()
    assert kept_in(path) == first
    assert state(database, ds) == "needs_review"


def test_another_patient_in_the_study_is_kept_and_shown(
    receiver: int, spool: Spool, database: Database
) -> None:
    one, other = slices(2)
    other.PatientID = "PHANTOM-2"
    with association(receiver) as assoc:
        assert [assoc.send_c_store(ds).Status for ds in (one, other)] == [0, 0]
    assert len(list(spool.instance_files())) == 2
    assert state(database, one) == "needs_review"


def test_no_name_from_the_wire_is_in_a_path(receiver: int, spool: Spool) -> None:
    (ds,) = slices()
    with association(receiver) as assoc:
        assoc.send_c_store(ds)
    names = " ".join(str(path.relative_to(spool.root)) for path in spool.root.rglob("*"))
    for uid in (ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.StudyInstanceUID, "PACS"):
        assert uid not in names


def test_associations_at_once_keep_their_instances_apart(
    receiver: int, spool: Spool, database: Database
) -> None:
    """4 × 50: every file holds the bytes that were sent under its UID."""
    studies_sent = [slices(50, name=f"association {number}") for number in range(4)]
    for number, study in enumerate(studies_sent):
        for k, ds in enumerate(study):
            ds.PixelData = derived_uid(number, k).encode().ljust(32)[:32]

    def send(study: list[Dataset]) -> set[int]:
        with association(receiver) as assoc:
            return {assoc.send_c_store(ds).Status for ds in study}

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, studies_sent)) == [{0}] * 4
    for study in studies_sent:
        files = rows(database, study[0].StudyInstanceUID)
        assert len(files) == 50
        for ds in study:
            assert kept_in(spool.instance_path(files[ds.SOPInstanceUID])) == encoded(ds)
    assert len(list(spool.instance_files())) == 200
    assert list(spool.incoming.iterdir()) == []


@pytest.mark.fault("D6")
def test_the_same_study_on_two_associations_is_stored_once(
    receiver: int, spool: Spool, database: Database
) -> None:
    study = slices(25)

    def send(_: int) -> set[int]:
        with association(receiver) as assoc:
            return {assoc.send_c_store(ds).Status for ds in study}

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(send, range(2))) == [{0}] * 2
    assert len(list(spool.instance_files())) == 25
    assert state(database, study[0]) == "receiving"


def test_a_stop_does_not_wait_for_a_connection_that_says_nothing(
    config: Config, spool: Spool, database: Database
) -> None:
    """A load balancer's check, or a port scan: it must not delay a restart by `drain_s`."""
    began = time.monotonic()
    with Receiver(config, spool, database).running() as port:
        silent = socket.create_connection(("127.0.0.1", port))
    silent.close()
    assert time.monotonic() - began < config.node.drain_s


def test_a_stop_does_not_wait_for_a_connection_that_was_just_being_accepted(
    config: Config, spool: Spool, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes to the open connections after the stop has looked at them for the first time."""
    connect = Admission.connect

    def slowly(admission: Admission, address: str) -> bool:
        time.sleep(0.3)
        return connect(admission, address)

    monkeypatch.setattr(Admission, "connect", slowly)
    began = time.monotonic()
    with Receiver(config, spool, database).running() as port:
        silent = socket.create_connection(("127.0.0.1", port))
        time.sleep(0.1)
    silent.close()
    assert time.monotonic() - began < config.node.drain_s


def test_an_instance_whose_file_was_lost_is_stored_when_it_comes_again(
    receiver: int, spool: Spool, database: Database
) -> None:
    """Success for a known UID would else acknowledge what is not there (P1)."""
    (ds,) = slices()
    with association(receiver) as assoc:
        assert assoc.send_c_store(ds).Status == 0x0000
        for path in spool.instance_files():
            path.unlink()
        assert assoc.send_c_store(ds).Status == 0x0000
    (file,) = rows(database, ds.StudyInstanceUID).values()
    assert kept_in(spool.instance_path(file)) == encoded(ds)
