"""Earlier studies of the same patient: which are asked for, which are here, how long to wait."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pydicom.valuerep import DA
from sqlalchemy import Connection, RowMapping

from dicom_ai_node.database import fetched, fetches, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.fetches import Fetch
from dicom_ai_node.errors import InputError
from dicom_ai_node.header import read_header, values_of
from dicom_ai_node.log import get_logger, pseudonym
from dicom_ai_node.peers.find import PriorStudy
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import Instance, StudyState

log = get_logger(__name__)

AT_MOST = 3  # studies that are fetched for one
FETCHED = "fetched for comparison: no job of its own"
_KEYWORDS = ("PatientID", "IssuerOfPatientID", "StudyDate", "Modality")
# what a PACS names beside the images of a study
_NO_IMAGES = frozenset({"SR", "SEG", "PR", "KO", "REG", "DOC"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """Whose study it is, and when; it is what a peer is asked with, and never logged."""

    patient_id: str
    issuer: str
    study_date: date
    modalities: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """A study of the same patient from an earlier day; all of it that is here."""

    study_id: int
    study_instance_uid: str
    study_date: date
    instances: tuple[Instance, ...]


def examined(instances: Iterable[Instance]) -> Examined:
    """Read from one instance a series; raises InputError where that is not clear."""
    found: dict[str, set[str]] = {keyword: set() for keyword in _KEYWORDS}
    one_each = {each.series_instance_uid: each for each in instances}
    for instance in one_each.values():
        header = read_header(instance.path, _KEYWORDS)
        for keyword, values in found.items():
            values.update(str(value).strip() for value in values_of(header, keyword))
    if len(found["PatientID"]) != 1 or len(found["IssuerOfPatientID"]) > 1:
        raise InputError("The study has no PatientID, or several: it cannot be compared.")
    return Examined(
        patient_id=found["PatientID"].pop(),
        issuer="".join(found["IssuerOfPatientID"]),
        study_date=_day(found["StudyDate"]),
        modalities=frozenset(found["Modality"]),
    )


def _day(texts: set[str]) -> date:
    """The first, where a study went on over midnight."""
    try:
        days = sorted(day for text in texts if (day := DA(text)) is not None)
    except ValueError:
        days = []
    if not days:
        raise InputError("The study has no StudyDate: nobody knows what came before it.")
    return date(days[0].year, days[0].month, days[0].day)


def worth_fetching(found: Sequence[PriorStudy], modalities: frozenset[str]) -> list[PriorStudy]:
    """The newest of those that share a modality of images; where a peer names none, it may."""
    wanted = modalities - _NO_IMAGES
    shared = [each for each in found if not each.modalities or each.modalities & wanted]
    return shared[:AT_MOST]


def settle_fetched(database: Database, *, quiet_s: float, now: float) -> int:
    """Studies that came because they were fetched are PRIOR, and start no job; the number of them.

    As soon as the peer's count is here, or after the quiet time. It runs before other studies are
    judged: those for which `fetched.came_by_fetch()` holds are never judged by routes.
    """
    with database.read() as connection:
        done = [
            row
            for row in fetched.receiving(connection)
            if fetched.came_by_fetch(connection, row)
            and (fetched.has_come(connection, row) or row["last_received_at"] <= now - quiet_s)
        ]
    number = 0
    for row in done:
        with database.write() as connection:
            settled = studies.settle(
                connection, row, StudyState.PRIOR, reason=FETCHED, verdicts=[], now=now
            )
        if settled:
            number += 1
            log.info("prior_here", study=pseudonym(row["study_instance_uid"]))
    return number


def still_awaited(
    database: Database, study_id: int, *, priors_s: float, now: float
) -> Sequence[Fetch]:
    """What a study has to wait for; nothing any more when it has waited for so long.

    Then what was not begun is given up, and the study goes on with the priors that are here.
    """
    with database.read() as connection:
        waiting = fetches.waiting_for(connection, study_id)
        asked = fetches.of_study(connection, study_id)
    if not waiting or now < min(each.created_at for each in asked) + priors_s:
        return waiting
    with database.write() as connection:
        reason = f"not here within {priors_s:g} s: the study went on without it"
        fetches.give_up(connection, study_id, reason=reason, now=now)
    log.warning("priors_not_here", study_id=study_id, missing=len(waiting))
    return ()


def priors_of(
    connection: Connection, spool: Spool, study: RowMapping, *, within_days: float
) -> list[Prior]:
    """Settled studies of the same patient from earlier days that are here, the newest first.

    The same patient: name, ID, issuer and birth date are equal (P6). None, where a study has no
    PatientID or no date.
    """
    try:
        main = examined(studies.instances(connection, spool, study["id"]))
    except InputError:
        return []
    since = main.study_date - timedelta(days=within_days)
    found = [
        prior
        for row in studies.of_patient(connection, study["patient_digest"])
        if row["id"] != study["id"] and (prior := _prior(connection, spool, row)) is not None
    ]
    earlier = [each for each in found if since <= each.study_date < main.study_date]
    return sorted(
        earlier, key=lambda each: (each.study_date, each.study_instance_uid), reverse=True
    )


def _prior(connection: Connection, spool: Spool, row: RowMapping) -> Prior | None:
    instances = studies.instances(connection, spool, row["id"])
    try:
        day = examined(instances).study_date
    except InputError:
        return None
    return Prior(
        study_id=row["id"],
        study_instance_uid=row["study_instance_uid"],
        study_date=day,
        instances=tuple(instances),
    )
