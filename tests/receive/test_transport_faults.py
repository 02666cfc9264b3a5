"""Faults of the network and of the upper layer, met by a receiver in a process of its own.

Each test ends with bytes: what the node says last, and that the connection is over in time. After
each, the node still stores; after all of them, it is no larger than before.
"""

import ctypes
import itertools
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage

from tests.receive.scu import encoded, slices
from tests.receive.wire_peer import (
    ABORT,
    AC,
    C_ECHO,
    C_STORE,
    CONTEXTS,
    CT_CONTEXT,
    P_DATA,
    RELEASE_RP,
    RELEASE_RQ,
    RJ,
    RQ,
    Peer,
    ReceiverProcess,
    associate_rq,
    context,
    data_pdus,
    echo_rq,
    item,
    pdu,
    pdv,
    store_rq,
)

PDU_S, REQUEST_S, IDLE_S, SEND_S = 1.0, 1.5, 2.0, 2.0
LATE_S = 1.5  # a deadline may be noticed so much later
LAST_WORDS_S = 2.0  # what a peer may take to close, after the node said its last
ASSOCIATIONS = 10
RELEASE = pdu(RELEASE_RQ, bytes(4))
RESPONSE = 0x8000

MB = 1 << 20
SLACK = 40 * MB

_numbers = itertools.count()


def fresh_address() -> str:
    """One that has not complained yet: the node logs a fault once a minute for each."""
    number = next(_numbers)
    return f"127.0.{1 + number // 250}.{1 + number % 250}"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    """Short limits; at the end its memory, descriptors and threads are those of the start."""
    started = ReceiverProcess(
        tmp_path_factory.mktemp("node"),
        accept=[
            {"ae_title": title, "from": ["127.0.0.0/8"]} for title in ("PACS", "PCS", "A" * 16)
        ],
        pdu_s=PDU_S,
        request_s=REQUEST_S,
        idle_s=IDLE_S,
        send_s=SEND_S,
        associations=ASSOCIATIONS,
        associations_per_peer=ASSOCIATIONS,
        connections=200,
        connections_per_s=5000,
    )
    try:
        started.store(slices(3, name="before"))
        rss, descriptors, threads = started.rss(), started.descriptors(), started.threads()
        yield started
        started.wait(lambda: started.is_quiet(descriptors=descriptors, threads=threads))
        assert started.rss() < rss + SLACK
        assert started.bugs() == []
    finally:
        started.stop()


@pytest.fixture
def node(process: ReceiverProcess, request: pytest.FixtureRequest) -> Iterator[ReceiverProcess]:
    """The same process for each test; afterwards it stores a study."""
    yield process
    process.store(slices(2, name=request.node.name))


@pytest.fixture
def patient_node(tmp_path: Path) -> Iterator[ReceiverProcess]:
    """Where a hundred peers need longer than the short limits on a busy machine."""
    started = ReceiverProcess(
        tmp_path,
        accept=[{"ae_title": "PACS", "from": ["127.0.0.0/8"]}],
        request_s=30,
        idle_s=30,
        associations=ASSOCIATIONS,
        associations_per_peer=ASSOCIATIONS,
        connections=200,
        connections_per_s=5000,
    )
    try:
        yield started
        started.store(slices(2, name="afterwards"))
    finally:
        started.stop()


def opened(node: ReceiverProcess, *, associated: bool) -> Peer:
    peer = Peer(node.port, source=fresh_address())
    return peer.associate() if associated else peer


def drip(peer: Peer, data: bytes, *, every_s: float, within_s: float) -> float:
    """One byte after the other until the node answers; returns how long that took."""
    began_at = time.monotonic()
    peer.socket.settimeout(every_s)
    for byte in data:
        with suppress(ConnectionError):
            peer.say(bytes((byte,)))
        with suppress(TimeoutError):
            peer.socket.recv(1, socket.MSG_PEEK)
            return time.monotonic() - began_at
        assert time.monotonic() - began_at < within_s
    raise AssertionError("all of it was taken")


@pytest.mark.fault("A1")
def test_a_peer_that_says_nothing_is_closed_and_holds_up_nobody(node: ReceiverProcess) -> None:
    with ExitStack() as stack:
        began_at = time.monotonic()
        silent = [stack.enter_context(opened(node, associated=False)) for _ in range(20)]
        node.store(slices(name="beside silence"))
        assert time.monotonic() - began_at < REQUEST_S
        for peer in silent:
            peer.aborted(within_s=REQUEST_S + LATE_S)
        assert time.monotonic() - began_at > REQUEST_S - 0.2


@pytest.mark.fault("A2", "A3")
@pytest.mark.parametrize("associated", [False, True])
@pytest.mark.parametrize("part", [3, 20])
def test_a_pdu_that_does_not_come_to_its_end(
    node: ReceiverProcess, part: int, associated: bool
) -> None:
    """Of its header, or of its body, only a part."""
    whole = echo_rq() if associated else associate_rq()
    deadline_s = PDU_S if associated else REQUEST_S
    with opened(node, associated=associated) as peer:
        began_at = time.monotonic()
        assert peer.say(whole[:part]).aborted(within_s=deadline_s + LATE_S) == (2, 0)
        assert time.monotonic() - began_at > deadline_s - 0.2


@pytest.mark.fault("A4")
@pytest.mark.parametrize("associated", [False, True])
def test_the_deadline_is_for_the_whole_pdu(node: ReceiverProcess, associated: bool) -> None:
    """Each byte comes in good time, but not all of them do."""
    whole = echo_rq() if associated else associate_rq()
    deadline_s = PDU_S if associated else REQUEST_S
    with opened(node, associated=associated) as peer:
        took_s = drip(peer, whole, every_s=0.2, within_s=deadline_s + LATE_S)
        assert took_s > deadline_s - 0.2
        peer.aborted()


def _vanish(connection: socket.socket) -> None:
    """Let the kernel drop whatever comes, as if the host were gone: no ACK, no FIN, no RST."""
    attach_filter = 26  # SO_ATTACH_FILTER, of asm-generic/socket.h
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # return 0
    program = struct.pack("HL", 1, ctypes.addressof(instruction))
    connection.setsockopt(socket.SOL_SOCKET, attach_filter, program)


def _has_keepalive(local: tuple[str, int], remote: tuple[str, int]) -> bool:
    """What the kernel's timer of a connection waits for (proc(5), tcp)."""

    def hexadecimal(end: tuple[str, int]) -> str:
        (address,) = struct.unpack("=L", socket.inet_aton(end[0]))
        return f"{address:08X}:{end[1]:04X}"

    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    (row,) = (row for row in rows if row[1:3] == [hexadecimal(local), hexadecimal(remote)])
    return row[5].startswith("02:")


@pytest.mark.fault("A6")
def test_a_host_that_vanished_is_given_up_at_the_idle_limit(node: ReceiverProcess) -> None:
    threads, descriptors = node.threads(), node.descriptors()
    with opened(node, associated=True) as peer:
        peer.say(echo_rq()).answer()
        ends = peer.socket.getpeername(), peer.socket.getsockname()
        node.wait(lambda: _has_keepalive(*ends), timeout_s=1)  # its answer is acknowledged first
        began_at = time.monotonic()
        _vanish(peer.socket)
        assert node.threads() > threads
        node.wait(lambda: node.is_quiet(threads=threads, descriptors=descriptors))
        assert IDLE_S - 0.2 < time.monotonic() - began_at < IDLE_S + LATE_S + LAST_WORDS_S


def poured(peer: Peer, *, at_most: int) -> int:
    """How many bytes could be sent before the node closed the connection."""
    piece = bytes(1 << 16)
    sent = 0
    peer.socket.settimeout(5)
    try:
        while sent < at_most:
            sent += peer.socket.send(piece)
    except ConnectionError:
        pass
    return sent


@pytest.mark.fault("A7")
@pytest.mark.parametrize("associated", [False, True])
@pytest.mark.parametrize("kind", [RQ, P_DATA, RELEASE_RQ, ABORT])
def test_four_gigabytes_are_announced(node: ReceiverProcess, kind: int, associated: bool) -> None:
    rss = node.rss()
    with opened(node, associated=associated) as peer:
        peer.say(pdu(kind, length=0xFFFFFFFF))
        assert poured(peer, at_most=64 * MB) < 32 * MB
    with opened(node, associated=associated) as peer:
        assert peer.say(pdu(kind, bytes(100), length=0xFFFFFFFF)).aborted(within_s=1) == (2, 6)
    assert node.rss() < rss + 16 * MB


@pytest.mark.fault("A8")
@pytest.mark.parametrize("associated", [False, True])
@pytest.mark.parametrize("more", [0, 2, 5, 9])
def test_an_unknown_pdu_type_is_known_by_its_first_byte(
    node: ReceiverProcess, more: int, associated: bool
) -> None:
    with opened(node, associated=associated) as peer:
        assert peer.say(b"\x5a" + bytes(more)).aborted(within_s=PDU_S / 2) == (2, 1)


@pytest.mark.fault("A9")
@pytest.mark.parametrize(
    "banner",
    [
        b"GET / HTTP/1.1\r\nHost: node\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
    ],
    ids=["http", "tls", "ssh", "rdp"],
)
def test_other_protocols_are_sent_away(node: ReceiverProcess, banner: bytes) -> None:
    with opened(node, associated=False) as peer:
        assert peer.say(banner).aborted(within_s=REQUEST_S / 2)[0] == 2


def _with_contexts(*contexts: bytes) -> bytes:
    return associate_rq(contexts=contexts)


def _ct(context_id: int) -> bytes:
    return context(context_id, CTImageStorage, "1.2.840.10008.1.2")


_WELL_FORMED = associate_rq()
BROKEN_REQUESTS = {
    "empty": pdu(RQ),
    "cut within its fixed part": pdu(RQ, _WELL_FORMED[6:60]),
    "cut within its items": pdu(RQ, _WELL_FORMED[6:-9]),
    "no items": pdu(RQ, _WELL_FORMED[6:74]),
    "an item past its end": pdu(RQ, _WELL_FORMED[6:74] + item(0x10, b"1.2", length=500)),
    "a sub-item past its item": _with_contexts(item(0x20, b"\1\0\0\0\x30\0\xff\xff1.2")),
    "no contexts": _with_contexts(),
    "300 contexts": _with_contexts(*(_ct(2 * n % 256 + 1) for n in range(300))),
    "129 contexts": _with_contexts(*(_ct(2 * n % 256 + 1) for n in range(129))),
    "an even id": _with_contexts(_ct(2)),
    "id 0": _with_contexts(_ct(0)),
    "a repeated id": _with_contexts(_ct(1), _ct(1)),
    "no abstract syntax": _with_contexts(item(0x20, bytes((1, 0, 0, 0)))),
    "no transfer syntax": _with_contexts(context(1, CTImageStorage)),
    "half a UID": _with_contexts(context(1, "1.2.\x00", "1.2.840.10008.1.2"), b"\x20\0\0"),
    "a maximum length of two bytes": associate_rq(more=item(0x51, b"\0\1")),
    "a user item past its end": associate_rq(more=item(0x55, b"", length=9)),
    "a megabyte of tiny items": pdu(RQ, _WELL_FORMED[6:] + item(0x10, b"") * 250_000),
}


@pytest.mark.fault("A11")
@pytest.mark.parametrize("request_", BROKEN_REQUESTS.values(), ids=BROKEN_REQUESTS)
def test_a_broken_association_request_is_refused(node: ReceiverProcess, request_: bytes) -> None:
    with opened(node, associated=False) as peer:
        with suppress(ConnectionError):
            peer.say(request_)
        ((kind, body),) = peer.end(within_s=1)
        assert (kind, body[2]) == (ABORT, 2) or kind == RJ


@pytest.mark.fault("A11")
def test_items_of_a_later_standard_are_skipped(node: ReceiverProcess) -> None:
    """PS3.8 9.3.1: so that who speaks more can still speak with who speaks less."""
    later = item(0x7F, b"among the items")
    with opened(node, associated=False) as peer:
        peer.associate(contexts=[*CONTEXTS, later], more=item(0x9A, b"of the user information"))
        assert peer.say(echo_rq()).answer() == (C_ECHO | RESPONSE, 1, 0)


@pytest.mark.fault("A11")
def test_uids_that_were_never_heard_before_are_not_remembered(node: ReceiverProcess) -> None:
    """pydicom warns of each UID that is none, and Python would keep every text for ever."""

    def associate(number: int) -> None:
        odd = [
            context(each, f"1.2..{number}.{each}", *(f"{number}.{each}.x{n}" for n in range(20)))
            for each in range(5, 256, 2)
        ]
        with opened(node, associated=False) as peer:
            peer.associate(contexts=[*CONTEXTS, *odd]).say(RELEASE).end()

    associate(0)
    rss = node.rss()
    for number in range(1, 21):  # it was a megabyte each
        associate(number)
    assert node.rss() < rss + 8 * MB


@pytest.mark.fault("A12")
@pytest.mark.parametrize("version", [0, 2])
def test_another_protocol_version(node: ReceiverProcess, version: int) -> None:
    with opened(node, associated=False) as peer:
        assert peer.say(associate_rq(version=version)).rejected() == (1, 2, 2)
    with opened(node, associated=False) as peer:
        peer.associate(version=3)  # a bit field: 1 is among what this peer speaks


@pytest.mark.fault("A13")
@pytest.mark.parametrize("name", [b"1.2.840.10008.3.1.1.2", b"1.2", b""])
def test_an_unknown_application_context(node: ReceiverProcess, name: bytes) -> None:
    with opened(node, associated=False) as peer:
        assert peer.say(associate_rq(application_context=name)).rejected() == (1, 1, 2)


@pytest.mark.fault("A14")
def test_titles_that_nobody_configured(node: ReceiverProcess) -> None:
    with opened(node, associated=False) as peer:
        assert peer.say(associate_rq(called=b"OTHER")).rejected() == (1, 1, 7)
    with opened(node, associated=False) as peer:
        ((kind, body),) = peer.say(associate_rq(calling=b"OTHER")).end(stays=True)
        assert (kind, body[1:4]) == (RJ, bytes((1, 1, 3)))


NO_TITLES = {
    "spaces": b" " * 16,
    "NULs": bytes(16),
    "Latin-1": "PÄCS".encode("latin-1"),
    "UTF-8": "PÄCS".encode(),
    "ESC": b"\x1b[31mPACS",
    "a path": b"../x",
    "a path behind": b"PACS/../../x",
    "backslash": b"PACS\\X",
    "lower case": b"pacs",
    "NUL within": b"PACS\0X",
    "NUL before": b"\0PACS",
    "a line's end": b"PACS\r\nX",
    "right to left": "PACS\u202e".encode(),
    "15 letters": b"A" * 15,
}


@pytest.mark.fault("A15")
@pytest.mark.parametrize("title", NO_TITLES.values(), ids=NO_TITLES)
def test_odd_titles_match_nothing_and_are_never_logged_raw(
    node: ReceiverProcess, title: bytes
) -> None:
    """PCS may associate: what is left of PÄCS without its Ä must not be taken for it."""
    before = len(node.log())
    with opened(node, associated=False) as peer:
        assert peer.say(associate_rq(calling=title)).rejected() == (1, 1, 3)
    with opened(node, associated=False) as peer:
        assert peer.say(associate_rq(called=title)).rejected() == (1, 1, 7)
    logged = node.log()[before:]
    assert logged.count("association_rejected") == 2
    assert logged.isascii()
    assert all(line.isprintable() for line in logged.splitlines())
    folders = {path.name for path in node.spool.root.rglob("*")}
    assert not any(name == "x" or "PACS" in name for name in folders)


@pytest.mark.fault("A15")
@pytest.mark.parametrize("title", [b"A" * 16, b"PACS", b"  PACS", b"PACS\0\0\0\0\0\0\0\0\0\0\0\0"])
def test_a_title_matches_but_for_its_padding(node: ReceiverProcess, title: bytes) -> None:
    with opened(node, associated=False) as peer:
        peer.say(associate_rq(calling=title))
        kind, body = peer.hear()
        assert kind == AC
        assert body[20:36] == title.ljust(16)  # sent back as it came (PS3.8 9.3.3)


@pytest.mark.fault("A18")
def test_more_associations_than_allowed(patient_node: ReceiverProcess) -> None:
    """Those beyond the limit hear why, those within it go on, and both limits recover."""
    node = patient_node
    with ExitStack() as stack:
        peers = [stack.enter_context(opened(node, associated=False)) for _ in range(120)]
        with ThreadPoolExecutor(40) as pool:
            heard = list(pool.map(lambda peer: peer.say(associate_rq()).hear(), peers))
        accepted = [peer for peer, (kind, _) in zip(peers, heard, strict=True) if kind == AC]
        refused = [body for kind, body in heard if kind == RJ]
        assert len(accepted) == ASSOCIATIONS
        assert [tuple(body[1:4]) for body in refused] == [(2, 3, 2)] * (120 - ASSOCIATIONS)
        for peer in accepted:
            assert peer.say(echo_rq()).answer() == (C_ECHO | RESPONSE, 1, 0)
            assert peer.say(RELEASE).end() == [(RELEASE_RP, bytes(4))]
    with ExitStack() as stack:
        for _ in range(ASSOCIATIONS):
            stack.enter_context(opened(node, associated=True))


@pytest.mark.fault("A19")
@pytest.mark.slow
def test_a_flood_of_connections(tmp_path: Path) -> None:
    """From one address, thousands: another is served meanwhile, and nothing piles up."""
    node = ReceiverProcess(
        tmp_path, accept=[{"ae_title": "PACS", "from": ["127.0.0.0/8"]}], connections_per_s=20
    )
    try:
        with Peer(node.port, source="127.0.0.2").associate() as other:
            descriptors, threads, rss = node.descriptors(), node.threads(), node.rss()
            highest = waited_s = 0.0
            for _ in range(12):
                for _ in range(200):
                    Peer(node.port, source="127.0.0.3").socket.close()
                asked_at = time.monotonic()
                assert other.say(echo_rq()).answer() == (C_ECHO | RESPONSE, 1, 0)
                waited_s = max(waited_s, time.monotonic() - asked_at)
                highest = max(highest, node.descriptors())
                Peer(node.port, source="127.0.0.4").associate().socket.close()
            assert waited_s < 1
            assert highest < descriptors + 64  # limits.connections
            assert len(node.events("connections_too_fast")) == 1  # a flood, and one line
            node.wait(lambda: node.is_quiet(descriptors=descriptors, threads=threads))
            assert node.rss() < rss + SLACK
        node.store(slices(2, name="after the flood"))
    finally:
        node.stop()


def half_an_object(peer: Peer, name: str) -> str:
    """A C-STORE that is under way; returns its Study Instance UID."""
    (ds,) = slices(name=name)
    peer.say(store_rq(ds), pdu(P_DATA, pdv(CT_CONTEXT, 0, encoded(ds)[:200])))
    return str(ds.StudyInstanceUID)


def nothing_is_left(node: ReceiverProcess, study_instance_uid: str, files: list[Path]) -> bool:
    return not node.kept(study_instance_uid) and set(node.files()) == set(files)


@pytest.mark.fault("A20")
def test_both_sides_ask_for_release(node: ReceiverProcess) -> None:
    """This node never asks first: a peer that answers, and asks again, hears one answer."""
    with opened(node, associated=True) as peer:
        peer.say(RELEASE + pdu(RELEASE_RP, bytes(4)) + RELEASE)
        assert peer.end(stays=True) == [(RELEASE_RP, bytes(4))]


@pytest.mark.fault("A20")
def test_a_release_in_the_middle_of_an_object(node: ReceiverProcess) -> None:
    files = node.files()
    with opened(node, associated=True) as peer:
        study = half_an_object(peer, "released")
        assert peer.say(RELEASE).end() == [(RELEASE_RP, bytes(4))]
    assert nothing_is_left(node, study, files)


def _abort(peer: Peer) -> None:
    assert peer.say(pdu(ABORT, bytes(4))).end() == []


def _fin(peer: Peer) -> None:
    peer.socket.shutdown(socket.SHUT_WR)
    assert peer.end() == []


def _rst(peer: Peer) -> None:
    peer.reset()


@pytest.mark.fault("A21")
@pytest.mark.parametrize("leave", [_abort, _fin, _rst])
def test_a_peer_that_leaves_in_the_middle_of_an_object(
    node: ReceiverProcess, leave: Callable[[Peer], None]
) -> None:
    files, descriptors, threads = node.files(), node.descriptors(), node.threads()
    with opened(node, associated=True) as peer:
        study = half_an_object(peer, f"left {leave.__name__}")
        node.wait(lambda: len(node.files()) > len(files))
        leave(peer)
        node.wait(lambda: set(node.files()) == set(files), timeout_s=1)
    node.wait(lambda: node.is_quiet(descriptors=descriptors, threads=threads), timeout_s=1)
    assert nothing_is_left(node, study, files)


@pytest.mark.fault("A22")
@pytest.mark.parametrize("within", ["nothing", "a command", "an object"])
@pytest.mark.parametrize(
    "unexpected",
    [associate_rq(), pdu(AC, associate_rq()[6:]), pdu(RJ, b"\0\1\1\1"), pdu(RELEASE_RP, bytes(4))],
    ids=["RQ", "AC", "RJ", "RELEASE-RP"],
)
def test_a_pdu_out_of_turn(node: ReceiverProcess, unexpected: bytes, within: str) -> None:
    files = node.files()
    with opened(node, associated=True) as peer:
        if within == "a command":
            peer.say(pdu(P_DATA, pdv(1, 1, b"\0\0\0\0")))
        if within == "an object":
            half_an_object(peer, "out of turn")
        assert peer.say(unexpected).aborted(within_s=1) == (2, 2)
    assert set(node.files()) == set(files)


@pytest.mark.fault("A22")
@pytest.mark.parametrize(
    "unexpected", [echo_rq(), RELEASE, pdu(RELEASE_RP, bytes(4)), pdu(AC, bytes(80))]
)
def test_a_pdu_before_any_association(node: ReceiverProcess, unexpected: bytes) -> None:
    with opened(node, associated=False) as peer:
        assert peer.say(unexpected).aborted(within_s=1) == (2, 2)


@pytest.mark.fault("A23")
@pytest.mark.parametrize("max_length", [0, 1, 7, 8, 0xFFFFFFFF])
def test_absurd_maximum_lengths_of_the_peer(node: ReceiverProcess, max_length: int) -> None:
    """A byte of a response needs 7 in a PDU: with 1 it is cut as short as it can be."""
    rss = node.rss()
    (ds,) = slices(name=f"longest {max_length}")
    with opened(node, associated=False) as peer:
        peer.associate(max_length=max_length)
        peer.say(echo_rq(9))
        kind, body = peer.hear()
        assert kind == P_DATA
        if 0 < max_length < 9:
            assert len(body) == max(max_length, 7)
        while not body[5] & 2:
            kind, body = peer.hear()
        peer.say(store_rq(ds), *data_pdus(encoded(ds)))
        assert peer.answer() == (C_STORE | RESPONSE, 1, 0)
        peer.say(RELEASE).end()
    assert node.kept(ds.StudyInstanceUID) == {ds.SOPInstanceUID: encoded(ds)}
    assert node.rss() < rss + 16 * MB


@pytest.mark.fault("A24")
def test_requests_without_reading_answers(node: ReceiverProcess) -> None:
    """The window is answered with 1,1; a peer that does not care is served one by one."""
    rss = node.rss()
    window = item(0x53, struct.pack(">HH", 0, 0))
    instances = slices(100, name="pipelined")
    with opened(node, associated=False) as peer:
        peer.say(associate_rq(more=window))
        kind, body = peer.hear()
        assert kind == AC
        assert item(0x53, struct.pack(">HH", 1, 1)) in body
        asked: list[tuple[int, int]] = []
        for number, ds in enumerate(instances):
            asked += [(C_ECHO | RESPONSE, 10 * number + each) for each in range(9)]
            asked.append((C_STORE | RESPONSE, 10 * number + 9))
            peer.say(*(echo_rq(10 * number + each) for each in range(9)))
            peer.say(store_rq(ds, message_id=10 * number + 9), *data_pdus(encoded(ds)))
        assert [peer.answer() for _ in asked] == [(*each, 0) for each in asked]
        assert peer.say(RELEASE).end() == [(RELEASE_RP, bytes(4))]
    assert node.kept(instances[0].StudyInstanceUID) == {
        ds.SOPInstanceUID: encoded(ds) for ds in instances
    }
    assert node.rss() < rss + 16 * MB


@pytest.mark.fault("A24", "A25")
def test_a_peer_that_never_reads(node: ReceiverProcess) -> None:
    """Its window closes, the node's buffer fills, sending times out: an RST, nothing is kept."""
    rss, descriptors, threads = node.rss(), node.descriptors(), node.threads()
    source = fresh_address()
    with Peer(node.port, source=source, receive_buffer=2048).associate() as peer:
        requests = echo_rq() * 1000
        peer.socket.settimeout(SEND_S + LATE_S + 1)  # the node reads nothing while it waits to send
        stuck_at = began_at = time.monotonic()
        try:
            while time.monotonic() - began_at < 60:
                stuck_at = time.monotonic()
                peer.socket.send(requests)
        except ConnectionError:
            pass
        assert SEND_S - 1 < time.monotonic() - stuck_at < SEND_S + LATE_S
        node.wait(lambda: node.is_quiet(descriptors=descriptors, threads=threads), timeout_s=1)
        assert [line["address"] for line in node.events("peer_too_slow")].count(source) == 1
    assert node.rss() < rss + 16 * MB
