"""Rejection notes that came (IHE IOCM), and which instances are not to be used because of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, select

from dicom_ai_node.database.tables import (
    IS_KEY_OBJECT,
    delivery,
    instance,
    rejection,
    rejection_note,
    study,
)

_AT_ONCE = 500  # bound parameters of one statement

# PS3.16 CID 7011, in the words of the standard
TITLES = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
}
QUALITY, RETENTION = "113001", "113039"
NO_REJECTION = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedImages:
    """How many instances of a study that are here were rejected, and how."""

    code: str
    instances: int

    def __str__(self) -> str:
        images = "1 of its instances was" if self.instances == 1 else f"{self.instances} of its "
        plural = "" if self.instances == 1 else "instances were"
        return f"{images}{plural} rejected by a note ({TITLES[self.code]})"


def unread(connection: Connection) -> Sequence[RowMapping]:
    """Key Object Selections that are here and that nobody has looked into, in their order."""
    query = (
        select(instance.c.sop_instance_uid, instance.c.file, study.c.study_instance_uid)
        .join(study)
        .where(
            IS_KEY_OBJECT,
            instance.c.sop_instance_uid.not_in(select(rejection_note.c.sop_instance_uid)),
        )
        .order_by(instance.c.id)
    )
    return connection.execute(query).mappings().all()


def is_ours(connection: Connection, sop_instance_uids: Sequence[str]) -> bool:
    """All of them are objects that this node made."""
    uids = list(dict.fromkeys(sop_instance_uids))
    for at in range(0, len(uids), _AT_ONCE):
        named = delivery.c.sop_instance_uid.in_(uids[at : at + _AT_ONCE])
        query = select(func.count(delivery.c.sop_instance_uid.distinct())).where(named)
        if connection.scalar(query) != len(uids[at : at + _AT_ONCE]):
            return False
    return True


def add(
    connection: Connection, sop_instance_uid: str, code: str, rejects: Sequence[str], *, now: float
) -> None:
    """A note that was read; the instances it rejects need not be here."""
    added = connection.execute(
        insert(rejection_note)
        .values(sop_instance_uid=sop_instance_uid, code=code, read_at=now)
        .returning(rejection_note.c.id)
    )
    number = added.scalar_one()
    rows = [{"rejection_note_id": number, "sop_instance_uid": uid} for uid in rejects]
    if rows:
        connection.execute(insert(rejection), rows)


def is_rejected() -> ColumnElement[bool]:
    """Of a row of the instance table."""
    named = select(rejection.c.id).where(
        rejection.c.sop_instance_uid == instance.c.sop_instance_uid
    )
    return named.exists()


def names_any(connection: Connection, inputs: Mapping[str, Sequence[str]]) -> bool:
    """Whether one of these SOP Instance UIDs, by the input's name, was rejected."""
    uids = [uid for named in inputs.values() for uid in named]
    for at in range(0, len(uids), _AT_ONCE):
        named = rejection.c.sop_instance_uid.in_(uids[at : at + _AT_ONCE])
        if connection.scalar(select(rejection.c.id).where(named).limit(1)) is not None:
            return True
    return False


def of_study(connection: Connection, study_id: int) -> Sequence[RejectedImages]:
    """One a kind of note."""
    query = (
        select(rejection_note.c.code, func.count(instance.c.id.distinct()))
        .select_from(instance)
        .join(rejection, rejection.c.sop_instance_uid == instance.c.sop_instance_uid)
        .join(rejection_note)
        .where(instance.c.study_id == study_id)
        .group_by(rejection_note.c.code)
        .order_by(rejection_note.c.code)
    )
    return [
        RejectedImages(code=code, instances=number)
        for code, number in connection.execute(query).all()
    ]


def studies_with(connection: Connection, sop_instance_uids: Sequence[str]) -> Sequence[str]:
    """Study Instance UIDs of those that are here."""
    found: dict[str, None] = {}
    for at in range(0, len(sop_instance_uids), _AT_ONCE):
        named = instance.c.sop_instance_uid.in_(sop_instance_uids[at : at + _AT_ONCE])
        query = select(study.c.study_instance_uid).join(instance).where(named).distinct()
        found.update(dict.fromkeys(connection.execute(query).scalars()))
    return list(found)
