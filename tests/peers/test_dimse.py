"""C-STORE to a PACS that is well, ill, picky or gone."""

from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SegmentationStorage,
)

from dicom_ai_node.errors import PeerRefusesUs, PeerUnreachable
from dicom_ai_node.header import data_of
from dicom_ai_node.job import DeliveryState
from dicom_ai_node.peers.dimse import DimseStore
from dicom_ai_node.peers.open import open_peer
from dicom_ai_node.peers.peer import NOT_SENT, Offer
from dicom_ai_node.uids import derived_uid
from tests.made import configuration
from tests.peers.pacs import Pacs, objects
from tests.receive.scu import encoded

PENDING, STORED, REFUSED = DeliveryState.PENDING, DeliveryState.STORED, DeliveryState.REFUSED


def store(pacs: Pacs, paths: list[Path]) -> list[tuple[DeliveryState, str]]:
    (answered,) = offered(pacs, Offer(paths=paths))
    return answered


def offered(pacs: Pacs, *offers: Offer) -> list[list[tuple[DeliveryState, str]]]:
    """By offer, what became of each object, and the code or the words for it."""
    answered = DimseStore(pacs.settings, calling_ae_title="AI_NODE").store(offers)
    return [[(each.state, code_or_words(each.status)) for each in every] for every in answered]


def code_or_words(status: str) -> str:
    """The code without its words, where there is one."""
    return status.split(":")[0] if status[:4].isupper() or status[:4].isdigit() else status


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (0x0000, STORED),
        pytest.param(0x0111, STORED, marks=pytest.mark.fault("F14")),  # it has it
        (0xB000, STORED),
        (0xB006, STORED),
        (0xB007, STORED),
        (0x1234, REFUSED),  # that no standard knows
        (0xA700, PENDING),
        (0xA7FF, PENDING),
        (0x0110, PENDING),
        (0x0213, PENDING),
        (0xA900, REFUSED),
        (0xC000, REFUSED),
        (0x0117, REFUSED),
        (0x0122, REFUSED),
        (0x0124, REFUSED),
    ],
)
def test_a_status_decides(tmp_path: Path, status: int, state: DeliveryState) -> None:
    """Time cures some of them (P7)."""
    with Pacs(answer=lambda _: status).running() as pacs:
        assert store(pacs, objects(tmp_path)) == [(state, f"{status:04X}")] * 2
    assert len(pacs.received) == 2


def test_a_refused_object_does_not_stop_the_next(tmp_path: Path) -> None:
    def answer(sop_class: UID) -> int:
        return 0xC000 if sop_class == SegmentationStorage else 0x0000

    with Pacs(answer=answer).running() as pacs:
        assert store(pacs, objects(tmp_path)) == [(REFUSED, "C000"), (STORED, "0000")]


def test_a_pacs_that_takes_no_reports_gets_the_rest(tmp_path: Path) -> None:
    with Pacs(sop_classes=[SegmentationStorage]).running() as pacs:
        seg, sr = store(pacs, objects(tmp_path))
    assert seg == (STORED, "0000")
    assert sr[0] is REFUSED
    assert "takes no Comprehensive SR Storage" in sr[1]


@pytest.mark.parametrize(
    "pacs",
    [
        Pacs(sop_classes=[SegmentationStorage]),
        Pacs(sop_classes=[SegmentationStorage], syntaxes=[ImplicitVRLittleEndian]),
        Pacs(sop_classes=[]),
    ],
    ids=["no report", "no report, implicit", "nothing"],
)
def test_nothing_is_sent_of_an_offer_that_is_not_taken_whole(tmp_path: Path, pacs: Pacs) -> None:
    """Where there is another form of it; other offers on the same association are sent."""
    first, other = objects(tmp_path / "1", "first"), objects(tmp_path / "2", "other")
    with pacs.running():
        refused, sent = offered(pacs, Offer(paths=first, or_else=True), Offer(paths=other[:1]))
    takes_it = bool(pacs.sop_classes)
    assert [state for state, _ in refused] == [PENDING if takes_it else REFUSED, REFUSED]
    assert [state for state, _ in sent] == [STORED if takes_it else REFUSED]
    assert [uid for uid, _, _ in pacs.received] == [derived_uid("other", "seg")] * takes_it


def test_no_more_is_sent_of_an_offer_after_0122(tmp_path: Path) -> None:
    paths = objects(tmp_path)
    with Pacs(answer=lambda _: 0x0122).running() as pacs:
        (answered,) = offered(pacs, Offer(paths=paths, or_else=True))
    assert answered == [(REFUSED, "0122"), (PENDING, NOT_SENT.status)]
    assert len(pacs.received) == 1


def test_another_refusal_says_nothing_of_the_form(tmp_path: Path) -> None:
    with Pacs(answer=lambda _: 0xC000).running() as pacs:
        peer = DimseStore(pacs.settings, calling_ae_title="AI_NODE")
        (answered,) = peer.store([Offer(paths=objects(tmp_path), or_else=True)])
    assert [(each.status[:4], each.form_refused) for each in answered] == [("C000", False)] * 2


def test_an_association_that_breaks_leaves_the_rest_pending(tmp_path: Path) -> None:
    with Pacs(abort_after=1).running() as pacs:
        (first, status), (second, _) = store(pacs, objects(tmp_path))
    assert ((first, status), second) == ((STORED, "0000"), PENDING)


def test_a_file_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    seg, sr = objects(tmp_path)
    seg.write_bytes(b"gone bad")
    with Pacs().running() as pacs:
        bad, good = store(pacs, [seg, sr])
        assert store(pacs, [tmp_path / "missing.dcm"])[0][0] is REFUSED
    assert (bad[0], good) == (REFUSED, (STORED, "0000"))
    assert bad[1].startswith("the file in the outbox cannot be read")


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_a_pacs_that_speaks_one_native_syntax_gets_it(tmp_path: Path, syntax: UID) -> None:
    paths = objects(tmp_path)
    with Pacs(syntaxes=[syntax]).running() as pacs:
        assert [state for state, _ in store(pacs, paths)] == [STORED] * 2
    for path, (uid, came_as, data) in zip(paths, pacs.received, strict=True):
        ds = pydicom.dcmread(path)
        ds.file_meta.TransferSyntaxUID = syntax
        assert (uid, came_as) == (ds.SOPInstanceUID, syntax)
        assert data == encoded(pydicom.dcmread(path)) or syntax == ImplicitVRLittleEndian


def test_every_try_sends_the_bytes_of_the_file(tmp_path: Path) -> None:
    paths = objects(tmp_path)
    with Pacs(syntaxes=[ExplicitVRLittleEndian]).running() as pacs:
        store(pacs, paths)
        store(pacs, paths)
    data = [data_of(path.read_bytes()) for path in paths]
    assert [sent for _, _, sent in pacs.received] == data * 2


def test_a_pacs_that_is_down_is_unreachable(tmp_path: Path) -> None:
    with Pacs().running() as pacs:
        pass
    with pytest.raises(PeerUnreachable, match=rf"PACS at 127\.0\.0\.1:{pacs.port} does not answ"):
        store(pacs, objects(tmp_path))


def test_a_pacs_that_does_not_know_us_is_unreachable(tmp_path: Path) -> None:
    """Until somebody enters this node there, which the message says."""
    stranger = Offer(paths=objects(tmp_path))
    with Pacs().running() as pacs, pytest.raises(PeerRefusesUs, match="AE title STRANGER: enter"):
        list(DimseStore(pacs.settings, calling_ae_title="STRANGER").store([stranger]))


def test_a_pacs_that_takes_nothing_of_it_refuses_for_good(tmp_path: Path) -> None:
    with Pacs(sop_classes=[]).running() as pacs:
        assert [state for state, _ in store(pacs, objects(tmp_path))] == [REFUSED] * 2


def test_echo() -> None:
    with Pacs().running() as pacs:
        DimseStore(pacs.settings, calling_ae_title="AI_NODE").echo()
    with pytest.raises(PeerUnreachable):
        DimseStore(pacs.settings, calling_ae_title="AI_NODE").echo()


def test_the_configuration_names_the_caller(tmp_path: Path) -> None:
    node = configuration(tmp_path).node
    with Pacs(sop_classes=[ComprehensiveSRStorage]).running() as pacs:
        (outcomes,) = open_peer(pacs.settings, node).store([Offer(paths=objects(tmp_path))])
    assert [outcome.state for outcome in outcomes] == [REFUSED, STORED]
