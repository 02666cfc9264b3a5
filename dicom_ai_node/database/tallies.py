"""Tallies: how many rows of each kind there are, kept by triggers in the transactions that change
the rows. Who reads the books counts nothing, and no code can forget to count."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select, text
from sqlalchemy.dialects.sqlite import insert

from dicom_ai_node.database.tables import delivery, instance, job, study, tally
from dicom_ai_node.job import DeliveryState, JobState

# books of rows: what stands in them can be counted again
INSTANCE = "instance"  # by the state of its study
STUDY = "study"
JOB = "job"
DELIVERY = "delivery "  # and the peer's name
# books of what happened: each only grows
DELETED = "deleted"
RECEPTION = "reception"
# beside the states of a delivery
WITHDRAWN = "withdrawn"  # pending, of a job that is not READY: nobody sends it
UNCOMMITTED = "uncommitted"  # stored, and the peer has not committed to it

# in the reception, beside what was refused: what got a row
STORED = "stored"
ADOPTED = "adopted"  # by a rescan, when the receiver was killed before it had the row
BEFORE = "before"  # there when the books began
CORRECTED = "corrected"  # by `doctor --correct`: what could not be told from the other words
# and what got none
DUPLICATE = "duplicate"
CONFLICT = "conflict"
REFUSED = "refused "  # and the status

_TRIGGER = "tally_"

Book = tuple[str, str]  # book and state


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a tally says, and what was counted instead."""

    book: str
    state: str
    tally: int
    counted: int


def read(connection: Connection) -> Mapping[Book, int]:
    rows = connection.execute(select(tally.c.book, tally.c.state, tally.c.number))
    return {(book, state): number for book, state, number in rows}


def by_peer(connection: Connection, state: str) -> dict[str, int]:
    """Deliveries in this state, of peers that have any."""
    named = select(tally.c.book, tally.c.number).where(
        tally.c.book.startswith(DELIVERY), tally.c.state == state, tally.c.number != 0
    )
    rows = connection.execute(named.order_by(tally.c.book))
    return {book.removeprefix(DELIVERY): number for book, number in rows}


def peers(connection: Connection) -> set[str]:
    """For which anything was ever made."""
    books = select(tally.c.book).where(tally.c.book.startswith(DELIVERY)).distinct()
    return {book.removeprefix(DELIVERY) for book in connection.execute(books).scalars()}


def add(connection: Connection, book: str, numbers: Mapping[str, int]) -> None:
    """To a book of what happened."""
    rows = [{"book": book, "state": state, "number": n} for state, n in numbers.items() if n]
    if rows:
        statement = insert(tally)
        grown = {"number": tally.c.number + statement.excluded.number}
        connection.execute(statement.on_conflict_do_update(set_=grown), rows)


def counted(connection: Connection) -> dict[Book, int]:
    """The books of rows from the rows themselves: it takes as long as there are rows."""
    is_withdrawn = (delivery.c.state == DeliveryState.PENDING) & (job.c.state != JobState.READY)
    is_uncommitted = (delivery.c.state == DeliveryState.STORED) & delivery.c.wants_commitment
    delivered = case(
        (is_withdrawn, WITHDRAWN), (is_uncommitted, UNCOMMITTED), else_=delivery.c.state
    )
    found: dict[Book, int] = {}
    for book, name, query in (
        (INSTANCE, study.c.state, select(study.c.state, func.count()).join(instance)),
        (STUDY, study.c.state, select(study.c.state, func.count())),
        (JOB, job.c.state, select(job.c.state, func.count())),
    ):
        rows = connection.execute(query.group_by(name)).all()
        found |= {(book, str(state)): number for state, number in rows}
    query = select(delivery.c.peer, delivered, func.count()).join(
        job, delivery.c.job_id == job.c.id
    )
    for peer, state, number in connection.execute(query.group_by(delivery.c.peer, delivered)):
        found[f"{DELIVERY}{peer}", str(state)] = number
    return found


def differences(connection: Connection) -> list[Difference]:
    """Where a tally is not what the rows say; both are to be read in one transaction."""
    kept = {key: number for key, number in read(connection).items() if _is_of_rows(key[0])}
    rows = counted(connection)
    return [
        Difference(book=key[0], state=key[1], tally=kept.get(key, 0), counted=rows.get(key, 0))
        for key in sorted(kept.keys() | rows.keys())
        if kept.get(key, 0) != rows.get(key, 0)
    ]


def _is_of_rows(book: str) -> bool:
    return book in (INSTANCE, STUDY, JOB) or book.startswith(DELIVERY)


def install(connection: Connection) -> None:
    """Triggers, and numbers as the rows are. What is counted in the reception stays; books that
    begin on a database that was filled before say how much that was."""
    drop(connection)
    for name, body in _triggers():
        connection.exec_driver_sql(f"CREATE TRIGGER {_TRIGGER}{name} {body}")
    for each in differences(connection):
        add(connection, each.book, {each.state: each.counted - each.tally})
    kept = read(connection)
    if not any(book in (RECEPTION, DELETED) for book, _ in kept):
        add(connection, RECEPTION, {BEFORE: -surplus(kept)})


def correct(connection: Connection) -> list[Difference]:
    """Write down what the rows say, and where more or less is there than came, how much."""
    wrong = differences(connection)
    for each in wrong:
        add(connection, each.book, {each.state: each.counted - each.tally})
    add(connection, RECEPTION, {CORRECTED: -surplus(read(connection))})
    return wrong


def surplus(kept: Mapping[Book, int]) -> int:
    """Rows of instances that came, by the reception, and neither are there nor were deleted."""
    came = sum(kept.get((RECEPTION, how), 0) for how in (BEFORE, STORED, ADOPTED, CORRECTED))
    return came - sum(number for (book, _), number in kept.items() if book in (INSTANCE, DELETED))


def drop(connection: Connection) -> None:
    """While tables are altered: SQLite renames none that a trigger elsewhere speaks of, and what
    is copied is not new."""
    query = text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE :ours")
    for name in connection.execute(query, {"ours": f"{_TRIGGER}%"}).scalars().all():
        connection.exec_driver_sql(f"DROP TRIGGER {name}")


def _triggers() -> Iterator[tuple[str, str]]:
    """Each row leaves the book under its old state, and enters it under its new one."""
    for table, of, book, state in (
        (
            INSTANCE,
            "study_id",
            f"'{INSTANCE}'",
            "(SELECT state FROM study WHERE id = {row}.study_id)",
        ),
        (STUDY, "state", f"'{STUDY}'", "{row}.state"),
        (JOB, "state", f"'{JOB}'", "{row}.state"),
        ("delivery", "state, peer, wants_commitment", f"'{DELIVERY}' || {{row}}.peer", _DELIVERED),
    ):
        leaves = _count(book.format(row="OLD"), state.format(row="OLD"), "-1")
        enters = _count(book.format(row="NEW"), state.format(row="NEW"), "1")
        yield f"{table}_insert", f"AFTER INSERT ON {table} BEGIN {enters} END"
        yield f"{table}_delete", f"AFTER DELETE ON {table} BEGIN {leaves} END"
        yield f"{table}_update", f"AFTER UPDATE OF {of} ON {table} BEGIN {leaves} {enters} END"
    gone = _count(f"'{DELETED}'", f"'{INSTANCE}'", "1")
    yield "deleted", f"AFTER DELETE ON {INSTANCE} BEGIN {gone} END"
    moved = _count(f"'{INSTANCE}'", "OLD.state", f"-{_OF_STUDY}") + _count(
        f"'{INSTANCE}'", "NEW.state", _OF_STUDY
    )
    changed = "WHEN OLD.state <> NEW.state BEGIN"
    yield "instances_of_study", f"AFTER UPDATE OF state ON {STUDY} {changed} {moved} END"
    yield "deliveries_of_job", f"AFTER UPDATE OF state ON {JOB} {changed} {_WITHDRAWING} END"


_ADDING = " ON CONFLICT (book, state) DO UPDATE SET number = number + excluded.number;"


def _count(book: str, state: str, number: str) -> str:
    return f"INSERT INTO tally (book, state, number) VALUES ({book}, {state}, {number}){_ADDING}"


_DELIVERED = (
    f"CASE WHEN {{row}}.state = '{DeliveryState.PENDING}' "
    f"AND (SELECT state FROM job WHERE id = {{row}}.job_id) <> '{JobState.READY}' "
    f"THEN '{WITHDRAWN}' "
    f"WHEN {{row}}.state = '{DeliveryState.STORED}' AND {{row}}.wants_commitment "
    f"THEN '{UNCOMMITTED}' ELSE {{row}}.state END"
)
_OF_STUDY = "(SELECT count(*) FROM instance WHERE study_id = NEW.id)"
# what is pending of a job waits only while that is READY, though the rows stay as they are
_WITHDRAWING = "".join(
    f"INSERT INTO tally (book, state, number) SELECT '{DELIVERY}' || peer, '{state}', "
    f"((NEW.state = '{JobState.READY}') - (OLD.state = '{JobState.READY}')) * {sign} "
    f"FROM delivery WHERE job_id = NEW.id AND state = '{DeliveryState.PENDING}'{_ADDING}"
    for state, sign in ((DeliveryState.PENDING, 1), (WITHDRAWN, -1))
)
