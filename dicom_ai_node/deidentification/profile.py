"""A header without the patient: the basic profile of PS3.15 E.1 by its table, and beyond that only
what is on a list of kinds of values in which nobody can be named."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Literal

from pydicom import DataElement, Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID
from pydicom.valuerep import BYTES_VR

from dicom_ai_node.deidentification.dates import shifted
from dicom_ai_node.deidentification.pseudonyms import Pseudonyms
from dicom_ai_node.errors import ModelError
from dicom_ai_node.header import DAMAGED

Kept = Literal["age", "sex", "size", "weight"]

_KEPT: dict[str, Kept] = {
    "PatientAge": "age",
    "PatientSex": "sex",
    "PatientSize": "size",
    "PatientWeight": "weight",
}
# longitudinal temporal information, with modified dates: by the patient's own shift
_SHIFTED = frozenset(
    {
        *("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "AcquisitionDateTime"),
        *("RadiopharmaceuticalStartDateTime", "RadiopharmaceuticalStopDateTime"),
        *("FrameAcquisitionDateTime", "FrameReferenceDateTime"),
    }
)
_TIMES = frozenset(
    {
        *("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"),
        *("RadiopharmaceuticalStartTime", "RadiopharmaceuticalStopTime"),
    }
)
_NUMBERS = frozenset({"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "DS", "IS", "AT"})
_BYTES = frozenset(
    {
        *("PixelData", "FloatPixelData", "DoubleFloatPixelData", "LUTData"),
        *("RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData"),
        *("BluePaletteColorLookupTableData", "ExtendedOffsetTable"),
        "ExtendedOffsetTableLengths",
    }
)
# words of vendors about their devices and methods, of one short line
_WORDS = frozenset(
    {
        *("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "ConvolutionKernel"),
        *("SequenceName", "RescaleType", "CodeValue", "CodingSchemeDesignator", "CodeMeaning"),
    }
)
_CODE = re.compile(r"[A-Z0-9 _]{0,16}")  # CS (PS3.5 6.2)
_WORD = re.compile(r"[A-Za-z0-9 ._/()+:\[\]*#-]{0,64}")
_TIME = re.compile(r"\d{2,6}(\.\d{1,6})?")
_AGE = re.compile(r"\d{3}[DWMY]")
_OLDEST = 89  # in years; older ones are few
_SQ_DEEPEST = 8


def deidentified(ds: Dataset, names: Pseudonyms, *, keep: Iterable[Kept] = ()) -> Dataset:
    """A new data set with its file meta; `ds` is left as it is."""
    made = _cleaned(ds, names, frozenset(keep), depth=0)
    made.PatientName = made.PatientID = names.patient
    made.PatientIdentityRemoved = "YES"
    made.DeidentificationMethod = "PS3.15 E.1 basic profile, pixels not cleaned"
    made.LongitudinalTemporalInformationModified = "MODIFIED"
    codes = [_code("113100", "Basic Application Confidentiality Profile")]
    codes.append(_code("113107", "Retain Longitudinal Temporal Information Modified Dates Option"))
    if keep:
        codes.append(_code("113108", "Retain Patient Characteristics Option"))
    made.DeidentificationMethodCodeSequence = codes
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ds.file_meta.TransferSyntaxUID
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def _cleaned(ds: Dataset, names: Pseudonyms, keep: frozenset[Kept], *, depth: int) -> Dataset:
    made = Dataset()
    for tag in ds.keys():  # noqa: SIM118 - values are converted one by one, where they may be damaged
        try:
            element = _element(ds[tag], names, keep, depth=depth)
        except DAMAGED:
            continue
        if element is not None:
            made[tag] = element
    return made


def _element(
    element: DataElement, names: Pseudonyms, keep: frozenset[Kept], *, depth: int
) -> DataElement | None:
    """What becomes of it; None: it goes. Private elements, overlays and curves always do."""
    tag, keyword = element.tag, keyword_for_tag(element.tag)
    if not keyword or tag.is_private or tag.group >> 8 in (0x50, 0x60):
        return None
    if keyword in _KEPT:
        return _characteristic(element, keyword) if _KEPT[keyword] in keep else _empty(element)
    if element.VR == "UI":
        return DataElement(tag, "UI", _uids(element.value, names))
    if keyword in _SHIFTED:
        return DataElement(tag, element.VR, shifted(str(element.value), names.shift_days))
    if keyword in _TIMES:
        return element if _TIME.fullmatch(str(element.value)) else None
    if (action := _table().get(tag)) is not None:
        return _empty(element) if action == "empty" else None
    if element.VR == "SQ":
        if depth >= _SQ_DEEPEST:
            return None
        items = [_cleaned(item, names, keep, depth=depth + 1) for item in element.value]
        return DataElement(tag, "SQ", Sequence(items))
    if _names_nobody(element, keyword):
        return element
    return None if element.VR in BYTES_VR else _empty(element)  # it may have to be there


def _empty(element: DataElement) -> DataElement:
    return DataElement(element.tag, element.VR, None)


def _names_nobody(element: DataElement, keyword: str) -> bool:
    values = element.value if element.VM > 1 else [element.value]
    if element.VR in _NUMBERS:
        return True  # a text in their place could not have been converted
    if element.VR == "CS":
        return all(_CODE.fullmatch(str(each or "")) for each in values)
    if keyword in _WORDS:
        return all(_WORD.fullmatch(str(each or "")) for each in values)
    return keyword in _BYTES


def _uids(value: object, names: Pseudonyms) -> list[str]:
    """Those that the standard has registered say what a thing is, and not which."""
    several = [value] if isinstance(value, str) else list(value or [])  # type: ignore[call-overload]
    return [
        each if UID(each).name != each else names.uid(each) for each in map(str, several) if each
    ]


def _characteristic(element: DataElement, keyword: str) -> DataElement | None:
    if keyword == "PatientAge":
        age = str(element.value)
        if not _AGE.fullmatch(age):
            return _empty(element)
        is_old = age.endswith("Y") and int(age[:3]) > _OLDEST
        return DataElement(element.tag, "AS", f"{_OLDEST + 1:03}Y" if is_old else age)
    return element if _names_nobody(element, keyword) else _empty(element)


@cache
def _table() -> dict[BaseTag, Literal["empty", "remove"]]:
    """PS3.15 Table E.1-1: what may be empty is emptied. What wants a dummy goes: a dummy may be
    mistaken for a value."""
    try:
        from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as table
    except ImportError:
        raise ModelError(
            "this model runs outside, and the extra deid is not installed: "
            'pip install "dicom-ai-node[deid]"'
        ) from None
    emptied = [*table.Z_TAGS, *table.Z_D_TAGS, *table.X_Z_TAGS]
    removed = [*table.X_TAGS, *table.D_TAGS, *table.X_D_TAGS, *table.X_Z_D_TAGS]
    removed += [*table.X_Z_U_STAR_TAGS, *table.U_TAGS]
    found: dict[BaseTag, Literal["empty", "remove"]] = {}
    for tags, action in ((emptied, "empty"), (removed, "remove")):
        # those of four numbers are repeating groups, which go all
        found |= {BaseTag(t[0] << 16 | t[1]): action for t in tags if len(t) == 2}  # type: ignore[misc]
    return found


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code
