"""A patient whose every word is found wherever it goes."""

import base64
import copy
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from pydicom import DataElement, Dataset
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag

from tests import dicom_factory

STEM = "ZQXCANARY"
# what the names are in other alphabets, by Specific Character Set
NAMES = {
    "ISO_IR 100": f"{STEM}^Zäüqß",
    "ISO_IR 192": f"{STEM}^Zäüqß=カナリア^山鳥",
    "ISO 2022 IR 87": f"{STEM}^ZQ=山鳥^金糸",
}
_DATE = "19420317"  # of birth: no other date in the tests
WORDS = (STEM, "Zäüqß", "カナリア", "山鳥", "金糸", _DATE)
_TEXTS = ("PN", "LO", "SH", "ST", "LT", "UT", "UC")
_LONGEST = {"SH": 16}
_GROUPS = (0x0008, 0x0010, 0x0018, 0x0020, 0x0028, 0x0032, 0x0038, 0x0040)


def patient(
    name: str, *, charset: str = "ISO_IR 192", slices: int = 12, **said: str
) -> list[Dataset]:
    """A CT whose text attributes all hold a word of their own, as private ones and items do."""
    charsets = ["", charset] if charset.startswith("ISO 2022") else charset
    made = [copy.deepcopy(ds) for ds in dicom_factory.series(name=name, shape=(slices, 24, 24))]
    for ds in made:
        ds.SpecificCharacterSet = charsets
        for number, (tag, vr) in enumerate(_texts()):
            text = f"{STEM}{number:04}"[: _LONGEST.get(vr, 64)]
            ds.add(DataElement(tag, vr, text))
        ds.PatientName = NAMES[charset]
        ds.PatientID = f"{STEM}-ID"
        ds.PatientBirthDate = _DATE
        item = Dataset()
        item.RequestedProcedureDescription = f"{STEM} of an item"
        ds.RequestAttributesSequence = Items([item])
        ds.add(DataElement(0x00090010, "LO", f"{STEM} CREATOR"))
        ds.add(DataElement(0x00091001, "LT", f"{STEM} private"))
        for keyword, value in said.items():
            setattr(ds, keyword, value)
    return made


def spoilt(instances: Sequence[Dataset]) -> list[Dataset]:
    """Words where numbers and dates should be: what parsers quote when they complain."""
    for ds in instances:
        for tag, vr in ((0x00080020, "DA"), (0x00080030, "TM"), (0x00200013, "IS"),
                        (0x00180050, "DS"), (0x00101010, "AS"), (0x00280030, "DS")):  # fmt: skip
            value = f"{STEM}{vr}X"[:12].encode()
            ds[BaseTag(tag)] = RawDataElement(BaseTag(tag), vr, 12, value, 0, False, True)
    return list(instances)


def _texts() -> Iterator[tuple[int, str]]:
    """Every attribute of text of the groups that name people, places and requests."""
    for tag, (vr, vm, _, retired, keyword) in sorted(DicomDictionary.items()):
        is_of_somebody = tag >> 16 in (
            0x0008,
            0x0010,
            0x0018,
            0x0020,
            0x0028,
            0x0032,
            0x0038,
            0x0040,
        )
        if is_of_somebody and vr in _TEXTS and vm.startswith("1") and not retired and keyword:
            yield tag, vr


def written(word: str) -> Iterator[bytes]:
    """In every way in which it may stand in a file or on a page."""
    for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "iso2022_jp", "shift_jis"):
        try:
            yield word.encode(encoding)
        except UnicodeEncodeError:
            continue
    yield quote(word).encode()
    yield word.lower().encode()
    yield ascii(word)[1:-1].encode()
    yield json.dumps(word)[1:-1].encode()
    plain = word.encode()
    for shift in range(3):  # by where it begins among three bytes
        coded = base64.b64encode(bytes(shift) + plain)
        yield coded[(0, 2, 3)[shift] : len(coded) - 4]


PATTERNS = {form for word in WORDS for form in written(word) if len(form) >= 4}


def found_in(content: bytes) -> list[bytes]:
    return sorted(form for form in PATTERNS if form in content)


def where(folder: Path) -> dict[str, list[bytes]]:
    """Of all files below it, in their names and in their contents."""
    seen = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        if words := found_in(name.encode() + b"\n" + content):
            seen[name] = words
    return seen
