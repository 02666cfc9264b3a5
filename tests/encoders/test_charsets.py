"""P22: the letters of the source, from its file through a worker's attempt to every object.

The bytes are written out (most are the examples of PS3.5 annexes H to K), so that no encoder can
agree with itself. DCMTK reads each result beside pydicom, and converts all of it to UTF-8.
"""

import struct
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian

from dicom_ai_node import attempt
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.request import Request
from dicom_ai_node.study import IMAGE
from tests.dicom_factory import series, write
from tests.made import bright, stored
from tests.validators import tool

NAME, DESCRIPTION = "PatientName", "StudyDescription"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """One text in one character set, as people read it and as the file holds it."""

    charset: str | None  # as in the file, with backslashes
    text: str
    raw: bytes
    iconv: str | None = None  # its name for the set, where DCMTK's library may lack it


_JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"
LETTERS = {
    "none": Letters(charset=None, text="DOE^JOHN^^Dr.^", raw=b"DOE^JOHN^^Dr.^"),
    "latin": Letters(charset="ISO_IR 100", text="Buc^Jérôme", raw=b"Buc^J\xe9r\xf4me"),
    "latin 2": Letters(charset="ISO_IR 101", text="Wałęsa^Łucja", raw=b"Wa\xb3\xeasa^\xa3ucja"),
    "cyrillic": Letters(
        charset="ISO_IR 144", text="Люкceмбypг", raw=b"\xbb\xee\xdace\xdc\xd1yp\xd3"
    ),
    "greek": Letters(
        charset="ISO_IR 126", text="Διονυσιος", raw=b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2"
    ),
    "arabic": Letters(
        charset="ISO_IR 127",
        text="قباني^لنزار",
        raw=b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1",
    ),
    "hebrew": Letters(
        charset="ISO_IR 138", text="שרון^דבורה", raw=b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4"
    ),
    "thai": Letters(
        charset="ISO_IR 166", text="สมชาย^ใจดี", raw=b"\xca\xc1\xaa\xd2\xc2^\xe3\xa8\xb4\xd5"
    ),
    "unicode": Letters(
        charset="ISO_IR 192",
        text="Wang^XiaoDong=王^小東=Wa\u0308ng 𠮷",  # a combining accent, and beyond the BMP
        raw=b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=Wa\xcc\x88ng \xf0\xa0\xae\xb7",
    ),
    "gb18030": Letters(
        charset="GB18030",
        text="Wang^XiaoDong=王^小东=㐀",
        raw=b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=\x819\xee9",
    ),
    "gbk": Letters(
        charset="GBK",
        text="Wang^XiaoDong=王^小东",
        raw=b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab",
    ),
    "japanese": Letters(
        charset=r"\ISO 2022 IR 87",
        text=_JAPANESE,
        raw=b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        iconv="ISO-2022-JP-2",
    ),
    "japanese, katakana first": Letters(
        charset=r"ISO 2022 IR 13\ISO 2022 IR 87",
        text="ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        raw=b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
        b"=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
    ),
    "japanese, supplementary": Letters(
        charset=r"\ISO 2022 IR 87\ISO 2022 IR 159",
        text="Yamada^Tarou=山田^丂太郎",
        raw=b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$(D0!\x1b$BB@O:\x1b(B",
        iconv="ISO-2022-JP-2",
    ),
    "korean": Letters(
        charset=r"\ISO 2022 IR 149",
        text="Hong^Gildong=洪^吉洞=홍^길동",
        raw=b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"
        b"=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
    ),
    "chinese with escapes": Letters(
        charset=r"\ISO 2022 IR 58",
        text="Zhang^XiaoDong=张^小东",
        raw=b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
    ),
    "cyrillic with escapes": Letters(
        charset=r"ISO 2022 IR 6\ISO 2022 IR 144",
        text="Yuri=Юрий",
        raw=b"Yuri=\x1b-L\xce\xe0\xd8\xd9",
    ),
}
# what a set does not know, or what no set is: bytes, and nothing else
WRONG = {
    "latin as unicode": ("ISO_IR 192", b"M\xfcller^J\xfcrgen"),
    "latin in no set": (None, b"M\xfcller^J\xfcrgen"),
    "unicode as latin": ("ISO_IR 100", "山田^太郎".encode()),
    "an unknown set": ("ISO_IR 999", b"M\xfcller"),
    "a set of nonsense": ("NOT A CHARACTER S", b"\xff\xfe^\x81"),
    "lower case": ("iso_ir 192", "Müller".encode()),
    "a codec of python": ("utf_16", b"Doe^J\xf6"),
    "a codec that is none": ("hex", b"Doe^J\xf6"),
    "a codec that is none, and escapes": ("hex", b"Doe=\x1b$B;3ED\x1b(B"),
    "a set that may not stand alone": ("ISO 2022 IR 87", b"\x1b$B;3ED"),
    "unicode among others": (r"ISO 2022 IR 6\ISO_IR 192", "Müller".encode()),
    "unknown among others": (r"\ISO 2022 IR 999", b"Doe=\x1b$B;3ED\x1b(B"),
    "escapes in no set": (None, b"Yamada=\x1b$B;3ED\x1b(B"),
    "half a letter": ("GB18030", b"Wang^\xcd"),
    "escapes to nowhere": (r"\ISO 2022 IR 87", b"\x1b$B;3E"),
    "an unknown escape": (r"\ISO 2022 IR 149", b"Hong=\x1b$)Z\xfb\xf3"),
}
IN_SEQUENCE = {  # one item, which has no set of its own
    "CodeMeaning": "ProcedureCodeSequence",
    "RequestedProcedureDescription": "RequestAttributesSequence",
}
Attempt = Callable[..., "Written"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    source: Path
    results: tuple[Path, Path, Path]  # SEG, summary page, SR


@pytest.fixture
def attempted(tmp_path: Path) -> Attempt:
    """A source with these bytes goes through the worker's attempt."""

    def run(charset: str | None, *, implicit: bool = False, **raw: bytes) -> Written:
        values = raw if charset is None else {"SpecificCharacterSet": charset.encode(), **raw}
        paths = with_bytes(series(name="letters", shape=(4, 8, 8)), values, tmp_path, implicit)
        return results_of(paths, tmp_path)

    return run


def results_of(paths: list[Path], tmp_path: Path) -> Written:
    model = bright(tmp_path)
    request = Request(
        job_key="k", model=model, inputs={IMAGE: tuple(stored(paths))}, folder=tmp_path / "results"
    )
    report = attempt.run(request, lambda: open_model(model))
    assert (report.outcome, report.reason) == (Outcome.FINDINGS, None)
    assert [each.kind for each in report.objects] == ["seg", "sr", "summary"]
    seg, sr, page = (request.folder / each.file for each in report.objects)
    return Written(source=paths[0], results=(seg, page, sr))


def with_bytes(
    instances: list[Dataset], values: Mapping[str, bytes], tmp_path: Path, implicit: bool = False
) -> list[Path]:
    """Files with these bytes as values, padded to even length: put in where as many letters were.

    pydicom would encode what it is given.
    """
    padded = {keyword: value + b" " * (len(value) % 2) for keyword, value in values.items()}
    for ds in instances:
        ds.pop("SpecificCharacterSet")
        for keyword, value in padded.items():
            sequence = IN_SEQUENCE.get(keyword)
            place = ds if sequence is None else ds.setdefault(sequence, [Dataset()])[0]
            setattr(place, keyword, "X" * len(value))
        if implicit:
            ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    paths = write(instances, tmp_path / "source")
    for path in paths:
        content = path.read_bytes()
        for keyword, value in padded.items():
            head = _head(keyword, len(value), implicit)
            assert content.count(head) == 1
            content = content.replace(head + b"X" * len(value), head + value)
        path.write_bytes(content)
    return paths


def _head(keyword: str, length: int, implicit: bool) -> bytes:
    tag = Tag(tag_for_keyword(keyword) or 0)
    if implicit:
        return struct.pack("<HHL", tag.group, tag.element, length)
    return struct.pack("<HH2sH", tag.group, tag.element, dictionary_VR(tag).encode(), length)


def raw_of(path: Path, keyword: str) -> bytes | None:
    """The bytes of a value in the file, padding and all; of the set itself, its values."""
    ds = pydicom.dcmread(path)
    element = ds.get_item(keyword)
    if element is None:
        return None
    if keyword == "SpecificCharacterSet":  # which pydicom needs at once
        return str(element.value).encode()
    value: bytes = element.value or b""
    return value


def same_bytes(written: Written, *keywords: str) -> None:
    """All results have what the source has, undecoded."""
    for keyword in ("SpecificCharacterSet", *keywords):
        theirs = raw_of(written.source, keyword)
        for path in written.results:
            assert raw_of(path, keyword) == theirs, keyword


def dcmtk_bytes(path: Path, keyword: str) -> bytes:
    """DCMTK's reading of a value, unconverted; it leaves padding away at the end."""
    tag = Tag(tag_for_keyword(keyword) or 0)
    place = f"{tag.group:04x},{tag.element:04x}"
    command = [tool("dcmdump"), "-q", "+L", "-p", "+P", place, str(path)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert not done.stderr
    (line,) = (each for each in done.stdout.split(b"\n") if each.startswith(f"({place})".encode()))
    return line[line.index(b"[") + 1 : line.rindex(b"]")]


def converted(path: Path) -> Dataset | None:
    """The whole object in ISO_IR 192, by DCMTK; None where its library lacks the set.

    glibc's iconv, with which distributions build it, has no ISO 2022 IR 13, 87 and 159.
    """
    target = path.with_suffix(".utf8")
    command = [tool("dcmconv"), "+U8", str(path), str(target)]
    done = subprocess.run(command, capture_output=True, check=False)
    if b"is not supported by the utilized character set conversion library" in done.stderr:
        assert "ISO 2022 IR 87" in pydicom.dcmread(path).SpecificCharacterSet
        return None
    assert (done.returncode, done.stderr) == (0, b"")
    return pydicom.dcmread(target)


def iconv(raw: bytes, name: str) -> str:
    """A reader that is neither Python nor DCMTK."""
    command = [tool("iconv"), "-f", name, "-t", "UTF-8"]
    return subprocess.run(command, input=raw, capture_output=True, check=True).stdout.decode()


@pytest.mark.result_rule(23)
@pytest.mark.validators
@pytest.mark.parametrize("which", LETTERS)
def test_letters_come_through(which: str, attempted: Attempt) -> None:
    """As bytes, and code point by code point for two readers.

    DCMTK converts all of the result, so our own text is within the set too. Where it cannot, it is
    asked for the bytes, and iconv for the letters.
    """
    letters = LETTERS[which]
    written = attempted(letters.charset, PatientName=letters.raw, StudyDescription=letters.raw)
    assert letters.raw in written.source.read_bytes()
    same_bytes(written, NAME, DESCRIPTION)
    for path in written.results:
        assert code_points(pydicom.dcmread(path).PatientName) == code_points(letters.text)
        assert dcmtk_bytes(path, NAME) == letters.raw
        in_utf8 = converted(path)
        if in_utf8 is not None:
            assert in_utf8.get("SpecificCharacterSet") == "ISO_IR 192"
            assert code_points(in_utf8.PatientName) == code_points(letters.text)
            assert code_points(in_utf8.StudyDescription) == code_points(letters.text)
        elif letters.iconv:
            assert iconv(dcmtk_bytes(path, NAME), letters.iconv) == letters.text


def code_points(text: object) -> list[int]:
    """None is composed, decomposed or replaced on the way.

    Of ISO 2022 IR 58, pydicom reads the letters and leaves their escape sequences in; so does DCMTK
    where one follows another in an LO.
    """
    return [*map(ord, str(text).replace("\x1b$)A", ""))]


@pytest.mark.result_rule(23)
@pytest.mark.validators
@pytest.mark.parametrize("which", WRONG)
def test_a_wrong_set_neither_stops_nor_changes_a_byte(which: str, attempted: Attempt) -> None:
    """No program can convert these, so DCMTK is asked for the bytes alone."""
    charset, raw = WRONG[which]
    written = attempted(charset, PatientName=raw, StudyDescription=raw, PatientID=raw)
    same_bytes(written, NAME, DESCRIPTION, "PatientID")
    for path in written.results:
        assert raw_of(path, "Manufacturer") == b"dicom-ai-node "
        assert dcmtk_bytes(path, NAME) == raw
        assert dcmtk_bytes(path, "PatientID") == raw


def test_the_report_after_one_in_a_wrong_set_is_as_ever(attempted: Attempt, tmp_path: Path) -> None:
    """A worker stays warm, and highdicom's reports share some of their codes."""
    attempted("hex", PatientName=b"Doe")
    written = results_of(write(series(name="next"), tmp_path / "next"), tmp_path / "again")
    language = pydicom.dcmread(written.results[-1]).ContentSequence[0]
    assert language.ConceptCodeSequence[0].CodeValue == "en-US"


@pytest.mark.result_rule(23)
@pytest.mark.parametrize("which", ["japanese", "gb18030", "latin", "korean"])
def test_letters_in_sequences_come_through(which: str, attempted: Attempt) -> None:
    """Items take the set of the data set around them (PS3.5 7.5.3)."""
    letters = LETTERS[which]
    in_sequences(attempted, letters.charset, letters.raw)


@pytest.mark.parametrize("which", WRONG)
def test_a_wrong_set_changes_nothing_in_sequences(which: str, attempted: Attempt) -> None:
    in_sequences(attempted, *WRONG[which])


def in_sequences(attempted: Attempt, charset: str | None, raw: bytes) -> None:
    written = attempted(charset, CodeMeaning=raw, RequestedProcedureDescription=raw)
    padded = raw + b" " * (len(raw) % 2)
    for path in written.results:
        ds = pydicom.dcmread(path)
        assert ds.ProcedureCodeSequence[0].get_item("CodeMeaning").value == padded
    (request,) = ds.ReferencedRequestSequence  # of the report, the last one
    assert request.get_item("RequestedProcedureDescription").value == padded


@pytest.mark.validators
def test_accents_and_quotation_marks_anywhere(attempted: Attempt) -> None:
    text = {
        "PatientID": "Ä-1 'ß' \"2\"",
        "IssuerOfPatientID": "Clínica «Ñandú»",
        "AccessionNumber": "É\"17'",
        "StudyDescription": "Schädel \"nativ\" – d'après l'œil <&> `´",
        "StudyID": "№ 1",
        "ReferringPhysicianName": "O'Neill^Zoë^^Dr.",
        "PatientComments": "Erste Zeile\r\n“zweite”",
    }
    written = attempted("ISO_IR 192", **{keyword: text.encode() for keyword, text in text.items()})
    same_bytes(written, *text)
    for path in written.results:
        ds = pydicom.dcmread(path)
        assert {keyword: str(ds[keyword].value) for keyword in text} == text
        assert dcmtk_bytes(path, "PatientID") == text["PatientID"].encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"DOE^JOHN ",
        b"DOE^JOHN    ",
        b"DOE^JOHN\0",
        b" DOE^JOHN",
        b"DOE^JOHN^^^==",
        b"=\xcd\xf5^\xd0\xa1",
        b"\xcd\xf5\xd0\xa1\0\0",
        b"  ",
        b"",
    ],
)
def test_padding_and_empty_groups_stay(raw: bytes, attempted: Attempt) -> None:
    written = attempted("GB18030", PatientName=raw, PatientID=raw, AccessionNumber=raw)
    same_bytes(written, NAME, "PatientID", "AccessionNumber")


@pytest.mark.validators
def test_a_backslash_within_a_letter_is_no_delimiter(attempted: Attempt) -> None:
    """The second byte of a Chinese letter may be 5C or 5E (PS3.5 6.1.2.3); pydicom splits there,
    so DCMTK alone reads the text."""
    raw = "Wang^誠=王^誠乛".encode("gbk")
    written = attempted("GBK", PatientName=raw, PatientID=raw, OtherPatientNames=raw)
    same_bytes(written, NAME, "PatientID", "OtherPatientNames")
    for path in written.results:
        assert dcmtk_bytes(path, NAME) == raw
        in_utf8 = converted(path)
        assert in_utf8 is not None
        assert in_utf8.PatientID == "Wang^誠=王^誠乛"


def test_implicit_vr_does_not_matter(attempted: Attempt) -> None:
    letters = LETTERS["japanese"]
    written = attempted(letters.charset, implicit=True, PatientName=letters.raw)
    same_bytes(written, NAME)
    for path in written.results:
        assert str(pydicom.dcmread(path).PatientName) == letters.text
