"""What highdicom leaves out, in every object: whose it is, who made it, when, in which letters."""

import copy
import unicodedata
import warnings
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from pydicom import DataElement, Dataset
from pydicom.charset import decode_bytes, encode_string
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.valuerep import TEXT_VR_DELIMS

from dicom_ai_node.encoders.modules import PATIENT, STUDY
from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.encoders.source.headers import copy_keywords, encodings_of, has_character_set
from dicom_ai_node.encoders.source.unicode import TEXT_VRS, in_unicode, letters_of
from dicom_ai_node.file_meta import file_meta_of
from dicom_ai_node.header import words_of

COPIED = (*PATIENT, *STUDY, "RequestAttributesSequence")
WITHOUT_GENERAL_SERIES = ("SR", "KO", "RTSTRUCT")  # but a series module of their own
WITHOUT_TEXT = {  # large
    *("PerFrameFunctionalGroupsSequence", "ReferencedSeriesSequence"),
    *("ROIContourSequence", "ReferencedFrameOfReferenceSequence"),
}
JAPANESE = (
    "shift_jis",
    "iso2022_jp",
    "iso2022_jp_2",
)  # in Python more than the set (PS3.5 6.1.2.3)
PLAIN_LETTERS = str.maketrans(
    {"–": "-", "—": "-", "×": "x", "’": "'", "‘": "'", "“": '"', "”": '"', "µ": "u", "≥": ">="}
)


def finish(ds: Dataset, source: Dataset, run: Run, description: str) -> Dataset:
    """Complete `ds` in place. The copied text stays in the source's character set, byte for byte,
    where that has the letters of our own text too; else all of it is in ISO_IR 192 (P22).

    Where the source's bytes are not of its own set they stay as they are, and our text is reduced.
    """
    _set_equipment(ds, run)
    return complete(ds, source, run.finished_at, description)


def complete(ds: Dataset, source: Dataset, made_at: datetime, description: str) -> Dataset:
    """All that `finish` does but the equipment, for what no model has made; in place."""
    _set_series(ds, source, made_at, description)
    if ds.Modality != "SR":  # whose many items have nothing ambiguous
        correct_ambiguous_vr(ds, True)  # the writer skips it for a data set with original bytes
    source = _with_room_for_own_text(ds, source)
    _reduce_text(ds, source)
    copy_keywords(source, ds, ("SpecificCharacterSet", *PATIENT, *STUDY))
    ds.set_original_encoding(False, True, encodings_of(source))
    ds.file_meta = file_meta_of(ds)
    return ds


def set_side(ds: Dataset, header: Dataset) -> None:
    """Laterality of a paired part of the body; empty where nobody knows which part it is (type 2C
    in PS3.3 C.7.3.1)."""
    if words_of(header, "Laterality") in (("L",), ("R",)):
        copy_keywords(header, ds, ("Laterality",))
    elif not words_of(header, "BodyPartExamined"):
        ds.Laterality = None


def in_letters_of(ds: Dataset, source: Dataset) -> Dataset:
    """The source, in the character set that a finished object has."""
    if ds.get("SpecificCharacterSet") == source.get("SpecificCharacterSet"):
        return source
    return in_unicode(source, COPIED) or source


def _set_series(ds: Dataset, source: Dataset, made_at: datetime, description: str) -> None:
    at = _in_zone_of(source, made_at)
    date, time = at.strftime("%Y%m%d"), at.strftime("%H%M%S")
    ds.InstanceCreationDate = ds.SeriesDate = ds.ContentDate = date
    ds.InstanceCreationTime = ds.SeriesTime = ds.ContentTime = time
    ds.TimezoneOffsetFromUTC = at.strftime("%z")[:5]
    ds.SeriesDescription = description
    if ds.Modality not in WITHOUT_GENERAL_SERIES:
        # Laterality is not for multi-frame objects, where the coordinates say the side (dciodvfy
        # counts it as an error)
        copy_keywords(source, ds, ("BodyPartExamined",))


def _in_zone_of(source: Dataset, moment: datetime) -> datetime:
    """One offset holds for all times of an object, so that of the copied study times goes first."""
    offset = str(source.get("TimezoneOffsetFromUTC") or "").strip()
    try:
        return moment.astimezone(datetime.strptime(offset, "%z").tzinfo) if offset else moment
    except ValueError:
        return moment


def _set_equipment(ds: Dataset, run: Run) -> None:
    ds.Manufacturer = MANUFACTURER
    ds.ManufacturerModelName = "dicom-ai-node"
    ds.SoftwareVersions = run.software_versions
    ds.DeviceSerialNumber = run.serial_number
    purpose = Dataset()
    purpose.CodeValue = "Newcode1"
    purpose.CodingSchemeDesignator = "99IHE"
    purpose.CodeMeaning = "Processing Algorithm"
    algorithm = Dataset()
    algorithm.Manufacturer = MANUFACTURER
    algorithm.ManufacturerModelName = str(run.package.name)
    algorithm.DeviceSerialNumber = run.serial_number
    algorithm.SoftwareVersions = run.software_versions
    algorithm.DeviceUID = run.device_uid
    algorithm.ContributionDateTime = run.finished_at.strftime("%Y%m%d%H%M%S%z")
    algorithm.ContributionDescription = run.description(run.package.version)
    algorithm.PurposeOfReferenceCodeSequence = [purpose]
    ds.ContributingEquipmentSequence = [algorithm]  # highdicom's items name the source's device


def _with_room_for_own_text(ds: Dataset, source: Dataset) -> Dataset:
    """The source, or what it says in ISO_IR 192 where only that has all letters."""
    encodings = _encodings_for_own_text(source)
    for element in _text_elements(ds, WITHOUT_TEXT, set()):
        for text in _values(element):
            if not (is_encodable(text, encodings) or is_encodable(plain(text), encodings)):
                return in_unicode(source, COPIED) or source
    return source


def _encodings_for_own_text(source: Dataset) -> list[str]:
    """ASCII, which is in every set, where the declared one is none."""
    return letters_of(encodings_of(source)) if has_character_set(source) else ["ascii"]


def _reduce_text(ds: Dataset, source: Dataset) -> None:
    encodings = _encodings_for_own_text(source)
    for element in _text_elements(ds, WITHOUT_TEXT, set()):
        _reduce(element, encodings)
    if not has_character_set(source):
        _encode_text(ds)


def _encode_text(ds: Dataset) -> None:
    """All of our text, that of codes too: pydicom writes bytes as they are, whatever the set."""
    for element in [element for element in ds if element.VR == "SQ"]:
        ds[element.tag] = copy.deepcopy(element)  # highdicom shares its codes between reports
    for element in _text_elements(ds, (), set()):
        element.value = "\\".join(_values(element)).encode("ascii")


def _text_elements(ds: Dataset, without: Collection[str], seen: set[int]) -> Iterator[DataElement]:
    """Each once: the codes of a report are one item in many places."""
    for element in ds:
        if element.VR == "SQ":
            if element.keyword in without:
                continue
            for item in element.value:
                if id(item) not in seen:
                    seen.add(id(item))
                    yield from _text_elements(item, without, seen)
        elif element.VR in TEXT_VRS and element.value:
            yield element


def _reduce(element: DataElement, encodings: Sequence[str]) -> None:
    values = _values(element)
    reduced = [encodable(value, encodings) for value in values]
    if reduced != values:
        element.value = reduced if len(reduced) > 1 else reduced[0]


def _values(element: DataElement) -> list[str]:
    many = isinstance(element.value, Sequence) and not isinstance(element.value, str)
    return [str(value) for value in (element.value if many else [element.value])]


def is_encodable(text: str, encodings: Sequence[str]) -> bool:
    """Whether a reader gets these letters back, by escape sequences where the set has those."""
    if text.isascii():
        return True
    if len(encodings) == 1 and encodings[0] not in JAPANESE:
        try:
            return text.encode(encodings[0]).decode(encodings[0]) == text
        except UnicodeError:
            return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that no set has
        content = encode_string(text, encodings)
        return decode_bytes(content, encodings, TEXT_VR_DELIMS) == text


def encodable(text: str, encodings: Sequence[str]) -> str:
    """The text where the set has its letters; else without accents, and ? for what is left."""
    for letters in (text, plain(text)):
        if is_encodable(letters, encodings):
            return letters
    letters = unicodedata.normalize("NFKD", plain(text))
    base = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return base.encode("ascii", "replace").decode("ascii")


def plain(text: str) -> str:
    """Dashes and quotation marks as they are on every keyboard."""
    return text.translate(PLAIN_LETTERS)
