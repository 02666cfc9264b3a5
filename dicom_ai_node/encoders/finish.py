"""What highdicom leaves out, in every object: whose it is, who made it, when, in which letters."""

import copy
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from pydicom import DataElement, Dataset
from pydicom.charset import python_encoding
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicom_ai_node.encoders.modules import PATIENT, STUDY
from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.encoders.source.headers import copy_keywords, encodings_of, has_character_set
from dicom_ai_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

TEXT_VRS = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}
WITHOUT_TEXT = {  # large
    *("PerFrameFunctionalGroupsSequence", "ReferencedSeriesSequence"),
    *("ROIContourSequence", "ReferencedFrameOfReferenceSequence"),
}
PLAIN_LETTERS = str.maketrans(
    {"–": "-", "—": "-", "×": "x", "’": "'", "‘": "'", "“": '"', "”": '"', "µ": "u", "≥": ">="}
)


def finish(ds: Dataset, source: Dataset, run: Run, description: str) -> Dataset:
    """Complete `ds` in place; the copied text stays in the source's character set, byte for byte.

    Our own text is reduced to what that set can hold, so nothing has to be converted.
    """
    _set_series(ds, source, run, description)
    _set_equipment(ds, run)
    correct_ambiguous_vr(ds, True)  # the writer skips it for a data set with original bytes
    _reduce_text(ds, source)
    copy_keywords(source, ds, ("SpecificCharacterSet", *PATIENT, *STUDY))
    ds.set_original_encoding(False, True, encodings_of(source))
    _set_file_meta(ds)
    return ds


def _set_series(ds: Dataset, source: Dataset, run: Run, description: str) -> None:
    at = _in_zone_of(source, run.finished_at)
    date, time = at.strftime("%Y%m%d"), at.strftime("%H%M%S")
    ds.InstanceCreationDate = ds.SeriesDate = ds.ContentDate = date
    ds.InstanceCreationTime = ds.SeriesTime = ds.ContentTime = time
    ds.TimezoneOffsetFromUTC = at.strftime("%z")[:5]
    ds.SeriesDescription = description
    if ds.Modality not in ("SR", "KO"):
        # General Series, which a document does not have; Laterality is not for multi-frame objects,
        # where the coordinates say the side (dciodvfy counts it as an error)
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


def _codec_for_own_text(source: Dataset) -> str:
    """ASCII is in every set; more only where one set without escapes is declared."""
    declared = source.get("SpecificCharacterSet") or ""
    single = declared if isinstance(declared, str) else ""
    if single.startswith("ISO_IR ") and single != "ISO_IR 13":
        return python_encoding.get(single, "ascii")
    return "ascii"


def _reduce_text(ds: Dataset, source: Dataset) -> None:
    codec = _codec_for_own_text(source)
    for element in _text_elements(ds, WITHOUT_TEXT):
        _reduce(element, codec)
    if not has_character_set(source):
        _encode_text(ds)


def _encode_text(ds: Dataset) -> None:
    """All of our text, that of codes too: pydicom writes bytes as they are, whatever the set."""
    for element in [element for element in ds if element.VR == "SQ"]:
        ds[element.tag] = copy.deepcopy(element)  # highdicom shares its codes between reports
    for element in _text_elements(ds, ()):
        element.value = "\\".join(_values(element)).encode("ascii")


def _text_elements(ds: Dataset, without: Collection[str]) -> Iterator[DataElement]:
    for element in ds:
        if element.keyword in without:
            continue
        if element.VR == "SQ":
            for item in element.value:
                yield from _text_elements(item, without)
        elif element.VR in TEXT_VRS and element.value:
            yield element


def _reduce(element: DataElement, codec: str) -> None:
    values = _values(element)
    reduced = [encodable(value, codec) for value in values]
    if reduced != values:
        element.value = reduced if len(reduced) > 1 else reduced[0]


def _values(element: DataElement) -> list[str]:
    many = isinstance(element.value, Sequence) and not isinstance(element.value, str)
    return [str(value) for value in (element.value if many else [element.value])]


def encodable(text: str, codec: str) -> str:
    """The text where the codec has its letters; else without accents, and ? for what is left."""
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        letters = unicodedata.normalize("NFKD", text.translate(PLAIN_LETTERS))
        base = "".join(letter for letter in letters if not unicodedata.combining(letter))
        return base.encode("ascii", "replace").decode("ascii")
    return text


def _set_file_meta(ds: Dataset) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    ds.file_meta = meta
