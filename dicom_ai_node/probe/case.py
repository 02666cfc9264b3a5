"""What the node tries itself with: images, and the answer that is due."""

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

import pydicom
from pydicom import Dataset

from dicom_ai_node.config.expected import Expected
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.store import parse_expected
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.probe.phantom import MODEL, phantom
from dicom_ai_node.uids import derived_uid

PATIENT_NAME, PATIENT_ID = "NODE^PROBE", "AI-NODE-PROBE"
_FOLDER = "case"  # as `known_answer` has it
_EXPECTED = ("expected.json", "expected.yaml")
# that of a person whose images a package may bring
_OF_PERSON = (
    *("PatientBirthDate", "PatientSex", "PatientAge", "PatientAddress", "OtherPatientIDs"),
    *("AccessionNumber", "ReferringPhysicianName", "InstitutionName", "IssuerOfPatientID"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One study; its instances are new ones in every run."""

    instances: Sequence[Dataset]
    expected: Expected


def case_for(installed: InstalledModel, study_instance_uid: str, at: datetime) -> Case:
    """Raises ConfigError for a model that has none."""
    if folder := case_folder(installed):
        images, expected = list(_images(installed, folder)), _expected(installed)
    elif installed.package.name == MODEL:
        images, expected = phantom()
    else:
        raise ConfigError(
            f"probe.model: {installed.label} brings no known case in DICOM: name {MODEL}, or put "
            f"one into its package, as the folder {_FOLDER} of its known answer"
        )
    return Case(instances=_renewed(images, study_instance_uid, at), expected=expected)


def case_folder(installed: InstalledModel) -> str:
    """Of the package, with files in DICOM; "" where it brings none, or several inputs."""
    package = installed.package
    folder = f"{package.known_answer}/{_FOLDER}"
    brings = any(name.startswith(f"{folder}/") for name in installed.files)
    is_single = len(package.inputs) == 1
    return folder if package.known_answer is not None and brings and is_single else ""


def _images(installed: InstalledModel, folder: str) -> Iterator[Dataset]:
    """Files as they were installed, or ConfigError."""
    for name in sorted(installed.files):
        if name.startswith(f"{folder}/"):
            content = (installed.folder / name).read_bytes()
            if hashlib.sha256(content).hexdigest() != installed.files[name]:
                raise ConfigError(f"{name} of {installed.label} is not the one that was installed")
            yield pydicom.dcmread(BytesIO(content))


def _expected(installed: InstalledModel) -> Expected:
    for name in _EXPECTED:
        path = f"{installed.package.known_answer}/{name}"
        if path in installed.files:
            file = installed.folder / path
            return parse_expected(file.read_bytes(), file)
    raise ConfigError(f"{installed.label} brings a case, and says no answer to it")


def _renewed(images: Sequence[Dataset], study: str, at: datetime) -> list[Dataset]:
    """As the study of nobody, acquired now, under UIDs that no study had before."""
    uids = {
        str(uid): derived_uid("probe", study, uid)
        for ds in images
        for uid in (ds.SeriesInstanceUID, ds.SOPInstanceUID, ds.get("FrameOfReferenceUID"))
        if uid
    }
    uids |= {str(ds.StudyInstanceUID): study for ds in images}
    return [_of_nobody(copy.deepcopy(ds), uids, at) for ds in images]


def _of_nobody(ds: Dataset, uids: Mapping[str, str], at: datetime) -> Dataset:
    def renew(_: Dataset, element: pydicom.DataElement) -> None:
        if element.VR == "UI" and not isinstance(element.value, pydicom.multival.MultiValue):
            element.value = uids.get(str(element.value), element.value)

    ds.walk(renew)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.remove_private_tags()
    for keyword in _OF_PERSON:
        if keyword in ds:
            setattr(ds, keyword, None)
    ds.PatientName, ds.PatientID = PATIENT_NAME, PATIENT_ID
    ds.StudyDescription = "Node probe: no patient"
    for day, time in (("StudyDate", "StudyTime"), ("SeriesDate", "SeriesTime")):
        setattr(ds, day, f"{at:%Y%m%d}")
        setattr(ds, time, f"{at:%H%M%S}")
    return ds
