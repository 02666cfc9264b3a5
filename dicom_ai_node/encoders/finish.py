"""What highdicom leaves out, in every object: whose it is, who made it, when, in which letters."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime

from pydicom import DataElement, Dataset
from pydicom.charset import python_encoding
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicom_ai_node.encoders.modules import PATIENT, STUDY
from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.encoders.source import copy_keywords, encodings_of
from dicom_ai_node.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

TEXT_VRS = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}
WITHOUT_TEXT = {"PerFrameFunctionalGroupsSequence", "ReferencedSeriesSequence"}  # large
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
    _reduce_text(ds, _codec_for_own_text(source))
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
    if ds.Modality == "SEG":
        # General Series, which an SR does not have; Laterality is not for multi-frame objects,
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


def _reduce_text(ds: Dataset, codec: str) -> None:
    for element in ds:
        if element.keyword in WITHOUT_TEXT:
            continue
        if element.VR == "SQ":
            for item in element.value:
                _reduce_text(item, codec)
        elif element.VR in TEXT_VRS and element.value:
            _reduce_element(element, codec)


def _reduce_element(element: DataElement, codec: str) -> None:
    values = element.value
    many = isinstance(values, Sequence) and not isinstance(values, str)
    reduced = [encodable(str(value), codec) for value in (values if many else [values])]
    if reduced != [str(value) for value in (values if many else [values])]:
        element.value = reduced if many else reduced[0]


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
