"""A study knows when the last association that brought something for it has ended."""

import time
from collections.abc import Callable

from dicom_ai_node.database import arrivals, studies
from dicom_ai_node.database.engine import Database
from tests.receive.scu import association, slices


def ended_at(database: Database, name: str = "small") -> float | None:
    with database.read() as connection:
        row = studies.find(connection, slices(name=name)[0].StudyInstanceUID)
    assert row is not None
    found = row["association_ended_at"]
    return None if found is None else float(found)


def until(test: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + 20
    while not test():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_here(database: Database, number: int = 1, name: str = "small") -> bool:
    with database.read() as connection:
        return arrivals.count_of(connection, slices(name=name)[0].StudyInstanceUID) == number


def test_a_release_is_answered_when_the_end_is_recorded(receiver: int, database: Database) -> None:
    with association(receiver) as assoc:
        assoc.send_c_store(slices()[0])
        until(lambda: is_here(database))
        assert ended_at(database) is None
        assoc.release()
        assert ended_at(database) is not None


def test_an_abort_is_an_end_too(receiver: int, database: Database) -> None:
    with association(receiver) as assoc:
        assoc.send_c_store(slices()[0])
        assoc.abort()
    until(lambda: is_here(database) and ended_at(database) is not None)


def test_while_more_comes_it_has_not_ended(receiver: int, database: Database) -> None:
    one, two = slices(2)
    with association(receiver) as assoc:
        assoc.send_c_store(one)
    assert ended_at(database) is not None
    with association(receiver) as assoc:
        assoc.send_c_store(two)
        until(lambda: is_here(database, 2))
        assert ended_at(database) is None
    assert ended_at(database) is not None


def test_of_two_associations_the_last_one_counts(receiver: int, database: Database) -> None:
    one, two = slices(2)
    with association(receiver) as first, association(receiver) as second:
        first.send_c_store(one)
        second.send_c_store(two)
        first.release()
        until(lambda: is_here(database, 2))
        assert ended_at(database) is None
        second.release()
        assert ended_at(database) is not None


def test_an_association_that_brings_nothing_new_changes_nothing(
    receiver: int, database: Database
) -> None:
    (ds,) = slices()
    with association(receiver) as assoc:
        assoc.send_c_store(ds)
    before = ended_at(database)
    with association(receiver) as assoc:
        assert assoc.send_c_store(ds).Status == 0x0000
        assert assoc.send_c_echo().Status == 0x0000
    assert ended_at(database) == before


def test_one_association_may_bring_several_studies(receiver: int, database: Database) -> None:
    with association(receiver) as assoc:
        for name in ("one", "two"):
            assoc.send_c_store(slices(name=name)[0])
    assert ended_at(database, "one") is not None
    assert ended_at(database, "two") is not None
