"""Whose instances a message is about: a study and its patient."""

from dataclasses import dataclass, field

from dicom_ai_node.audit import codes, message
from dicom_ai_node.audit.message import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """As the images name them; an empty ID is said to be none."""

    patient_id: str
    name: str = ""
    issuer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyInstances:
    """Instances of one study of one patient; no patient where no file says who that is."""

    study_instance_uid: str
    patient: Patient | None = None
    accession_number: str = ""
    sop_classes: dict[str, int] = field(default_factory=dict)

    def subjects(self, *, life_cycle: int | None = None) -> tuple[Subject, ...]:
        study = Subject(
            id=self.study_instance_uid,
            id_type=codes.STUDY,
            role=message.REPORT,
            life_cycle=life_cycle,
            accession_number=self.accession_number,
            sop_classes=self.sop_classes,
        )
        return (study,) if self.patient is None else (study, _patient(self.patient))


def _patient(patient: Patient) -> Subject:
    issuer = message.octets(patient.issuer)
    return Subject(
        id=patient.patient_id or "<none>",
        id_type=codes.PATIENT,
        kind=message.PERSON,
        role=message.PATIENT,
        name=patient.name,
        details=(("IssuerOfPatientID", issuer),) if issuer else (),
    )
