"""The element walk agrees with pydicom on what is whole, and forgives nothing that is cut off."""

import contextlib
import struct
from collections.abc import Mapping
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmwrite
from pydicom.dataelem import DataElement
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_ai_node.receive.elements import MAX_INFLATED_HEAD, DeflatedHead, Malformed, Walk
from dicom_ai_node.receive.identity import Identity, identify, walk_for
from tests.receive.scu import encoded, slices

STUDY, SERIES, SOP_INSTANCE = 0x0020000D, 0x0020000E, 0x00080018
WANTED = frozenset({STUDY, SERIES, SOP_INSTANCE})
UIDS = {SOP_INSTANCE: "1.2.3.4", STUDY: "1.2.3", SERIES: "1.2.30"}

IMPLICIT = {"implicit": True, "little_endian": True}
EXPLICIT = {"implicit": False, "little_endian": True}
BIG = {"implicit": False, "little_endian": False}
SYNTAXES = pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG], ids=["ile", "ele", "ebe"])


def walk(
    data: bytes,
    *,
    implicit: bool,
    little_endian: bool,
    wanted: frozenset[int],
    piece: int = 1 << 17,
) -> Mapping[int, bytes]:
    """The walk over a data set that comes in pieces."""
    walker = Walk(implicit=implicit, little_endian=little_endian, wanted=wanted)
    for at in range(0, len(data), piece):
        walker.feed(memoryview(data)[at : at + piece])
    return walker.finish()


def walk_deflated_head(data: bytes, *, wanted: frozenset[int]) -> Mapping[int, bytes]:
    head = DeflatedHead(wanted=wanted)
    for at in range(0, len(data), 100_000):
        head.feed(data[at : at + 100_000])
    return head.finish()


def identity_of(ds: Dataset) -> Identity:
    walker = walk_for(ds.file_meta.TransferSyntaxUID)
    walker.feed(encoded(ds))
    return identify(walker.finish())


texts = st.text("ABC 123", max_size=12)
elements = st.one_of(
    st.tuples(st.just((0x0010, 0x4000)), st.just("LT"), texts),
    st.tuples(st.just((0x0028, 0x0010)), st.just("US"), st.integers(0, 65535)),
    st.tuples(st.just((0x0018, 0x0050)), st.just("DS"), st.just("1.5")),
    st.tuples(st.just((0x0029, 0x0010)), st.just("LO"), st.just("SOMEBODY")),
    st.tuples(st.just((0x0029, 0x1001)), st.just("OB"), st.binary(max_size=10)),
    st.tuples(st.just((0x0029, 0x1002)), st.just("UN"), st.binary(max_size=10)),
    st.tuples(st.just((0x0008, 0x2111)), st.just("ST"), texts),
    st.tuples(st.just((0x0040, 0xA160)), st.just("UT"), texts),
    # a UID where it does not count: within a sequence it is somebody else's
    st.tuples(st.just((0x0020, 0x000D)), st.just("UI"), st.just("9.9.9")),
)


@st.composite
def items(draw: st.DrawFn, depth: int = 3) -> Dataset:
    ds = Dataset()
    for tag, vr, value in draw(st.lists(elements, max_size=4)):
        ds.add(DataElement(tag, vr, value))
    for tag in draw(st.lists(st.sampled_from([0x00081140, 0x00400275, 0x00291010]), max_size=2)):
        if depth:
            inner = draw(st.lists(items(depth - 1), max_size=2))
            ds.add(DataElement(tag, "SQ", inner))
            ds[tag].is_undefined_length = draw(st.booleans())
            for item in inner:
                item.is_undefined_length_sequence_item = draw(st.booleans())
    return ds


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    ds = draw(items())
    for tag, uid in UIDS.items():
        ds.add(DataElement(tag, "UI", uid))
    if draw(st.booleans()):
        ds.add(DataElement(0x7FE00010, "OW", draw(st.binary(max_size=20)) * 2))
    return ds


def written(ds: Dataset, syntax: dict[str, bool]) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = syntax["implicit"]
    buffer.is_little_endian = syntax["little_endian"]
    write_dataset(buffer, ds)
    return buffer.getvalue()


def boundaries(ds: Dataset, syntax: dict[str, bool]) -> list[int]:
    """Where top-level elements begin and end: a data set cut there is whole."""
    at = [0]
    for element in ds:
        alone = Dataset()
        alone.add(element)
        at.append(at[-1] + len(written(alone, syntax)))
    return at


def text_of(found: object) -> dict[int, str]:
    return {tag: value.rstrip(b"\0").decode() for tag, value in dict(found).items()}


@SYNTAXES
@given(ds=datasets(), piece=st.integers(1, 200))
@settings(max_examples=60)
def test_the_walk_finds_what_was_written(syntax: dict[str, bool], ds: Dataset, piece: int) -> None:
    """In whatever pieces it comes."""
    assert text_of(walk(written(ds, syntax), **syntax, wanted=WANTED, piece=piece)) == UIDS


@SYNTAXES
@given(ds=datasets())
@settings(max_examples=25)
def test_a_data_set_that_is_cut_off_is_malformed(syntax: dict[str, bool], ds: Dataset) -> None:
    data = written(ds, syntax)
    whole = boundaries(ds, syntax)
    assert whole[-1] == len(data)
    for end in set(range(len(data))) - set(whole):
        with pytest.raises(Malformed):
            walk(data[:end], **syntax, wanted=WANTED)


@given(fragments=st.lists(st.binary(min_size=2, max_size=30), min_size=1, max_size=3))
@settings(max_examples=30)
def test_encapsulated_pixel_data_is_stepped_over(fragments: list[bytes]) -> None:
    (ds,) = slices()
    ds.PixelData = encapsulate(fragments)
    ds["PixelData"].is_undefined_length = True
    data = written(ds, EXPLICIT)
    start = len(data) - len(ds.PixelData) - 12
    assert SOP_INSTANCE in walk(data, **EXPLICIT, wanted=WANTED)
    for end in range(start + 1, len(data)):
        with pytest.raises(Malformed):
            walk(data[:end], **EXPLICIT, wanted=WANTED)


def undefined(tag: tuple[int, int], vr: bytes, content: bytes) -> bytes:
    head = struct.pack("<HH", *tag)
    return head + vr + b"\0\0" + b"\xff" * 4 + content + SEQUENCE_END


ITEM, ITEM_END = b"\xfe\xff\x00\xe0" + b"\xff" * 4, b"\xfe\xff\x0d\xe0" + bytes(4)
SEQUENCE_END = b"\xfe\xff\xdd\xe0" + bytes(4)
# Study Date in implicit VR, of a length that is no VR
IMPLICIT_ELEMENT = struct.pack("<HHL", 0x0008, 0x0020, 8) + b"20260102"
SERIES_AFTER = struct.pack("<HH", 0x0020, 0x000E) + b"UI" + struct.pack("<H", 4) + b"1.2\0"


def test_un_of_undefined_length_holds_implicit_vr() -> None:
    """PS3.5 6.2.2: whatever the syntax around it."""
    un = undefined((0x0009, 0x1001), b"UN", ITEM + IMPLICIT_ELEMENT + ITEM_END)
    assert text_of(walk(un + SERIES_AFTER, **EXPLICIT, wanted=WANTED)) == {SERIES: "1.2"}


def test_un_of_undefined_length_may_lie_within_a_sequence() -> None:
    un = undefined((0x0009, 0x1001), b"UN", ITEM + IMPLICIT_ELEMENT + ITEM_END)
    after = struct.pack("<HH", 0x0010, 0x0020) + b"LO" + struct.pack("<H", 2) + b"ID"
    outer = undefined((0x0008, 0x1140), b"SQ", ITEM + un + after + ITEM_END)
    assert text_of(walk(outer + SERIES_AFTER, **EXPLICIT, wanted=WANTED)) == {SERIES: "1.2"}


def test_an_icon_may_be_compressed() -> None:
    """Encapsulated pixel data within an item of undefined length (PS3.3 C.7.6.1.1.6)."""
    icon = undefined((0x7FE0, 0x0010), b"OB", encapsulate([b"icon"]))
    outer = undefined((0x0088, 0x0200), b"SQ", ITEM + icon + ITEM_END)
    after = struct.pack("<HH", 0x0100, 0x0410) + b"CS" + struct.pack("<H", 2) + b"NS"
    assert walk(outer + after, **EXPLICIT, wanted=WANTED) == {}


@pytest.mark.parametrize(
    "content",
    [
        ITEM + SEQUENCE_END,
        ITEM + ITEM,
        undefined((0x0008, 0x1140), b"SQ", b""),
        ITEM + struct.pack("<HH", 0x0010, 0x0020) + b"LO" + struct.pack("<H", 200) + ITEM_END,
    ],
    ids=["item left open", "item in item", "element for item", "too long"],
)
def test_a_sequence_out_of_order_is_malformed(content: bytes) -> None:
    with pytest.raises(Malformed):
        walk(undefined((0x0008, 0x1140), b"SQ", content), **EXPLICIT, wanted=WANTED)


@pytest.mark.parametrize("said", [IMPLICIT, EXPLICIT, BIG], ids=["ile", "ele", "ebe"])
@pytest.mark.parametrize("truly", [IMPLICIT, EXPLICIT, BIG], ids=["ile", "ele", "ebe"])
def test_another_transfer_syntax_than_agreed_is_malformed(
    said: dict[str, bool], truly: dict[str, bool]
) -> None:
    data = written(slices()[0], truly)
    if said == truly:
        assert set(walk(data, **said, wanted=WANTED)) == WANTED
    else:
        with pytest.raises(Malformed):
            walk(data, **said, wanted=WANTED)


@pytest.mark.parametrize("levels", [20_000, 70])
def test_sequences_without_end_are_refused(levels: int) -> None:
    head = struct.pack("<HH", 0x0008, 0x1140) + b"SQ\0\0" + b"\xff" * 4
    with pytest.raises(Malformed, match="nested"):
        walk((head + ITEM) * levels, **EXPLICIT, wanted=WANTED)


@given(data=st.binary(max_size=200))
@settings(max_examples=100)
def test_noise_is_malformed_or_walked(data: bytes) -> None:
    for syntax in (IMPLICIT, EXPLICIT, BIG):
        with contextlib.suppress(Malformed):
            walk(data, **syntax, wanted=WANTED)


def deflated(*, pixels: int = 32) -> bytes:
    (ds,) = slices()
    ds.PixelData = bytes(pixels)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return encoded(ds)


def test_the_head_of_a_deflated_data_set_is_read() -> None:
    found = walk_deflated_head(deflated(), wanted=WANTED)
    assert text_of(found)[SOP_INSTANCE] == slices()[0].SOPInstanceUID


def test_no_more_than_the_head_is_inflated() -> None:
    """64 MiB of zeros in some 64 KiB: what is behind the head is not looked at."""
    data = deflated(pixels=64 << 20)
    assert len(data) < MAX_INFLATED_HEAD
    assert set(walk_deflated_head(data, wanted=WANTED)) == WANTED


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_deflated_data_set_that_is_cut_off_is_malformed(cut: int) -> None:
    with pytest.raises(Malformed):
        walk_deflated_head(deflated().rstrip(b"\0")[:-cut], wanted=WANTED)


def test_what_is_not_deflated_is_malformed() -> None:
    with pytest.raises(Malformed, match="not deflated"):
        walk_deflated_head(b"\xff" * 100, wanted=WANTED)


def test_files_of_pydicom_are_walked() -> None:
    (ds,) = slices()
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    assert identity_of(ds).sop_instance_uid == ds.SOPInstanceUID


def test_padding_and_case_make_no_other_patient() -> None:
    """The digest tells patients apart, not paddings (P6)."""

    def digest(**changes: str) -> str:
        (ds,) = slices()
        for keyword, value in changes.items():
            setattr(ds, keyword, value)
        return identity_of(ds).patient_digest

    assert digest() == digest(PatientName="Phantom^Left ", StudyDescription="other")
    others = {
        digest(PatientName="Phantom^Right"),
        digest(PatientID="PHANTOM-2"),
        digest(IssuerOfPatientID="Elsewhere"),
        digest(PatientBirthDate="19600102"),
        digest(PatientID="", PatientName="PHANTOM-1"),
    }
    assert len(others | {digest()}) == 6
