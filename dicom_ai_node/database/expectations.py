"""What a study is expected to have, by those who know: UIDs and counts, nothing else."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from dicom_ai_node.database.open_studies import mark_changed
from dicom_ai_node.database.tables import expectation
from dicom_ai_node.study import Expected, Source


def of_study(connection: Connection, study_instance_uid: str) -> Sequence[Expected]:
    query = select(expectation).where(expectation.c.study_instance_uid == study_instance_uid)
    return [_expected(row) for row in connection.execute(query).mappings()]


def of_notification(connection: Connection, source: Source, origin: str) -> Sequence[Expected]:
    """What a notification of this UID has said; nothing where there was none."""
    query = select(expectation).where(
        expectation.c.source == source, expectation.c.origin == origin
    )
    return [_expected(row) for row in connection.execute(query).mappings()]


def replace(connection: Connection, expected: Sequence[Expected]) -> None:
    """All that one source and origin say of one study, instead of what they said before.

    The study is looked at again.
    """
    first = expected[0]
    connection.execute(
        delete(expectation).where(
            expectation.c.study_instance_uid == first.study_instance_uid,
            expectation.c.source == first.source,
            expectation.c.origin == first.origin,
        )
    )
    connection.execute(insert(expectation), [_row(each) for each in expected])
    mark_changed(connection, first.study_instance_uid)


def confirm(connection: Connection, study_instance_uid: str, source: Source, origin: str) -> None:
    """The source has said the same again: it is final."""
    connection.execute(
        update(expectation)
        .where(
            expectation.c.study_instance_uid == study_instance_uid,
            expectation.c.source == source,
            expectation.c.origin == origin,
        )
        .values(is_final=True)
    )
    mark_changed(connection, study_instance_uid)


def forget(connection: Connection, *, before: float) -> int:
    """Drop what is older, whether its study came or not."""
    return connection.execute(delete(expectation).where(expectation.c.at < before)).rowcount


def by_series(expected: Iterable[Expected]) -> dict[str, int]:
    """The counts, for comparing two answers; that of the whole study among them."""
    return {each.series_instance_uid: each.instances for each in expected}


def _expected(row: RowMapping) -> Expected:
    named = row["sop_instance_uids"]
    return Expected(
        study_instance_uid=row["study_instance_uid"],
        series_instance_uid=row["series_instance_uid"],
        source=Source(row["source"]),
        origin=row["origin"],
        instances=row["instances"],
        sop_instance_uids=None if named is None else frozenset(named),
        is_final=row["is_final"],
        at=row["at"],
    )


def _row(each: Expected) -> dict[str, object]:
    named = each.sop_instance_uids
    return {
        "study_instance_uid": each.study_instance_uid,
        "series_instance_uid": each.series_instance_uid,
        "source": each.source,
        "origin": each.origin,
        "instances": each.instances,
        "sop_instance_uids": None if named is None else sorted(named),
        "is_final": each.is_final,
        "at": each.at,
    }
