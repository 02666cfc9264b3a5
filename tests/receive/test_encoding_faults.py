"""Data sets whose encoding is wrong (part C of the faults): refused with C000, or kept as sent.

What is decided about each is said in `dicom_ai_node.receive.elements`. A receiver in a process of
its own meets all of them, and stores a good instance on the same association afterwards.
"""

import random
import struct
import time
from collections.abc import Callable, Iterator
from io import BytesIO

import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
)

from dicom_ai_node.receive.elements import MAX_DEPTH
from tests.receive.raw_scu import (
    BY_PROVIDER,
    UNDEFINED,
    Abort,
    Contexts,
    RawScu,
    ReceivingNode,
    Reply,
    Uids,
    c_store,
    data_set,
    element,
    fresh,
    identifying,
    raw_association,
    receiving,
)

STORED = Reply(1, 0x0000, "")
CONTEXTS: Contexts = {
    1: (CTImageStorage, [ExplicitVRLittleEndian]),
    3: (CTImageStorage, [ImplicitVRLittleEndian]),
    5: (CTImageStorage, [ExplicitVRBigEndian]),
    7: (CTImageStorage, [JPEGLosslessSV1]),
}
EXPLICIT, IMPLICIT, BIG, JPEG = CONTEXTS
OBJECT_BYTES = 104_000_000
UNEXPECTED_PDU = 2  # the reason of an A-ABORT

REFERENCES, TEXT, PIXELS = 0x00081140, 0x0040A160, 0x7FE00010
PRIVATE = 0x00291001  # whose creator would be 0x00290010
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceivingNode]:
    home = tmp_path_factory.mktemp("node") / "home"
    with receiving(home, limits={"object_bytes": OBJECT_BYTES}) as started:
        yield started


@pytest.fixture
def scu(node: ReceivingNode) -> Iterator[RawScu]:
    with raw_association(node.port, CONTEXTS) as established:
        assert set(established.results.values()) == {0}
        yield established


def assert_refused(
    node: ReceivingNode, scu: RawScu, uids: Uids, data: bytes, *, context_id: int = EXPLICIT
) -> str:
    """C000, and nothing is kept; what the comment said, in which no value stands."""
    answer = scu.store(uids, data, context_id=context_id)
    assert isinstance(answer, Reply)
    assert (answer.message_id, answer.status) == (1, 0xC000)
    assert 0 < len(answer.comment) <= 64
    assert not any(uid in answer.comment for uid in (uids.sop_instance, uids.study, uids.series))
    node.assert_serves(scu)
    assert node.kept(uids) is None
    return answer.comment


def assert_kept(
    node: ReceivingNode, scu: RawScu, uids: Uids, data: bytes, *, context_id: int = EXPLICIT
) -> None:
    """Stored, byte for byte."""
    assert scu.store(uids, data, context_id=context_id) == STORED
    node.assert_serves(scu)
    kept = node.kept(uids)
    assert kept is not None
    assert kept == data


def encoded(uids: Uids, context_id: int, pixels: int) -> bytes:
    implicit = context_id == IMPLICIT
    order = ">" if context_id == BIG else "<"
    value = element(PIXELS, "" if implicit else "OW", bytes(pixels), syntax=order)
    return data_set(uids, {PIXELS: value}, implicit=implicit, syntax=order)


@pytest.mark.fault("C1")
@pytest.mark.parametrize("pixels", [32, 3_000_000], ids=["small", "large"])
@pytest.mark.parametrize(
    ("agreed", "sent"),
    [(IMPLICIT, EXPLICIT), (EXPLICIT, IMPLICIT), (EXPLICIT, BIG), (BIG, EXPLICIT), (IMPLICIT, BIG)],
    ids=["explicit for implicit", "implicit for explicit", "big", "little", "big for implicit"],
)
def test_another_transfer_syntax_than_agreed_is_refused(
    node: ReceivingNode, scu: RawScu, agreed: int, sent: int, pixels: int
) -> None:
    """Large: what is taken for a length still lies within the data set."""
    uids = fresh()
    assert_refused(node, scu, uids, encoded(uids, sent, pixels), context_id=agreed)


@pytest.mark.fault("C2")
@pytest.mark.parametrize("cut", [1, 2, 16, 31, 32, 35, 44])
def test_pixel_data_that_is_cut_off_is_refused(node: ReceivingNode, scu: RawScu, cut: int) -> None:
    """44 bytes are all of the element: less than that leaves a part of it."""
    uids = fresh()
    data = encoded(uids, EXPLICIT, 32)
    if cut < 44:
        assert_refused(node, scu, uids, data[:-cut])
    else:
        assert_kept(node, scu, uids, data[:-cut])


@pytest.mark.fault("C2")
@pytest.mark.parametrize("cut", [1, 8, 9, 20])
def test_fragments_that_are_cut_off_are_refused(node: ReceivingNode, scu: RawScu, cut: int) -> None:
    uids = fresh()
    whole = element(PIXELS, "OB", encapsulate([bytes(20)]), length=UNDEFINED) + end(SEQUENCE_END)
    data = data_set(uids, {PIXELS: whole})
    comment = assert_refused(node, scu, uids, data[:-cut], context_id=JPEG)
    assert "data set ends within" in comment or "longer than the data set" in comment


@pytest.mark.fault("C2")
@pytest.mark.parametrize("context_id", [EXPLICIT, IMPLICIT, JPEG], ids=["ele", "ile", "jpeg"])
@pytest.mark.parametrize("tag", [TEXT, PIXELS, REFERENCES], ids=["text", "pixels", "sequence"])
def test_a_length_beyond_everything_is_refused(
    node: ReceivingNode, scu: RawScu, tag: int, context_id: int
) -> None:
    uids, implicit = fresh(), context_id == IMPLICIT
    vr = "" if implicit else {TEXT: "UT", PIXELS: "OW", REFERENCES: "SQ"}[tag]
    long = element(tag, vr, bytes(8), length=0xFFFFFFF0)
    data = b"".join(identifying(uids, implicit=implicit).values()) + long
    assert_refused(node, scu, uids, data, context_id=context_id)


def noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(5000)  # noqa: S311 — noise, not a secret


def part10(uids: Uids) -> bytes:
    meta = element(0x00020000, "UL", struct.pack("<L", 26)) + element(
        0x00020010, "UI", ExplicitVRLittleEndian.encode() + b"\0"
    )
    return bytes(128) + b"DICM" + meta + data_set(uids)


NO_DATA_SETS: dict[str, Callable[[Uids], bytes]] = {
    "nothing": lambda _: b"",
    "one byte": lambda _: b"\x08",
    "zeros": lambda _: bytes(4000),
    "ones": lambda _: b"\xff" * 4000,
    "a Part 10 file": part10,
    **{f"random {seed}": lambda _, seed=seed: noise(seed) for seed in range(5)},
}


@pytest.mark.fault("C4")
@pytest.mark.parametrize("context_id", CONTEXTS, ids=["ele", "ile", "ebe", "jpeg"])
@pytest.mark.parametrize("make", NO_DATA_SETS.values(), ids=NO_DATA_SETS)
def test_what_is_no_data_set_is_refused(
    node: ReceivingNode, scu: RawScu, make: Callable[[Uids], bytes], context_id: int
) -> None:
    uids = fresh()
    assert_refused(node, scu, uids, make(uids), context_id=context_id)


def end(tag: int) -> bytes:
    return element(tag, "", b"")


def nested(
    depth: int, *, vr: str = "SQ", known_sequences: bool = False, known_items: bool = False
) -> bytes:
    """Sequences within sequences, each with one item."""
    ends = end(ITEM_END) * (not known_items), end(SEQUENCE_END) * (not known_sequences)
    inner = 8 if vr == "" else 12  # bytes of a sequence's header
    heads, size = [], 0
    for _ in range(depth):
        heads.append(element(ITEM, "", b"", length=size if known_items else UNDEFINED))
        size += 8 + len(ends[0])
        length = size if known_sequences else UNDEFINED
        heads.append(element(REFERENCES, vr, b"", length=length))
        size += inner + len(ends[1])
    return b"".join(reversed(heads)) + (ends[0] + ends[1]) * depth


KNOWN = {"known_sequences": True, "known_items": True}
NESTS = {
    "undefined lengths": (EXPLICIT, {}),
    "known lengths": (EXPLICIT, KNOWN),
    "known items": (EXPLICIT, {"known_items": True}),
    "known sequences": (EXPLICIT, {"known_sequences": True}),
    "implicit, undefined lengths": (IMPLICIT, {"vr": ""}),
    "implicit, known lengths": (IMPLICIT, {"vr": "", **KNOWN}),
}


@pytest.mark.fault("C6")
@pytest.mark.parametrize("depth", [50, MAX_DEPTH, MAX_DEPTH + 1, 500, 20_000])
@pytest.mark.parametrize(("context_id", "how"), NESTS.values(), ids=NESTS)
def test_sequences_may_be_nested_up_to_a_limit(
    node: ReceivingNode, scu: RawScu, context_id: int, how: dict[str, str | bool], depth: int
) -> None:
    """What is stored, readers that go down by recursion can read."""
    uids, implicit = fresh(), context_id == IMPLICIT
    sequence = nested(depth, **how)
    data = data_set(uids, {REFERENCES: sequence}, implicit=implicit)
    if depth > MAX_DEPTH:
        comment = assert_refused(node, scu, uids, data, context_id=context_id)
        assert comment == f"sequences are nested deeper than {MAX_DEPTH}"
    else:
        assert_kept(node, scu, uids, data, context_id=context_id)
        within, levels = read(data, implicit=implicit), 0
        while "ReferencedImageSequence" in within:
            levels += 1
            within = next(iter(within.ReferencedImageSequence), pydicom.Dataset())
        assert levels == depth


def read(data: bytes, *, implicit: bool) -> pydicom.Dataset:
    return pydicom.filereader.read_dataset(
        BytesIO(data), is_implicit_VR=implicit, is_little_endian=True
    )


@pytest.mark.fault("C6")
def test_what_a_sequence_of_known_length_holds_is_only_measured(
    node: ReceivingNode, scu: RawScu
) -> None:
    """Where it ends is certain, so that what a vendor put into it does not cost the image."""
    uids = fresh()
    inside = [
        b"no items at all!",
        element(ITEM, "", b"no elements", length=11),
        element(ITEM, "", element(0x00100010, "PN", b"", length=4000)),
        element(ITEM, "", b"", length=4000),
        element(ITEM, "", element(REFERENCES, "SQ", b"", length=UNDEFINED)),
        end(SEQUENCE_END) * 3,
    ]
    elements = {REFERENCES + n: element(REFERENCES + n, "SQ", x) for n, x in enumerate(inside)}
    assert_kept(node, scu, uids, data_set(uids, elements))


def a_million_private_elements() -> bytes:
    pack = struct.Struct("<HH2sH2s").pack
    return b"".join(
        pack(0x0029 + 2 * (n // 60_000), 0x1000 + n % 60_000, b"LO", 2, b"no")
        for n in range(1_000_000)
    )


def many_items() -> bytes:
    content = element(ITEM, "", element(0x00081150, "UI", b"1.2\0")) * 65_535
    return element(0x0040A730, "SQ", content)


def many_items_of_undefined_length() -> bytes:
    one = element(ITEM, "", element(0x00081150, "UI", b"1.2\0"), length=UNDEFINED) + end(ITEM_END)
    return element(0x0040A730, "SQ", one * 65_535, length=UNDEFINED) + end(SEQUENCE_END)


def a_long_text() -> bytes:
    return element(TEXT, "UT", b"All of it. " * 9_090_910)


@pytest.mark.slow
@pytest.mark.fault("C7")
@pytest.mark.parametrize(
    "make", [a_million_private_elements, many_items, many_items_of_undefined_length, a_long_text]
)
def test_much_of_everything_is_stored_in_the_memory_of_little(
    node: ReceivingNode, scu: RawScu, make: Callable[[], bytes]
) -> None:
    uids = fresh()
    data = b"".join(identifying(uids).values()) + make()
    node.assert_serves()
    before, began_at = node.peak_memory_mb(), time.monotonic()
    assert scu.store(uids, data) == STORED
    assert time.monotonic() - began_at < 60
    assert node.peak_memory_mb() - before < 32
    node.assert_serves(scu)
    assert node.kept(uids) == data


@pytest.mark.slow
@pytest.mark.fault("C7")
def test_more_than_an_object_may_have_is_refused(node: ReceivingNode, scu: RawScu) -> None:
    """With an answer, and then with an A-ABORT: the rest is not waited for."""
    uids = fresh()
    node.assert_serves()
    before = node.peak_memory_mb()
    scu.send_command(c_store(uids))
    scu.send_data(data_set(uids), is_last=False)
    text = element(TEXT, "UT", bytes(OBJECT_BYTES), length=0xF0000000) + bytes(1 << 20)
    scu.send_data(text, is_last=False)
    assert scu.answer() == Reply(1, 0xA700, "the object is larger than allowed here")
    assert scu.answer() == Abort(BY_PROVIDER, UNEXPECTED_PDU)
    assert node.peak_memory_mb() - before < 32
    node.assert_serves()
    assert node.kept(uids) is None


UNKNOWN_TO_ALL = {
    "private without a creator": element(PRIVATE, "LO", b"whose? "),
    "creators without a block": element(0x00290010, "LO", b"SOMEBODY")
    + element(0x00290011, "LO", b""),
    "VR ??": element(PRIVATE, "??", b"what is that"),
    "VR ZZ": element(PRIVATE, "ZZ", b"what is that"),
    "UN": element(PRIVATE, "UN", b"what is that"),
    "UN of undefined length": element(
        PRIVATE,
        "UN",
        element(ITEM, "", element(0x00080020, "", b"20260102"), length=UNDEFINED)
        + end(ITEM_END)
        + element(ITEM, "", element(0x00080021, "", b"20260102")),
        length=UNDEFINED,
    )
    + end(SEQUENCE_END),
    "UN that hides a sequence": element(0x00321064, "UN", element(ITEM, "", bytes(8))),
}


@pytest.mark.fault("C8")
@pytest.mark.parametrize("content", UNKNOWN_TO_ALL.values(), ids=UNKNOWN_TO_ALL)
def test_what_nobody_knows_is_kept(node: ReceivingNode, scu: RawScu, content: bytes) -> None:
    uids = fresh()
    pixels = element(PIXELS, "OW", bytes(32))
    assert_kept(node, scu, uids, data_set(uids, {PRIVATE: content, PIXELS: pixels}))


@pytest.mark.fault("C9")
@pytest.mark.parametrize("context_id", [EXPLICIT, IMPLICIT], ids=["ele", "ile"])
def test_values_of_odd_length_are_kept(node: ReceivingNode, scu: RawScu, context_id: int) -> None:
    """Among them the UIDs that identify the instance."""
    uids, implicit = fresh(), context_id == IMPLICIT
    odd = {
        0x00080018: ("UI", uids.sop_instance.encode()),
        0x0020000D: ("UI", f"{uids.study[:-1]}".encode()),
        0x00100010: ("PN", b"Odd"),
        0x00104000: ("LT", b"x"),
        PIXELS: ("OW", bytes(31)),
    }
    who = Uids(study=uids.study[:-1], series=uids.series, sop_instance=uids.sop_instance)
    elements = {tag: element(tag, "" if implicit else vr, raw) for tag, (vr, raw) in odd.items()}
    data = data_set(who, elements, implicit=implicit)
    assert any(len(raw) % 2 for _, raw in odd.values())
    assert_kept(node, scu, who, data, context_id=context_id)


@pytest.mark.fault("C10")
@pytest.mark.parametrize("length", [0, 1, 0xFFFFFFFF])
def test_a_wrong_group_length_is_kept(node: ReceivingNode, scu: RawScu, length: int) -> None:
    """Decided: nobody needs it (PS3.5 7.2 has retired it), so nobody can be misled by it."""
    uids = fresh()
    wrong = {tag: element(tag, "UL", struct.pack("<L", length)) for tag in (0x00080000, 0x00200000)}
    assert_kept(node, scu, uids, data_set(uids, wrong))


@pytest.mark.fault("C10")
def test_elements_out_of_order_are_kept(node: ReceivingNode, scu: RawScu) -> None:
    """Decided: every reader finds the same values, in whatever order they stand."""
    uids = fresh()
    elements = identifying(uids) | {PIXELS: element(PIXELS, "OW", bytes(32))}
    data = b"".join(elements[tag] for tag in sorted(elements, reverse=True))
    assert_kept(node, scu, uids, data)


IDENTIFYING = [0x00080016, 0x00080018, 0x0020000D, 0x0020000E]
PATIENT = {0x00100010: "PN", 0x00100020: "LO", 0x00100021: "LO", 0x00100030: "DA"}


@pytest.mark.fault("C10")
@pytest.mark.parametrize("tag", [*IDENTIFYING, *PATIENT], ids=lambda tag: f"{tag:08X}")
@pytest.mark.parametrize("differs", [False, True], ids=["the same", "another"])
def test_an_identifying_element_twice_is_refused(
    node: ReceivingNode, scu: RawScu, tag: int, differs: bool
) -> None:
    """Decided: one reader would take the first and the next the last, for another patient."""
    uids = fresh()
    elements = identifying(uids) | {
        each: element(each, vr, b"20260102") for each, vr in PATIENT.items()
    }
    other = elements[tag][:-2] + b"9 " if differs else elements[tag]
    data = data_set(uids, elements | {tag: elements[tag] + other})
    assert assert_refused(node, scu, uids, data) == f"element {tag:08X} comes twice"


@pytest.mark.fault("C10")
def test_another_element_twice_is_kept(node: ReceivingNode, scu: RawScu) -> None:
    """Decided: it says nothing of whose image this is; the bytes are the sender's."""
    uids = fresh()
    twice = element(0x00104000, "LT", b"first ") + element(0x00104000, "LT", b"second")
    assert_kept(node, scu, uids, data_set(uids, {0x00104000: twice}))


PADDINGS = {
    "trailing padding": element(0xFFFCFFFC, "OB", bytes(126)),
    "empty trailing padding": element(0xFFFCFFFC, "OB", b""),
    "an item delimiter": end(ITEM_END),
    "a sequence delimiter": end(SEQUENCE_END),
    "an item": element(ITEM, "", b"what"),
    "another of its group": element(0xFFFE0001, "", b"what"),
}


@pytest.mark.fault("C11")
@pytest.mark.parametrize("padding", PADDINGS.values(), ids=PADDINGS)
@pytest.mark.parametrize("tag", [0x00090000, 0xFFFCFFFC], ids=["in the middle", "at the end"])
def test_padding_and_delimiters_between_elements_are_kept(
    node: ReceivingNode, scu: RawScu, tag: int, padding: bytes
) -> None:
    uids = fresh()
    assert_kept(node, scu, uids, data_set(uids, {tag: padding}))
