"""Studies as they are sent: tiny, each of another patient; and some that are wrong."""

import copy
from collections.abc import Callable

from pydicom import Dataset
from pydicom.dataelem import DataElement

from tests.acceptance.kills.sender import Study, study_of
from tests.dicom_factory import series

CONFLICT = "a UID with two contents"


def good(name: str, *, slices: int = 3) -> Study:
    return study_of(_series(name, slices))


def conflicting(name: str, *, slices: int = 3) -> Study:
    """The last instance has the UID of the one before, and other pixels: a person must look."""
    instances = _series(name, slices)
    instances[-1] = copy.deepcopy(instances[-2])
    instances[-1].PixelData = bytes(len(instances[-1].PixelData))
    return study_of(instances, wrong=CONFLICT)


def _series(name: str, slices: int) -> list[Dataset]:
    """All of it is proven to be there when the last slice has come, and not before."""
    shared = series(
        name=name, shape=(slices, 16, 16), patient_id=f"ID {name}", patient_name=f"Name^{name}"
    )
    instances = [copy.deepcopy(ds) for ds in shared]
    for ds in instances:
        ds.ImagesInAcquisition = slices
    return instances


def _gap(instances: list[Dataset]) -> None:
    del instances[2]
    for ds in instances:
        ds.ImagesInAcquisition = len(instances)


def _two_patients(instances: list[Dataset]) -> None:
    instances[1].PatientID = "SOMEBODY-ELSE"


def _other_body_part(instances: list[Dataset]) -> None:
    for ds in instances:
        ds.BodyPartExamined = "KNEE"


def _other_modality(instances: list[Dataset]) -> None:
    for ds in instances:
        ds.Modality = "PT"


def _short_pixels(instances: list[Dataset]) -> None:
    instances[1]["PixelData"] = DataElement(0x7FE00010, "OW", bytes(10))


WRONG: dict[str, Callable[[list[Dataset]], None]] = {
    "a missing slice": _gap,
    "two patients": _two_patients,
    "another body part": _other_body_part,
    "another modality": _other_modality,
    "short pixel data": _short_pixels,
}


def wrong(name: str, what: str) -> Study:
    instances = _series(name, 5)
    WRONG[what](instances)
    return study_of(instances, wrong=what)
