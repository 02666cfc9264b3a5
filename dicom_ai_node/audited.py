"""Whose images an audit message is about: the rows hold a hash, so that a stored file is read."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydicom.errors import InvalidDicomError

from dicom_ai_node.audit.message import Party
from dicom_ai_node.audit.study import Patient, StudyInstances
from dicom_ai_node.config.peers import AnyPeer, DicomwebPeer, DimsePeer
from dicom_ai_node.errors import InputError
from dicom_ai_node.header import DAMAGED, read_values
from dicom_ai_node.study import Values

_WANTED = (
    *("SOPClassUID", "AccessionNumber", "PatientName", "PatientID", "IssuerOfPatientID"),
    "StudyInstanceUID",
)


def in_file(
    path: Path, study_instance_uid: str, sop_classes: Mapping[str, int] | None = None
) -> StudyInstances:
    """Instances of the study that this file is one of."""
    found = _values(path)
    return StudyInstances(
        study_instance_uid=study_instance_uid,
        patient=_patient(found) if found else None,
        accession_number=_text(found, "AccessionNumber"),
        sop_classes=dict(sop_classes or {}),
    )


def in_results(paths: Iterable[Path]) -> StudyInstances:
    """Objects that the node made of one study, as they are in the outbox."""
    every = [found for path in paths if (found := _values(path))]
    first = every[0] if every else {}
    return StudyInstances(
        study_instance_uid=_text(first, "StudyInstanceUID"),
        patient=_patient(first) if first else None,
        accession_number=_text(first, "AccessionNumber"),
        sop_classes=Counter(_text(found, "SOPClassUID") for found in every),
    )


def destination(name: str, settings: AnyPeer) -> Party:
    """A peer to which results go; a folder is no party, but a medium."""
    if isinstance(settings, DimsePeer):
        titles = f"AETITLES={settings.ae_title}"
        return Party(
            user_id=settings.ae_title, alternative_id=titles, name=name, address=settings.host
        )
    if isinstance(settings, DicomwebPeer):
        return Party(user_id=settings.url, name=name, address=settings.url)
    return Party(user_id=settings.path.absolute().as_uri(), name=name)


def _values(path: Path) -> Mapping[str, Values]:
    try:
        return read_values(path, _WANTED)
    except (*DAMAGED, OSError, InputError, InvalidDicomError):
        return {}


def _patient(found: Mapping[str, Values]) -> Patient:
    return Patient(
        patient_id=_text(found, "PatientID"),
        name=_text(found, "PatientName"),
        issuer=_text(found, "IssuerOfPatientID"),
    )


def _text(found: Mapping[str, Values], keyword: str) -> str:
    return "\\".join(str(value) for value in found.get(keyword, ()))
