"""What is known of studies that a person had deleted: hashes, so that the node neither fetches one
by itself, nor makes results under UIDs that peers may have."""

import hashlib
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from dicom_ai_node.database.open_studies import last_change
from dicom_ai_node.database.tables import erased


def is_erased(connection: Connection, study_instance_uid: str) -> bool:
    return is_erased_job(connection, digest_of(study_instance_uid))


def is_erased_job(connection: Connection, key: str) -> bool:
    return erased_at(connection, key) is not None


def erased_at(connection: Connection, digest: str) -> float | None:
    """When the study or job was deleted last."""
    at: float | None = connection.scalar(select(erased.c.at).where(erased.c.digest == digest))
    return at


def mark(
    connection: Connection, study_instance_uid: str, keys: Sequence[str], *, now: float
) -> None:
    """`keys` are those of its jobs, which are hashes already."""
    add(connection, dict.fromkeys((digest_of(study_instance_uid), *keys), now))


def add(connection: Connection, deleted: Mapping[str, float]) -> None:
    """Hashes, and when what they stand for was deleted."""
    changed = last_change(connection) + 1
    rows = [{"digest": each, "at": at, "changed": changed} for each, at in deleted.items()]
    statement = insert(erased)
    again = {"at": statement.excluded.at, "changed": statement.excluded.changed}
    connection.execute(statement.on_conflict_do_update(set_=again), rows)


def every(connection: Connection) -> dict[str, float]:
    rows = connection.execute(select(erased.c.digest, erased.c.at))
    return {row.digest: row.at for row in rows}


def digest_of(study_instance_uid: str) -> str:
    return hashlib.sha256(f"erased study\n{study_instance_uid}".encode()).hexdigest()
