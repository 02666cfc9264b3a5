"""Whose images an audit message is about: the rows hold a hash, so that a stored file is read."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pydicom.errors import InvalidDicomError
from sqlalchemy.exc import SQLAlchemyError

from dicom_ai_node.audit.message import Party, Source
from dicom_ai_node.audit.study import Patient, StudyInstances
from dicom_ai_node.audit.trail import Trail
from dicom_ai_node.config.peers import AnyPeer, DicomwebPeer, DimsePeer
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import InputError
from dicom_ai_node.header import DAMAGED, read_values
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import Values

_WANTED = (
    *("SOPClassUID", "AccessionNumber", "PatientName", "PatientID", "IssuerOfPatientID"),
    "StudyInstanceUID",
)


def trail_of(config: Config, spool: Spool, database: Database) -> Trail:
    """Of the node that is configured so."""
    settings = config.audit
    source = Source(
        source_id=settings.source_id or config.node.ae_title[0],
        enterprise_site_id=settings.enterprise_site_id,
        ae_titles=config.node.ae_title,
    )
    return Trail(spool.root / "audit", source, study_of=study_of(spool, database))


def study_of(spool: Spool, database: Database) -> Callable[[str], StudyInstances]:
    """By Study Instance UID; without a patient where the node has no file of it (any more)."""

    def find(study_instance_uid: str) -> StudyInstances:
        try:
            with database.read() as connection:
                file = studies.a_file(connection, study_instance_uid)
        except SQLAlchemyError:  # damaged, or of another version: the verb will say so
            file = None
        if file is None:
            return StudyInstances(study_instance_uid=study_instance_uid)
        return in_file(spool.instance_path(file), study_instance_uid)

    return find


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
