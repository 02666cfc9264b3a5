"""C-FIND as an SCU (PS3.4 C.4.1): which studies a patient has, how many instances a series, and
whose a study is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from pydicom import Dataset
from pydicom.valuerep import DA

from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.errors import InputError
from dicom_ai_node.header import values_of
from dicom_ai_node.peers.query import answers, keys, number_of, text_of
from dicom_ai_node.uids import is_uid

# of patient and study, as far as a peer may be asked for them (PS3.4 C.6.2.1)
_OF_STUDY = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "StudyDescription"),
    *("ReferringPhysicianName", "PatientAge", "PatientSize", "PatientWeight"),
)
_SPECIAL = frozenset("*?\\")  # wildcards, and what separates values: none of them can be escaped


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorStudy:
    """What a peer says of a study; `instances` is None where it does not count them."""

    study_instance_uid: str
    study_date: date
    modalities: frozenset[str]
    instances: int | None


def find_priors(
    settings: DimsePeer,
    *,
    patient_id: str,
    issuer: str,
    before: date,
    within_days: int,
    calling_ae_title: str,
) -> list[PriorStudy]:
    """Studies of exactly this patient from before that day, the newest first.

    Raises PeerUnreachable, and InputError for an ID that cannot be asked for. Whatever the peer
    matches by, an answer counts only if its PatientID is this one, to the last character, and its
    issuer no other one.
    """
    patient_id = _checked(patient_id)
    since = before - timedelta(days=within_days)
    query = keys(
        "STUDY",
        StudyInstanceUID="",
        PatientID=patient_id,
        IssuerOfPatientID="",
        StudyDate=f"{since:%Y%m%d}-{before:%Y%m%d}",
        StudyTime="",
        ModalitiesInStudy="",
        NumberOfStudyRelatedInstances="",
    )
    if not patient_id.isascii():
        query.SpecificCharacterSet = "ISO_IR 192"
    found: dict[str, tuple[str, PriorStudy]] = {}
    for answer in answers(settings, query, calling_ae_title):
        prior = _prior(answer)
        if (
            prior is not None
            and since <= prior.study_date < before
            and _is_patient(answer, patient_id, issuer.strip())
        ):
            found[prior.study_instance_uid] = text_of(answer, "StudyTime"), prior
    newest_first = sorted(
        found.values(),
        key=lambda each: (each[1].study_date, each[0], each[1].study_instance_uid),
        reverse=True,
    )
    return [prior for _, prior in newest_first]


def count_series(
    settings: DimsePeer, study_instance_uid: str, *, calling_ae_title: str
) -> Mapping[str, int | None]:
    """By Series Instance UID, how many instances the peer has; None where it does not count.

    Raises PeerUnreachable.
    """
    query = keys(
        "SERIES",
        StudyInstanceUID=study_instance_uid,
        SeriesInstanceUID="",
        NumberOfSeriesRelatedInstances="",
    )
    found: dict[str, int | None] = {}
    for answer in answers(settings, query, calling_ae_title):
        uid = text_of(answer, "SeriesInstanceUID")
        if is_uid(uid) and text_of(answer, "StudyInstanceUID") in ("", study_instance_uid):
            found[uid] = number_of(answer, "NumberOfSeriesRelatedInstances")
    return found


def find_study(
    settings: DimsePeer, study_instance_uid: str, *, calling_ae_title: str
) -> Dataset | None:
    """Patient and study as the peer names them, undecoded; None unless it names exactly one.

    Raises PeerUnreachable.
    """
    query = keys("STUDY", **dict.fromkeys(_OF_STUDY, ""))
    query.StudyInstanceUID = study_instance_uid
    found = [
        answer
        for answer in answers(settings, query, calling_ae_title)
        if text_of(answer, "StudyInstanceUID") == study_instance_uid
    ]
    if len(found) != 1 or "PatientID" not in found[0]:
        return None
    return found[0] if found[0].get_item("PatientID").value else None


def _checked(patient_id: str) -> str:
    """An empty one would match every patient, and a wildcard others (PS3.4 C.2.2.2)."""
    patient_id = patient_id.strip(" \0")
    if not patient_id:
        raise InputError("The study has no PatientID, so that nobody can be asked for priors.")
    if _SPECIAL.intersection(patient_id):
        raise InputError(
            "The PatientID holds *, ? or a backslash, which a PACS takes for other patients' as "
            "well: no priors are asked for. Have the ID corrected."
        )
    return patient_id


def _prior(answer: Dataset) -> PriorStudy | None:
    """None without a UID or a date: then nobody knows whether it came before."""
    uid = text_of(answer, "StudyInstanceUID")
    try:
        day = DA(text_of(answer, "StudyDate"))
    except ValueError:
        return None
    if day is None or not is_uid(uid):
        return None
    return PriorStudy(
        study_instance_uid=uid,
        study_date=date(day.year, day.month, day.day),
        modalities=frozenset(str(each) for each in values_of(answer, "ModalitiesInStudy")),
        instances=number_of(answer, "NumberOfStudyRelatedInstances"),
    )


def _is_patient(answer: Dataset, patient_id: str, issuer: str) -> bool:
    theirs = text_of(answer, "IssuerOfPatientID")
    same_issuer = not issuer or not theirs or issuer == theirs
    return text_of(answer, "PatientID") == patient_id and same_issuer
