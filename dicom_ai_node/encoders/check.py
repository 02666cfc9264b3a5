"""The last look at an object: is it this patient's, and does it speak of these images?"""

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from pydicom import DataElement, Dataset
from pydicom.charset import default_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement, convert_raw_data_element

from dicom_ai_node.encoders.source.headers import encodings_of, has_character_set
from dicom_ai_node.errors import ModelError

SAME = ("PatientID", "StudyInstanceUID")
REFERENCED_SOP_INSTANCE_UID = tag_for_keyword("ReferencedSOPInstanceUID")
# copied with the study: they refer to other things than images that were analysed
COPIED = {
    tag_for_keyword("ReferencedStudySequence"),
    tag_for_keyword("ReferencedPatientSequence"),
    tag_for_keyword("ReferencedPatientPhotoSequence"),
}


def check(
    objects: Sequence[Dataset],
    headers: Sequence[Dataset],
    evidence: Sequence[Dataset] = (),
    *,
    also: Iterable[str] = (),
) -> None:
    """ModelError unless every object shares patient, study and frame of reference with all headers,
    the patient with all evidence, and refers to nothing but the instances of both, its fellow
    objects and `also`."""
    known = {*also, *(str(ds.SOPInstanceUID) for ds in (*headers, *evidence, *objects))}
    known |= {str(ds.StudyInstanceUID) for ds in headers}  # a structure set's RT Referenced Study
    for ds in objects:
        if {_text(header, "PatientID") for header in evidence} - {_text(ds, "PatientID")}:
            raise ModelError("An input of this run is of another patient than the images.")
        keywords = (*SAME, "FrameOfReferenceUID") if "FrameOfReferenceUID" in ds else SAME
        for keyword in keywords:
            if {_text(header, keyword) for header in headers} != {_text(ds, keyword)}:
                raise ModelError(f"A result's {keyword} is not that of the images.")
        if not set(references(ds)) <= known:
            raise ModelError("A result refers to an instance that was not analysed.")


def references(ds: Dataset) -> Iterator[str]:
    """Every Referenced SOP Instance UID at any depth, the study's own references left aside.

    Text stays undecoded on the way: it is yet to be written as the bytes that came.
    """
    for tag in ds.keys():  # noqa: SIM118 - iterating over the data set itself would decode it
        if tag == REFERENCED_SOP_INSTANCE_UID:
            yield str(ds[tag].value)
        elif tag not in COPIED and ds.get_item(tag).VR == "SQ":
            for item in ds[tag].value:
                yield from references(item)


def _text(ds: Dataset, keyword: str) -> str:
    if keyword not in ds:
        return ""
    element = cast("DataElement | RawDataElement", ds.get_item(keyword))
    if isinstance(element, RawDataElement):
        encodings = encodings_of(ds) if has_character_set(ds) else default_encoding
        element = convert_raw_data_element(element, encoding=encodings)
    return str(element.value or "")
