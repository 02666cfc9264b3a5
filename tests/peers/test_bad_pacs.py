"""The bad PACS is as bad as its script says: seen by an SCU that is not ours."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, SegmentationStorage
from pynetdicom import AE
from pynetdicom.association import Association

from dicom_ai_node.header import data_of
from dicom_ai_node.uids import derived_uid
from tests.peers.bad_pacs import (
    ABORTS,
    BREAKS,
    CONGESTED,
    FORGETS,
    HANGS,
    KEEPS,
    KEEPS_AND_ABORTS,
    UNKNOWN_CALLING,
    BadPacs,
    Deed,
    answers,
    renames,
    slow,
)
from tests.peers.pacs import objects

SEG = derived_uid("job", "seg")


@contextmanager
def associated(pacs: BadPacs, answer_s: float = 5) -> Iterator[Association]:
    ae = AE(ae_title="AI_NODE")
    ae.dimse_timeout = ae.acse_timeout = answer_s
    ae.add_requested_context(SegmentationStorage, ExplicitVRLittleEndian)
    ae.add_requested_context(ComprehensiveSRStorage, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", pacs.port, ae_title="PACS")
    yield association
    if association.is_established:
        association.release()


def status_of(pacs: BadPacs, path: Path, answer_s: float = 5) -> int | None:
    with associated(pacs, answer_s) as association:
        return association.send_c_store(path).get("Status")  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("deed", "status", "is_kept"),
    [
        (KEEPS, 0x0000, True),
        (answers(0xA700), 0xA700, False),
        (answers(0xB006), 0xB006, True),
        (answers(0x1234), 0x1234, False),
        (answers(0x0111), 0x0111, True),
        (slow(0.05), 0x0000, True),
        (FORGETS, 0x0000, False),
        (ABORTS, None, False),
        (BREAKS, None, False),
        (KEEPS_AND_ABORTS, None, True),
    ],
)
def test_one_deed_is_done_to_one_object(
    tmp_path: Path, deed: Deed, status: int | None, is_kept: bool
) -> None:
    seg, _ = objects(tmp_path)
    with BadPacs(deeds=[deed]).running() as pacs:
        assert status_of(pacs, seg) == status
        assert (SEG in pacs.kept) is is_kept
        assert status_of(pacs, seg) == 0x0000
    assert pacs.kept == {SEG: data_of(seg.read_bytes())}
    assert pacs.times[SEG] == (1 if deed is BREAKS else 2)


def test_it_keeps_an_object_under_another_uid(tmp_path: Path) -> None:
    seg, _ = objects(tmp_path)
    with BadPacs(deeds=[renames("2.25.7")]).running() as pacs:
        assert status_of(pacs, seg) == 0xB000
    assert list(pacs.kept) == ["2.25.7"]


def test_it_hangs_until_it_is_shut_down(tmp_path: Path) -> None:
    seg, _ = objects(tmp_path)
    with BadPacs(then=HANGS).running() as pacs:
        begun = time.monotonic()
        assert status_of(pacs, seg, answer_s=0.3) is None
        assert time.monotonic() - begun >= 0.3
    assert pacs.kept == {}


def test_it_refuses_associations_as_told() -> None:
    with BadPacs(refusals=[CONGESTED, None], then_refuses=UNKNOWN_CALLING).running() as pacs:
        said = []
        for _ in range(3):
            with associated(pacs) as association:
                answer = association.acceptor.primitive
                assert answer is not None
                said.append((answer.result, association.is_established))
    assert said == [(2, False), (0, True), (1, False)]
    assert pacs.associations == 3


def test_it_never_answers_an_association() -> None:
    with BadPacs(hangs_at_association=True).running() as pacs, associated(pacs, 0.3) as association:
        assert not association.is_established
        assert not association.is_rejected


def test_it_accepts_the_first_context_alone_and_short_pdus() -> None:
    pacs = BadPacs(accepts_one_context=True, max_pdu=4096)
    with pacs.running(), associated(pacs) as association:
        assert [cx.abstract_syntax for cx in association.accepted_contexts] == [SegmentationStorage]
        assert association.acceptor.maximum_length == 4096


def test_it_comes_back_on_its_port(tmp_path: Path) -> None:
    seg, _ = objects(tmp_path)
    pacs = BadPacs(deeds=[HANGS])
    with pacs.running():
        sending = threading.Thread(target=status_of, args=(pacs, seg))
        sending.start()
        while not pacs.received:
            time.sleep(0.01)
    sending.join()
    with pacs.running():
        assert status_of(pacs, seg) == 0x0000
