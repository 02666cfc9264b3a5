"""DIMSE messages that are wrong, and instances that are not who they say (part B of the faults).

A receiver in a process of its own meets each of them, and stores a good instance afterwards: on the
same association where that goes on.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import (
    MPEG4HP41,
    CTImageStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    RawDataStorage,
    RTDoseStorage,
    TwelveLeadECGWaveformStorage,
    VideoEndoscopicImageStorage,
)

from dicom_ai_node.models.installation.install import install
from tests.acceptance.node_process import NodeProcess
from tests.receive.raw_scu import (
    BY_PROVIDER,
    C_ECHO_RQ,
    C_FIND_RQ,
    COMMAND,
    CT_ALONE,
    INVALID_PARAMETER,
    LAST,
    NO_DATA_SET,
    UNEXPECTED_PARAMETER,
    Abort,
    Closed,
    Contexts,
    RawScu,
    ReceivingNode,
    Reply,
    Uids,
    c_store,
    command,
    data_set,
    element,
    fresh,
    identifying,
    padded,
    pdv,
    raw_association,
    receiving,
    wait,
)

VERIFICATION = "1.2.840.10008.1.1"
UNEXPECTED = Abort(BY_PROVIDER, UNEXPECTED_PARAMETER)
INVALID = Abort(BY_PROVIDER, INVALID_PARAMETER)
SOP_INSTANCE = 0x00080018
NAMES = {
    SOP_INSTANCE: "SOP Instance UID",
    0x0020000D: "Study Instance UID",
    0x0020000E: "Series Instance UID",
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceivingNode]:
    with receiving(tmp_path_factory.mktemp("node") / "home") as started:
        yield started


@pytest.fixture(scope="module")
def idle_threads(node: ReceivingNode) -> int:
    """How many threads it has while nobody is connected."""
    with raw_association(node.port) as scu:
        busy = node.threads()
        scu.release()
    return int(wait(lambda: node.threads() < busy and node.threads()))


@pytest.fixture
def scu(node: ReceivingNode) -> Iterator[RawScu]:
    with raw_association(node.port) as established:
        yield established


def with_value(uids: Uids, tag: int, value: bytes) -> bytes:
    """A data set with one UID replaced, whatever it is."""
    return data_set(uids, {tag: element(tag, "UI", padded(value))})


@pytest.mark.fault("B1")
def test_another_instance_in_the_message_is_refused(node: ReceivingNode, scu: RawScu) -> None:
    uids, other = fresh(), fresh()
    status = scu.store(uids, sop_instance=other.sop_instance)
    assert status == Reply(1, 0xA900, "SOP class or instance of message and data set differ")
    node.assert_serves(scu)
    assert (node.kept(uids), node.kept(other)) == (None, None)


BOTH_CLASSES: Contexts = {
    1: (CTImageStorage, [ExplicitVRLittleEndian]),
    3: (MRImageStorage, [ExplicitVRLittleEndian]),
}


@pytest.mark.fault("B2")
@pytest.mark.parametrize(
    ("context_id", "in_command", "in_data_set"),
    [
        (1, CTImageStorage, MRImageStorage),
        (1, MRImageStorage, CTImageStorage),
        (1, MRImageStorage, MRImageStorage),
        (3, CTImageStorage, CTImageStorage),
    ],
)
def test_another_sop_class_than_agreed_is_refused(
    node: ReceivingNode, context_id: int, in_command: str, in_data_set: str
) -> None:
    uids = fresh(in_data_set)
    with raw_association(node.port, BOTH_CLASSES) as scu:
        answer = scu.store(uids, context_id=context_id, sop_class=in_command)
        assert answer == Reply(1, 0xA900, "SOP class or instance of message and data set differ")
        node.assert_serves(scu)
    assert node.kept(uids) is None


@pytest.mark.fault("B3")
@pytest.mark.parametrize("sop_class", [CTImageStorage, VERIFICATION])
def test_nothing_is_stored_under_the_verification_context(
    node: ReceivingNode, sop_class: str
) -> None:
    uids = fresh(sop_class)
    contexts = {**CT_ALONE, 3: (VERIFICATION, [ImplicitVRLittleEndian])}
    with raw_association(node.port, contexts) as scu:
        answer = scu.store(uids, data_set(uids, implicit=True), context_id=3)
        assert isinstance(answer, Abort) or (
            isinstance(answer, Reply) and answer.status == 0xA900
        ), answer
    node.assert_serves()
    assert node.kept(uids) is None


@pytest.mark.fault("B4")
@pytest.mark.parametrize("context_id", [3, 5, 0, 2, 255])
def test_a_context_that_was_not_accepted_ends_the_association(
    node: ReceivingNode, context_id: int
) -> None:
    """3 was asked for and rejected, the others were never asked for."""
    with raw_association(node.port, {**CT_ALONE, 3: ("1.2.3.4", ["1.2.3.5"])}) as scu:
        assert scu.results == {1: 0, 3: 3}
        uids = fresh()
        scu.send_command(c_store(uids), context_id=context_id)
        assert scu.answer() == UNEXPECTED
    node.assert_serves()
    assert node.kept(uids) is None


@pytest.mark.fault("B4")
def test_a_data_set_under_another_context_than_its_command_ends_the_association(
    node: ReceivingNode,
) -> None:
    uids = fresh()
    with raw_association(node.port, BOTH_CLASSES) as scu:
        scu.send_command(c_store(uids), context_id=1)
        scu.send_data(data_set(uids), context_id=3)
        assert scu.answer() == UNEXPECTED
    node.assert_serves()
    assert node.kept(uids) is None


# each holds `escape`, and its bytes would be a path, a line of a log or a command somewhere
HOSTILE = {
    "above": b"../../../escape",
    "beside": b"../escape",
    "absolute": b"/dicom-escape",
    "nul": b"1.2.3\0/../escape",
    "line break": b'1.2.3\r\n{"event": "escape"}',
    "quotes": b"1.2'\"); drop escape;--",
    "shell": b"$(touch escape)`touch escape`",
    "latin-1": b"1.2.\xfc\xe4.escape",
    "terminal": b"1.2\x1b[2Jescape",
}


def outside(node: ReceivingNode) -> set[Path]:
    return {path for path in node.files() if path.parts[0] != "var"}


@pytest.mark.result_rule(4)
@pytest.mark.fault("B6")
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("tag", NAMES, ids=NAMES.get)
def test_a_hostile_uid_is_refused_and_gets_nowhere(
    node: ReceivingNode, scu: RawScu, tag: int, value: bytes
) -> None:
    """Neither into a path nor into the log; not even where the message agrees with it."""
    uids, before = fresh(), outside(node)
    said = value if tag == SOP_INSTANCE else uids.sop_instance.encode()
    answer = scu.store(uids, with_value(uids, tag, value), sop_instance=said)
    assert isinstance(answer, Reply)
    assert (answer.status, answer.comment) == (0xC000, f"{NAMES[tag]} is not a valid UID")
    node.assert_serves(scu)
    assert_nothing_escaped(node, before)


@pytest.mark.fault("B6")
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("where", ["sop_instance", "sop_class"])
def test_a_hostile_uid_in_the_message_is_refused_and_gets_nowhere(
    node: ReceivingNode, scu: RawScu, where: str, value: bytes
) -> None:
    uids, before = fresh(), outside(node)
    answer = scu.store(uids, **{where: value})
    assert answer == Reply(1, 0xA900, "SOP class or instance of message and data set differ")
    node.assert_serves(scu)
    assert node.kept(uids) is None
    assert_nothing_escaped(node, before)


def assert_nothing_escaped(node: ReceivingNode, before: set[Path]) -> None:
    assert outside(node) == before
    assert not any("escape" in str(path) for path in node.files())
    assert not Path("/dicom-escape").exists()
    log = node.log()
    assert "escape" not in log
    assert [json.loads(line) for line in log.splitlines()]  # each line is one of ours


@pytest.mark.fault("B7")
@pytest.mark.parametrize(
    ("value", "status"),
    [
        (b"1.2." + b"3" * 61, 0xC000),  # 65 characters
        (b"1.2." + b"3" * 60, 0x0000),
        (b"", 0xC000),
        (b"1..2", 0xC000),
        (b"1.2.", 0xC000),
        (b"1.02.003", 0x0000),
    ],
    ids=["65", "64", "none", "two dots", "last dot", "leading zero"],
)
@pytest.mark.parametrize("tag", NAMES, ids=NAMES.get)
def test_an_odd_uid_is_refused_and_a_leading_zero_is_not(
    node: ReceivingNode, scu: RawScu, tag: int, value: bytes, status: int
) -> None:
    uids = fresh()
    said = value if tag == SOP_INSTANCE else uids.sop_instance.encode()
    answer = scu.store(uids, with_value(uids, tag, value), sop_instance=said)
    assert answer == Reply(1, status, f"{NAMES[tag]} is not a valid UID" if status else "")
    node.assert_serves(scu)


@pytest.mark.fault("B8")
@pytest.mark.parametrize("tag", NAMES, ids=NAMES.get)
def test_a_missing_uid_is_named(node: ReceivingNode, scu: RawScu, tag: int) -> None:
    uids = fresh()
    elements = identifying(uids)
    del elements[tag]
    answer = scu.store(uids, b"".join(elements.values()))
    assert answer == Reply(1, 0xC000, f"{NAMES[tag]} is missing")
    node.assert_serves(scu)
    assert node.kept(uids) is None


def random_command(seed: int) -> bytes:
    return random.Random(seed).randbytes(150)  # noqa: S311 — noise, not a secret


def store_command(**changes: int | str | bytes | None) -> bytes:
    return command(c_store(fresh(), **changes))


COMMANDS = {
    "unknown command field": (store_command(field=0x7777), UNEXPECTED),
    "C-FIND": (store_command(field=C_FIND_RQ), UNEXPECTED),
    "C-ECHO where none was agreed": (
        store_command(field=C_ECHO_RQ, data_set_type=NO_DATA_SET),
        UNEXPECTED,
    ),
    "C-STORE without a data set": (store_command(data_set_type=NO_DATA_SET), UNEXPECTED),
    "a response unasked": (
        command({0x0002: CTImageStorage, 0x0100: 0x8001, 0x0120: 1, 0x0800: 0x0101, 0x0900: 0}),
        UNEXPECTED,
    ),
    "no command field": (store_command(field=None), INVALID),
    "no data set type": (store_command(data_set_type=None), INVALID),
    "a number of 4 bytes": (store_command(field=b"\1\0\0\0"), INVALID),
    "nothing but its group length": (command({}), INVALID),
    "nothing": (b"", INVALID),
    "cut off": (store_command()[:-3], INVALID),
    "an element of another group": (element(0x00080016, "", b"1.2\0"), INVALID),
    "an element past its end": (element(0x00000002, "", b"1.2\0", length=4096), INVALID),
    "longer than any command": (bytes(8) * 1024, INVALID),
    **{f"random {seed}": (random_command(seed), INVALID) for seed in range(5)},
}


@pytest.mark.fault("B9")
@pytest.mark.parametrize(("encoded", "answer"), COMMANDS.values(), ids=COMMANDS)
def test_a_command_that_cannot_be_served_ends_the_association(
    node: ReceivingNode, idle_threads: int, encoded: bytes, answer: Abort
) -> None:
    """And leaves no thread behind."""
    with raw_association(node.port) as scu:
        scu.send(pdv(1, COMMAND | LAST, encoded))
        assert scu.answer() == answer
    wait(lambda: node.threads() == idle_threads, timeout_s=10)
    node.assert_serves()


@pytest.mark.fault("B9")
def test_a_store_without_a_message_id_is_not_stored(node: ReceivingNode, scu: RawScu) -> None:
    """Nothing could be answered, so nothing may be kept."""
    uids = fresh()
    try:
        answer = scu.store(uids, message_id=None)
    except ConnectionError:  # it was aborted before all of the data set was sent
        answer = scu.answer()
    assert answer == INVALID
    node.assert_serves()
    assert node.kept(uids) is None


GOOD = fresh()
STORE = pdv(1, COMMAND | LAST, command(c_store(GOOD)))
FRAGMENTS = {
    "a PDV of length 0": ([pdv(1, 0, b"", length=0)], INVALID),
    "a PDV of length 1": ([pdv(1, 0, b"", length=1)], INVALID),
    "a PDV past its PDU": ([pdv(1, COMMAND | LAST, b"1234", length=7)], INVALID),
    "a PDV of 4 GiB": ([pdv(1, COMMAND | LAST, b"1234", length=0xFFFFFFFF)], INVALID),
    "a good PDV, and then one past its PDU": ([STORE + pdv(1, 0, b"", length=90)], INVALID),
    "a PDV header cut off": ([STORE[:5]], INVALID),
    "an empty P-DATA-TF": ([b""], INVALID),
    "data before a command": ([pdv(1, LAST, data_set(GOOD))], UNEXPECTED),
    "data within a command": ([pdv(1, COMMAND, b"12345678"), pdv(1, LAST, b"1")], UNEXPECTED),
    "two commands": ([STORE, STORE], UNEXPECTED),
    "two commands in one PDU": ([STORE + STORE], UNEXPECTED),
    "a command within the data": ([STORE, pdv(1, 0, b"\x08\0"), STORE], UNEXPECTED),
}


@pytest.mark.fault("B10")
@pytest.mark.parametrize(("pdus", "answer"), FRAGMENTS.values(), ids=FRAGMENTS)
def test_fragments_out_of_order_end_the_association(
    node: ReceivingNode, scu: RawScu, pdus: list[bytes], answer: Abort
) -> None:
    for body in pdus:
        scu.send(body)
    assert scu.answer() == answer
    node.assert_serves()
    assert node.kept(GOOD) is None


@pytest.mark.fault("B10")
def test_data_after_the_last_fragment_ends_the_association(
    node: ReceivingNode, scu: RawScu
) -> None:
    uids = fresh()
    assert scu.store(uids) == Reply(1, 0x0000, "")
    scu.send(pdv(1, LAST, b"more"))
    assert scu.answer() == UNEXPECTED
    node.assert_serves()


@pytest.mark.fault("B10")
def test_a_message_may_come_in_the_smallest_fragments(node: ReceivingNode, scu: RawScu) -> None:
    """Empty ones among them, several to a PDU, and the command and its data set in one: PS3.8
    forbids none of that."""
    uids = fresh()
    encoded, data = command(c_store(uids)), data_set(uids)
    parts = [pdv(1, COMMAND, encoded[at : at + 1]) for at in range(len(encoded))]
    parts += [pdv(1, COMMAND | LAST, b""), pdv(1, 0, b"")]
    parts += [pdv(1, 0, data[at : at + 1]) for at in range(len(data))]
    scu.send(*parts, pdv(1, LAST, b""))
    assert scu.answer() == Reply(1, 0x0000, "")
    scu.release()
    assert node.kept(uids) == data


UNFINISHED = {
    "half a command": [pdv(1, COMMAND, command(c_store(GOOD))[:40])],
    "a command alone": [STORE],
    "half a data set": [STORE, pdv(1, 0, data_set(GOOD)[:100])],
    "all but the last fragment": [STORE, pdv(1, 0, data_set(GOOD))],
}


@pytest.mark.fault("B11")
@pytest.mark.parametrize("pdus", UNFINISHED.values(), ids=UNFINISHED)
def test_a_message_that_is_never_finished_ends_at_the_idle_limit(
    node: ReceivingNode, scu: RawScu, pdus: list[bytes]
) -> None:
    for body in pdus:
        scu.send(body)
    node.assert_serves()  # meanwhile
    scu.socket.settimeout(5)  # the limit is 2 s
    assert scu.answer() == Abort(BY_PROVIDER, 0)
    assert scu.answer() == Closed()
    assert node.kept(GOOD) is None


@pytest.mark.fault("B12")
def test_a_message_id_that_is_used_again_is_served_in_order(
    node: ReceivingNode, scu: RawScu
) -> None:
    """The second request is on its way before the first is answered."""
    one, other, broken = fresh(), fresh(), fresh()
    for uids, data in ((one, data_set(one)), (broken, b"broken"), (other, data_set(other))):
        scu.send_command(c_store(uids, message_id=9))
        scu.send_data(data)
    answers = [scu.answer() for _ in range(3)]
    assert [answer[:2] for answer in answers] == [(9, 0x0000), (9, 0xC000), (9, 0x0000)]
    node.assert_serves(scu)
    assert (node.kept(one), node.kept(other)) == (data_set(one), data_set(other))
    assert node.kept(broken) is None


@pytest.mark.fault("B13")
@pytest.mark.parametrize(
    ("title", "message_id"),
    [
        (b"../../escape", 0xFFFF),
        (b"\x1b[2Jescape\r\n", b""),
        (b"", b"\xff" * 9),
        (b"escape" * 400, 0),
        (b"\xfc\0\xff\xfe", None),
    ],
    ids=["path", "terminal", "empty", "long", "binary"],
)
def test_an_absurd_move_originator_is_ignored(
    node: ReceivingNode, scu: RawScu, title: bytes, message_id: Any
) -> None:
    uids, before = fresh(), outside(node)
    answer = scu.store(uids, move_originator=title, move_message_id=message_id)
    assert answer == Reply(1, 0x0000, "")
    node.assert_serves(scu)
    assert node.kept(uids) == data_set(uids)
    assert_nothing_escaped(node, before)


APART = {
    "private": "1.2.826.0.1.3680043.9.9999.1",
    "retired": "1.2.840.10008.5.1.1.27",  # Stored Print
    "raw data": RawDataStorage,
    "RT dose": RTDoseStorage,
    "waveform": TwelveLeadECGWaveformStorage,
    "PDF": EncapsulatedPDFStorage,
    "video": VideoEndoscopicImageStorage,
}


def contexts_for(classes: dict[str, str]) -> Contexts:
    """One context each, from 3 on; 1 is CT's."""
    syntaxes = {"video": [MPEG4HP41]}
    return CT_ALONE | {
        2 * number + 3: (sop_class, syntaxes.get(name, [ExplicitVRLittleEndian]))
        for number, (name, sop_class) in enumerate(classes.items())
    }


@pytest.mark.fault("B14")
def test_what_no_model_reads_gets_no_context(node: ReceivingNode) -> None:
    with raw_association(node.port, contexts_for(APART)) as scu:
        wanted = [scu.results[context_id] for context_id in contexts_for(APART)]
        assert wanted == [0] + [3] * len(APART)
        node.assert_serves(scu)
    with raw_association(node.port, {**CT_ALONE, 3: (CTImageStorage, [MPEG4HP41])}) as scu:
        assert scu.results == {1: 0, 3: 4}
        node.assert_serves(scu)


@pytest.mark.slow
@pytest.mark.fault("B14")
def test_what_no_model_reads_is_stored_where_it_is_accepted_and_never_processed(
    tmp_path: Path,
) -> None:
    """The whole node, whose administrator also sees why nothing was done."""
    models = tmp_path / "models"
    install("threshold-ct", models, print)
    what: dict[str, Any] = {
        "models": models,
        "peers": {"results": {"kind": "folder", "path": str(tmp_path / "results")}},
        "routes": [{"model": "threshold-ct", "send_to": ["results"]}],
    }
    node = NodeProcess(tmp_path / "node", **what)
    node.configure(**what, accept_sop_classes=list(APART.values()), accept_video=True)
    node.start()
    try:
        sent = [fresh(sop_class) for sop_class in APART.values()]
        contexts = contexts_for(APART)
        with raw_association(node.port, contexts) as scu:
            assert set(scu.results.values()) == {0}
            for context_id, uids in zip(list(contexts)[1:], sent, strict=True):
                assert scu.store(uids, context_id=context_id) == Reply(1, 0x0000, "")
            scu.release()
        listed = node.wait(lambda: settled(node, len(sent)))
        assert {study["study_instance_uid"] for study in listed} == {each.study for each in sent}
        assert {study["state"] for study in listed} == {"refused"}
        for study in listed:
            assert study["reason"].startswith("no route takes any of its 1 series")
        for name, uids in zip(APART, sent, strict=True):
            explained = node.verb("studies", "explain", uids.study)
            (verdict,) = explained["verdicts"]
            assert (verdict["matched"], explained["jobs"]) == (False, []), name
            assert verdict["failed_clauses"], name
        assert sum(node.status()["jobs"].values()) == 0
    finally:
        assert node.stop() == 0


def settled(node: NodeProcess, number: int) -> list[dict[str, Any]] | None:
    listed: list[dict[str, Any]] = node.verb("studies", "list")
    done = [study for study in listed if study["state"] != "receiving"]
    return done if len(done) == number else None


QUERIES = {
    "Patient Root FIND": "1.2.840.10008.5.1.4.1.2.1.1",
    "Study Root FIND": "1.2.840.10008.5.1.4.1.2.2.1",
    "Study Root MOVE": "1.2.840.10008.5.1.4.1.2.2.2",
    "Study Root GET": "1.2.840.10008.5.1.4.1.2.2.3",
    "Modality Worklist": "1.2.840.10008.5.1.4.31",
    "MPPS (N-CREATE)": "1.2.840.10008.3.1.2.3.3",
    "Basic Film Session (N-CREATE)": "1.2.840.10008.5.1.1.1",
}


@pytest.mark.fault("B15")
def test_queries_and_procedure_steps_get_no_context(node: ReceivingNode) -> None:
    asked = {
        2 * number + 3: (sop_class, [ImplicitVRLittleEndian])
        for number, sop_class in enumerate(QUERIES.values())
    }
    with raw_association(node.port, {**CT_ALONE, **asked}) as scu:
        assert scu.results == {1: 0} | dict.fromkeys(asked, 3)
        node.assert_serves(scu)
    with raw_association(node.port, asked) as scu:
        scu.send_command(
            {0x0002: QUERIES["Study Root FIND"], 0x0100: C_FIND_RQ, 0x0110: 1, 0x0800: 0},
            context_id=5,
        )
        assert scu.answer() == UNEXPECTED
