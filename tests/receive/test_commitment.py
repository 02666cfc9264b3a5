"""Storage commitment as a modality sees it: asked on a socket, reported on that or another one."""

import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import N_EVENT_REPORT_RSP
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)
from sqlalchemy import RowMapping, text

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import arrivals, commitments
from dicom_ai_node.database.engine import Database
from dicom_ai_node.receive import attributes, commitment, outbox
from dicom_ai_node.receive.answer import ActionStatus
from dicom_ai_node.receive.attributes import MAX_BYTES, Unacceptable
from dicom_ai_node.receive.commitment_request import read_request
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.spool import Spool
from tests.made import configuration
from tests.receive.scu import CT, slices

TRANSACTION = "2.25.1001"
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


@dataclass
class Modality:
    """Asks for commitment, and takes the reports: on its association and on a port of its own."""

    status: int = 0x0000
    silent: bool = False
    came: "queue.Queue[tuple[int, Dataset, str]]" = field(default_factory=queue.Queue)
    port: int = 0
    _answering: "queue.Queue[tuple[int, Dataset, str]]" = field(default_factory=queue.Queue)
    _answered: bool = False

    def _on_report(self, event: evt.Event) -> tuple[int, None]:
        if self.silent:
            time.sleep(1.5)
        how = "own" if event.assoc.is_requestor else str(event.assoc.requestor.ae_title)
        self._answering.put((event.request.EventTypeID, event.event_information, how))
        return self.status, None

    def _on_message_sent(self, event: evt.Event) -> None:
        self._answered = self._answered or isinstance(event.message, N_EVENT_REPORT_RSP)

    def _on_pdu_sent(self, event: evt.Event) -> None:
        """pynetdicom answers in a thread of its own: who releases before that, breaks it."""
        if self._answered and isinstance(event.pdu, P_DATA_TF):
            self._answered = False
            with suppress(queue.Empty):  # an answer to nothing
                self.came.put(self._answering.get_nowait())

    @property
    def handlers(self) -> list[tuple[object, Callable[[evt.Event], object]]]:
        return [
            (evt.EVT_N_EVENT_REPORT, self._on_report),
            (evt.EVT_DIMSE_SENT, self._on_message_sent),
            (evt.EVT_PDU_SENT, self._on_pdu_sent),
        ]

    def report(self, within_s: float = 20) -> tuple[int, Dataset, str]:
        """Event type, event information, and from whom: "own" is the modality's association."""
        return self.came.get(timeout=within_s)

    @contextmanager
    def associated(
        self, port: int, *, syntaxes: Sequence[str] = SYNTAXES, max_pdu: int = 16_382
    ) -> Iterator[Association]:
        ae = AE(ae_title="PACS")
        contexts = [CT, build_context(StorageCommitmentPushModel, list(syntaxes))]
        assoc = ae.associate(
            "127.0.0.1",
            port,
            contexts=contexts,
            ae_title="AI_NODE",
            evt_handlers=self.handlers,
            max_pdu=max_pdu,
        )
        assert assoc.is_established
        try:
            yield assoc
        finally:
            if assoc.is_established:
                assoc.release()

    @contextmanager
    def listening(self) -> Iterator[None]:
        ae = AE(ae_title="PACS")
        ae.require_called_aet = True
        ae.require_calling_aet = ["AI_NODE"]
        ae.add_supported_context(
            StorageCommitmentPushModel, SYNTAXES, scu_role=False, scp_role=True
        )
        address = ("127.0.0.1", self.port)
        server = ae.start_server(address, block=False, evt_handlers=self.handlers)
        try:
            yield
        finally:
            server.shutdown()


@pytest.fixture
def modality() -> Modality:
    """On a port that is free, and that its peers know before it listens there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Modality(port=probe.getsockname()[1])


@pytest.fixture
def config(tmp_path: Path, modality: Modality, request: pytest.FixtureRequest) -> Config:
    peer = {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": modality.port}
    folder = {"kind": "folder", "path": tmp_path / "results"}
    sections = {"peers": {"archive": folder, "pacs": {**peer, "timeout_s": 5}}}
    return configuration(tmp_path, **(sections | getattr(request, "param", {})))


def information(instances: Sequence[Dataset], transaction: str = TRANSACTION) -> Dataset:
    ds = Dataset()
    ds.TransactionUID = transaction
    ds.ReferencedSOPSequence = [
        item(instance.SOPClassUID, instance.SOPInstanceUID) for instance in instances
    ]
    return ds


def item(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    ds = Dataset()
    ds.ReferencedSOPClassUID = sop_class_uid
    ds.ReferencedSOPInstanceUID = sop_instance_uid
    return ds


def ask(
    assoc: Association,
    ds: Dataset | None,
    *,
    action: int = 1,
    instance: str = StorageCommitmentPushModelInstance,
) -> int:
    """The status of the answer to an N-ACTION."""
    answer, _ = assoc.send_n_action(ds, action, StorageCommitmentPushModel, instance)
    assert "Status" in answer
    return int(answer.Status)


def keep(assoc: Association, instances: Sequence[Dataset]) -> None:
    assert [assoc.send_c_store(ds).Status for ds in instances] == [0] * len(instances)


def committed(ds: Dataset) -> set[tuple[str, str]]:
    """SOP classes and instances that a report vouches for."""
    return {
        (str(each.ReferencedSOPClassUID), str(each.ReferencedSOPInstanceUID))
        for each in ds.get("ReferencedSOPSequence", [])
    }


def failures(ds: Dataset) -> dict[str, int]:
    """What a report does not vouch for, and why."""
    return {
        str(each.ReferencedSOPInstanceUID): int(each.FailureReason)
        for each in ds.get("FailedSOPSequence", [])
    }


def of(instances: Sequence[Dataset]) -> set[tuple[str, str]]:
    return {(str(ds.SOPClassUID), str(ds.SOPInstanceUID)) for ds in instances}


def rows(database: Database) -> list[RowMapping]:
    with database.read() as connection:
        return list(commitments.listing(connection))


def wait_for_state(database: Database, state: str, within_s: float = 20) -> RowMapping:
    deadline = time.monotonic() + within_s
    while (row := rows(database)[-1])["state"] != state:
        assert time.monotonic() < deadline, row["state"]
        time.sleep(0.02)
    return row


def file_of(spool: Spool, database: Database, ds: Dataset) -> Path:
    with database.read() as connection:
        return spool.instance_path(arrivals.file_of(connection, ds.SOPInstanceUID))


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
    ids=lambda syntax: syntax.name,
)
def test_all_is_committed_on_the_same_association(
    receiver: int, database: Database, modality: Modality, syntax: str
) -> None:
    sent = slices(3)
    with modality.associated(receiver, syntaxes=[syntax]) as assoc:
        accepted = {cx.abstract_syntax for cx in assoc.accepted_contexts}
        if StorageCommitmentPushModel not in accepted:
            pytest.skip("this node does not take this transfer syntax")
        keep(assoc, sent)
        assert ask(assoc, information(sent)) == 0x0000
        event_type, ds, how = modality.report()
        assert (event_type, ds.TransactionUID, how) == (1, TRANSACTION, "own")
        assert committed(ds) == of(sent)
        assert "FailedSOPSequence" not in ds
        row = wait_for_state(database, "reported")
    assert (row["transaction_uid"], row["calling_ae_title"]) == (TRANSACTION, "PACS")
    assert (row["called_ae_title"], row["reasons"]) == ("AI_NODE", [0, 0, 0])
    assert modality.came.empty()


def test_a_report_is_cut_into_pdus_that_the_peer_takes(receiver: int, modality: Modality) -> None:
    sent = slices(40)
    with modality.associated(receiver, max_pdu=1024) as assoc:
        keep(assoc, sent)
        assert ask(assoc, information(sent)) == 0x0000
        assert committed(modality.report()[1]) == of(sent)


def test_one_association_serves_many_transactions_and_instances(
    receiver: int, database: Database, modality: Modality, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is pending stops nothing else; the next report waits for the answer to the last."""
    all_asked = threading.Event()
    read = commitment._sha256
    monkeypatch.setattr(commitment, "_sha256", lambda path: all_asked.wait(60) and read(path))
    sent = slices(30)
    with modality.associated(receiver) as assoc:
        for number, ds in enumerate(sent):
            keep(assoc, [ds])
            assert ask(assoc, information([ds], f"2.25.{number + 1}")) == 0x0000
        all_asked.set()
        reports = [modality.report() for _ in sent]
        assert {how for _, _, how in reports} == {"own"}
        wait_for_state(database, "reported")
    found = {str(ds.TransactionUID): committed(ds) for _, ds, _ in reports}
    assert found == {f"2.25.{number + 1}": of([ds]) for number, ds in enumerate(sent)}
    assert {row["state"] for row in rows(database)} == {"reported"}


def test_after_a_release_the_report_comes_on_an_association_of_ours(
    receiver: int, database: Database, modality: Modality
) -> None:
    sent = slices(2)
    with modality.listening():
        with modality.associated(receiver) as assoc:
            keep(assoc, sent)
            assert ask(assoc, information(sent)) == 0x0000
        event_type, ds, how = modality.report()
        wait_for_state(database, "reported")
    # as fast as the release may have been, the report is one, on either association
    assert how in ("own", "AI_NODE")
    assert (event_type, committed(ds)) == (1, of(sent))


@pytest.fixture
def _slow_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that needs half a second for a file."""
    read = commitment._sha256

    def slow(path: Path) -> str:
        time.sleep(0.5)
        return read(path)

    monkeypatch.setattr(commitment, "_sha256", slow)


@pytest.mark.usefixtures("_slow_judge")
def test_what_is_judged_after_the_release_comes_on_an_association_of_ours(
    receiver: int, database: Database, modality: Modality
) -> None:
    sent = slices(1)
    with modality.listening():
        with modality.associated(receiver) as assoc:
            keep(assoc, sent)
            assert ask(assoc, information(sent)) == 0x0000
        event_type, ds, how = modality.report()
        wait_for_state(database, "reported")
    assert (event_type, committed(ds), how) == (1, of(sent), "AI_NODE")
    assert modality.came.empty()


def test_what_never_came_is_no_such_instance(receiver: int, modality: Modality) -> None:
    here, elsewhere = slices(2)
    with modality.associated(receiver) as assoc:
        keep(assoc, [here])
        assert ask(assoc, information([here, elsewhere])) == 0x0000
        event_type, ds, _ = modality.report()
    assert event_type == 2
    assert committed(ds) == of([here])
    assert failures(ds) == {elsewhere.SOPInstanceUID: 0x0112}


def test_nothing_committed_is_no_empty_sequence(receiver: int, modality: Modality) -> None:
    with modality.associated(receiver) as assoc:
        assert ask(assoc, information(slices(1))) == 0x0000
        event_type, ds, _ = modality.report()
    assert event_type == 2
    assert "ReferencedSOPSequence" not in ds


def flip_last_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def flip_group_length(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[142] ^= 0xFF
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [Path.unlink, flip_last_bit, flip_group_length, cut_off, empty])
def test_a_file_that_is_not_as_it_was_acknowledged_is_not_committed(
    receiver: int,
    spool: Spool,
    database: Database,
    modality: Modality,
    capfd: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
) -> None:
    whole, damaged = slices(2)
    with modality.associated(receiver) as assoc:
        keep(assoc, [whole, damaged])
        assert ask(assoc, information([whole], "2.25.7")) == 0x0000  # so that rows are committed
        modality.report()
        damage(file_of(spool, database, damaged))
        assert ask(assoc, information([whole, damaged])) == 0x0000
        event_type, ds, _ = modality.report()
    assert event_type == 2
    assert (committed(ds), failures(ds)) == (of([whole]), {damaged.SOPInstanceUID: 0x0112})
    said = "".join(capfd.readouterr())
    assert "stored_instance_lost" in said or "stored_instance_damaged" in said


def test_a_file_that_cannot_be_read_is_a_failure_of_ours(
    receiver: int, spool: Spool, database: Database, modality: Modality
) -> None:
    (ds,) = slices(1)
    with modality.associated(receiver) as assoc:
        keep(assoc, [ds])
        assert ask(assoc, information(slices(1, name="other"), "2.25.7")) == 0x0000
        modality.report()
        path = file_of(spool, database, ds)
        path.unlink()
        path.mkdir()
        assert ask(assoc, information([ds])) == 0x0000
        assert failures(modality.report()[1]) == {ds.SOPInstanceUID: 0x0110}


def test_another_sop_class_is_a_conflict(receiver: int, modality: Modality) -> None:
    (ds,) = slices(1)
    asked = information([ds])
    asked.ReferencedSOPSequence[0].ReferencedSOPClassUID = MRImageStorage
    with modality.associated(receiver) as assoc:
        keep(assoc, [ds])
        assert ask(assoc, asked) == 0x0000
        event_type, report, _ = modality.report()
    assert event_type == 2
    assert failures(report) == {ds.SOPInstanceUID: 0x0119}
    assert report.FailedSOPSequence[0].ReferencedSOPClassUID == MRImageStorage


@pytest.mark.usefixtures("_slow_judge")
def test_a_transaction_that_is_pending_is_not_taken_again(
    receiver: int, database: Database, modality: Modality
) -> None:
    sent = slices(1)
    with modality.associated(receiver) as assoc:
        keep(assoc, sent)
        assert ask(assoc, information(sent)) == 0x0000
        assert ask(assoc, information(sent)) == 0x0131
        assert modality.report()[0] == 1
        wait_for_state(database, "reported")
        assert ask(assoc, information(sent)) == 0x0000  # it is over: asked anew
        assert modality.report()[0] == 1
    assert len(rows(database)) == 2


NO_COMMITMENT = {
    "accept": [{"ae_title": "PACS", "from": ["127.0.0.1/32"], "may": ["echo", "store"]}]
}


@pytest.mark.parametrize("config", [NO_COMMITMENT], indirect=True)
def test_who_may_not_ask_is_told_so(receiver: int, database: Database, modality: Modality) -> None:
    sent = slices(1)
    with modality.associated(receiver) as assoc:
        assert ask(assoc, information(sent)) == 0x0124
        keep(assoc, sent)
    assert rows(database) == []


def test_another_action_or_instance_is_refused(
    receiver: int, database: Database, modality: Modality
) -> None:
    sent = slices(1)
    with modality.associated(receiver) as assoc:
        assert ask(assoc, information(sent), action=2) == 0x0123
        assert ask(assoc, information(sent), instance="1.2.3") == 0x0112
        keep(assoc, sent)
    assert rows(database) == []


def without(keyword: str) -> Dataset:
    ds = information(slices(1))
    delattr(ds, keyword)
    return ds


def bad_reference() -> Dataset:
    ds = information(slices(1))
    ds.ReferencedSOPSequence.append(Dataset())
    return ds


def no_reference() -> Dataset:
    ds = information(slices(1))
    ds.ReferencedSOPSequence = []
    return ds


@pytest.mark.parametrize(
    "ds",
    [
        None,
        without("TransactionUID"),
        without("ReferencedSOPSequence"),
        bad_reference(),
        no_reference(),
    ],
    ids=["nothing", "no transaction", "no sequence", "empty item", "no item"],
)
def test_a_malformed_request_is_refused_and_the_association_goes_on(
    receiver: int, database: Database, modality: Modality, ds: Dataset | None
) -> None:
    sent = slices(1)
    with modality.associated(receiver) as assoc:
        assert ask(assoc, ds) == 0x0115
        keep(assoc, sent)
        assert ask(assoc, information(sent)) == 0x0000
        assert modality.report()[0] == 1
    assert len(rows(database)) == 1


def test_a_request_may_not_be_too_long(receiver: int, modality: Modality) -> None:
    sent = slices(1)
    long = information(sent)
    long.add_new(0x00091010, "OB", bytes(MAX_BYTES))
    with modality.associated(receiver) as assoc:
        assert ask(assoc, long) == 0x0213
        keep(assoc, sent)


def test_a_request_may_not_have_too_many_references(
    receiver: int, modality: Modality, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributes, "MAX_ITEMS", 3)
    with modality.associated(receiver) as assoc:
        assert ask(assoc, information(slices(4))) == 0x0213
        assert ask(assoc, information(slices(3))) == 0x0000


def test_a_peer_may_not_have_too_many_requests(
    receiver: int, modality: Modality, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitment, "MAX_PENDING", 0)
    with modality.associated(receiver) as assoc:
        assert ask(assoc, information(slices(1))) == 0x0213


@pytest.mark.parametrize(
    "content",
    [
        b"\x00",
        b"\x08\x00\x95\x11\xff\xff\xff\xff",
        b"\x08\x00\x99\x11\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 3,
        b"\x08\x00\x99\x11\xff\xff\xff\xff"
        + b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x99\x11\xff\xff\xff\xff" * 10_000,
        struct.pack("<HHL", 8, 0x1195, 6) + b"no uid",
        bytes(range(256)) * 10,
    ],
    ids=["a byte", "an endless UID", "open items", "deeply nested", "no UID", "noise"],
)
def test_bytes_that_are_no_request_are_refused(content: bytes) -> None:
    with pytest.raises(Unacceptable) as refused:
        read_request(content, ImplicitVRLittleEndian)
    assert refused.value.status is ActionStatus.INVALID_ARGUMENT_VALUE


def test_a_deflated_request_may_not_grow_without_end() -> None:
    bomb = Dataset()
    bomb.add_new(0x00091010, "OB", bytes(MAX_BYTES))
    content = encode(bomb, False, True, True)
    assert content is not None
    assert len(content) < 10_000
    with pytest.raises(Unacceptable) as refused:
        read_request(content, DeflatedExplicitVRLittleEndian)
    assert refused.value.status is ActionStatus.RESOURCE_LIMITATION
    with pytest.raises(Unacceptable) as refused:
        read_request(b"not deflated", DeflatedExplicitVRLittleEndian)
    assert refused.value.status is ActionStatus.INVALID_ARGUMENT_VALUE


def test_a_peer_that_was_down_is_told_later(
    receiver: int, database: Database, modality: Modality, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitment, "BACKOFF_FIRST_S", 0.2)
    sent = slices(1)
    with modality.associated(receiver) as assoc:
        keep(assoc, sent)
        assert ask(assoc, information(sent)) == 0x0000
        assoc.abort()
    while modality.came.empty() and rows(database)[0]["tries"] < 3:
        time.sleep(0.05)
    with modality.listening():
        if modality.came.empty():
            event_type, ds, how = modality.report()
            assert (event_type, committed(ds), how) == (1, of(sent), "AI_NODE")
        assert wait_for_state(database, "reported")["tries"] >= 3


def test_a_report_that_is_not_answered_comes_again(
    receiver: int, database: Database, modality: Modality, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ANSWER_S", 0.5)
    monkeypatch.setattr(commitment, "ANSWER_S", 0.5)
    modality.silent = True
    sent = slices(1)
    with modality.listening(), modality.associated(receiver) as assoc:
        keep(assoc, sent)
        assert ask(assoc, information(sent)) == 0x0000
        reports = [modality.report(), modality.report()]
        assert {how for _, _, how in reports} == {"own", "AI_NODE"}
        assert [committed(ds) for _, ds, _ in reports] == [of(sent)] * 2
        wait_for_state(database, "reported")


def test_a_report_that_is_refused_comes_again(
    receiver: int, database: Database, modality: Modality, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitment, "BACKOFF_FIRST_S", 0.2)
    modality.status = 0x0110
    sent = slices(1)
    with modality.listening(), modality.associated(receiver) as assoc:
        keep(assoc, sent)
        assert ask(assoc, information(sent)) == 0x0000
        assert [modality.report()[2] for _ in range(3)] == ["own", "AI_NODE", "AI_NODE"]
        assert rows(database)[0]["state"] == "pending"
        modality.status = 0x0000
        wait_for_state(database, "reported")


def test_after_a_day_a_report_is_given_up(
    receiver: int,
    database: Database,
    modality: Modality,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(commitment, "GIVE_UP_S", 0.0)
    sent = slices(1)
    with modality.associated(receiver) as assoc:
        modality.status = 0x0110
        assert ask(assoc, information(sent)) == 0x0000
        assoc.abort()
    wait_for_state(database, "failed")
    assert "commitment_failed" in "".join(capfd.readouterr())


@pytest.mark.parametrize("config", [{"peers": {}, "routes": []}], indirect=True)
def test_who_is_no_peer_is_told_on_its_own_association_only(
    receiver: int, database: Database, modality: Modality
) -> None:
    sent = slices(1)
    with modality.listening(), modality.associated(receiver) as assoc:
        keep(assoc, sent)
        assert ask(assoc, information(sent)) == 0x0000
        assert modality.report()[2] == "own"
        wait_for_state(database, "reported")
        assert ask(assoc, information(sent, "2.25.8")) == 0x0000
        assoc.abort()
        deadline = time.monotonic() + 10
        while rows(database)[-1]["state"] == "pending":
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_the_next_receiver_answers_what_is_pending(
    config: Config, spool: Spool, database: Database, modality: Modality
) -> None:
    """As after kill -9: the request was acknowledged, and nobody has begun with it."""
    sent = slices(2)
    with Receiver(config, spool, database).running() as port, modality.associated(port) as assoc:
        keep(assoc, sent)
    with database.write() as connection:
        now = database.now()
        new = commitments.NewCommitment(
            transaction_uid=TRANSACTION,
            calling_ae_title="PACS",
            called_ae_title="AI_NODE",
            references=tuple(commitments.Reference(*pair) for pair in of(sent)),
        )
        commitments.add(connection, new, next_try_at=now + 1000, now=now)
    with modality.listening(), Receiver(config, spool, database).running():
        event_type, ds, how = modality.report()
        assert (event_type, committed(ds), how) == (1, of(sent), "AI_NODE")
        wait_for_state(database, "reported")


def test_a_request_under_way_at_a_stop_is_answered_by_the_next_receiver(
    config: Config,
    spool: Spool,
    database: Database,
    modality: Modality,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request.getfixturevalue("_slow_judge")
    sent = slices(40)
    scp = Receiver(config, spool, database)
    with scp.running() as port, modality.associated(port) as assoc:
        keep(assoc, sent)
        assert ask(assoc, information(sent)) == 0x0000
    row = rows(database)[0]
    assert (row["state"], row["reasons"]) == ("pending", None)
    monkeypatch.undo()
    with modality.listening(), Receiver(config, spool, database).running():
        event_type, ds, how = modality.report()
        assert (event_type, committed(ds), how) == (1, of(sent), "AI_NODE")
        wait_for_state(database, "reported")


def test_without_its_row_a_request_is_not_acknowledged(
    receiver: int, database: Database, modality: Modality
) -> None:
    with database.write() as connection:
        connection.execute(text("ALTER TABLE commitment RENAME TO elsewhere"))
    with modality.associated(receiver) as assoc:
        assert ask(assoc, information(slices(1))) == 0x0110
        keep(assoc, slices(1))
        with database.write() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO commitment"))
        assert ask(assoc, information(slices(1))) == 0x0000
        assert modality.report()[0] == 1


def test_an_answer_to_nothing_ends_the_association(receiver: int, modality: Modality) -> None:
    """A response that nobody waits for breaks the rules (B9)."""
    with modality.associated(receiver) as assoc:
        context = next(
            cx for cx in assoc.accepted_contexts if cx.abstract_syntax == StorageCommitmentPushModel
        )
        response = N_EVENT_REPORT()
        response.MessageIDBeingRespondedTo = 7
        response.AffectedSOPClassUID = StorageCommitmentPushModel
        response.Status = 0x0000
        assoc.dimse.send_msg(response, context.context_id)
        deadline = time.monotonic() + 10
        while assoc.is_established and time.monotonic() < deadline:
            time.sleep(0.02)
        assert assoc.is_aborted
