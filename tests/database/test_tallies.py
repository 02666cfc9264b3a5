"""The tallies are what the rows say, whatever the node does, and in every order."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from dicom_ai_node.database import (
    arrivals,
    deliveries,
    jobs,
    leases,
    lost,
    new_jobs,
    retractions,
    schema,
    studies,
    tallies,
)
from dicom_ai_node.database.books import books
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.produced import ResultsOf
from dicom_ai_node.job import TRANSITIONS, DeliveryState, JobState
from dicom_ai_node.study import StudyState
from tests.database.made import NOW, a_study, claimed, enqueued, new_job, publish, received

UIDS = ("1.2", "1.3", "1.4")
_WAITING = text(
    "SELECT peer, count(*) FROM delivery JOIN job ON job.id = job_id "
    "WHERE delivery.state = 'pending' AND job.state = 'ready' GROUP BY peer"
)


class Walk:
    """One step after the other, each by the function that the node calls."""

    def __init__(self, connection: Connection, dice: random.Random) -> None:
        self.connection = connection
        self.dice = dice
        self.now = NOW
        self.number = 0

    def step(self) -> None:
        self.now += 1
        self.number += 1
        steps: list[Callable[[], Any]] = [
            self.arrive, self.arrive, self.conflict, self.settle, self.enqueue, self.enqueue,
            self.claim_and_publish, self.claim_and_fail, self.record, self.record, self.operate,
            self.purge, self.review, self.retract, self.lose,
        ]  # fmt: skip
        self.dice.choice(steps)()

    def study(self) -> Any:
        return studies.find(self.connection, self.dice.choice(UIDS))

    def arrive(self) -> None:
        uid = self.dice.choice(UIDS)
        of = received(
            f"{uid}.9.{self.number % 7}",
            study_instance_uid=uid,
            patient_digest=self.dice.choice("pppq") * 64,
        )
        arrivals.add(self.connection, of, f"{self.number}.dcm", now=self.now)

    def conflict(self) -> None:
        if (row := self.study()) is not None:
            uid = row["study_instance_uid"]
            of = received(f"{uid}.9.1", study_instance_uid=uid, sha256="b" * 64)
            arrivals.add(self.connection, of, f"{self.number}.dcm", now=self.now)

    def settle(self) -> None:
        if (row := self.study()) is not None:
            state = self.dice.choice([StudyState.ROUTED, StudyState.REFUSED, StudyState.PRIOR])
            studies.settle(self.connection, row, state, reason="r", verdicts=[], now=self.now)

    def enqueue(self) -> None:
        if (row := self.study()) is not None:
            new = new_job(row["id"], f"k{self.number}", series_instance_uid="1.2.3")
            new_jobs.enqueue(self.connection, new, now=self.now)

    def claim_and_publish(self) -> None:
        if job := leases.claim(self.connection, worker="w", lease_s=60, now=self.now):
            publish(self.connection, job)

    def claim_and_fail(self) -> None:
        if job := leases.claim(self.connection, worker="w", lease_s=60, now=self.now):
            leases.give_back(
                self.connection, job, error_kind="crash", error_text="", max_attempts=1,
                now=self.now,
            )  # fmt: skip

    def record(self) -> None:
        for row, _ in deliveries.due(self.connection, "pacs", now=NOW * 2)[:1]:
            state = self.dice.choice(list(DeliveryState)[:4])
            deliveries.record(
                self.connection,
                row,
                state,
                status="s",
                next_try_at=self.now,
                now=self.now,
                wants_commitment=self.dice.random() < 0.5,
            )

    def operate(self) -> None:
        if not (known := jobs.listing(self.connection)):
            return
        job = self.dice.choice(known)
        if job.state is JobState.UNDELIVERED:
            deliveries.retry(self.connection, job, now=self.now)
        elif JobState.CANCELLED in TRANSITIONS[job.state]:
            jobs.move(self.connection, job, JobState.CANCELLED, now=self.now)

    def lose(self) -> None:
        """As at a start that finds the outbox gone."""
        for job in lost.to_be_sent(self.connection)[:1]:
            lost.without_results(self.connection, job, now=self.now)

    def purge(self) -> None:
        if (row := self.study()) is not None:
            studies.purge(self.connection, row["id"])

    def review(self) -> None:
        if (row := self.study()) is not None:
            studies.reopen(self.connection, row["study_instance_uid"])

    def retract(self) -> None:
        known = retractions.unmarked(self.connection, ResultsOf(model="bright"))[:1]
        retractions.mark(self.connection, known, why="w", is_delivering=True, now=self.now)


@pytest.mark.parametrize("seed", range(6))
def test_after_every_step_the_tallies_are_what_is_counted(database: Database, seed: int) -> None:
    with database.write() as connection:
        walk = Walk(connection, random.Random(seed))  # noqa: S311 — for order, not for secrets
        for _ in range(120):
            walk.step()
            assert tallies.differences(connection) == []
            assert books(connection).balanced
            waiting = connection.execute(_WAITING).all()
            assert deliveries.backlog(connection) == dict(waiting)  # type: ignore[arg-type]
        assert sum(books(connection).jobs.values()) > 5  # it went somewhere


def test_the_reception_is_what_came(database: Database) -> None:
    with database.write() as connection:
        came = (received("1"), received("2"), received("1"), received("2", sha256="b" * 64))
        for number, of in enumerate(came):
            arrivals.add(connection, of, f"{number}.dcm", now=NOW)
        found = books(connection)
    assert found.received == {"stored": 2, "duplicate": 1, "conflict": 1}
    assert (found.instances, found.instances_of) == (2, {"needs_review": 2})


def test_what_is_deleted_is_still_accounted_for(database: Database) -> None:
    with database.write() as connection:
        study_id = a_study(connection)
        studies.purge(connection, study_id)
        found = books(connection)
    assert (found.instances, found.deleted, found.received) == (0, 1, {"stored": 1})
    assert found.balanced


def test_a_row_that_nobody_received_is_noticed(database: Database) -> None:
    """Somebody at the database with a tool of his own."""
    with database.write() as connection:
        a_study(connection)
        connection.execute(
            text(
                "INSERT INTO instance (study_id, series_instance_uid, sop_class_uid, "
                "sop_instance_uid, transfer_syntax_uid, sha256, size, file, received_at, is_lost) "
                "SELECT study_id, series_instance_uid, sop_class_uid, '1.9', transfer_syntax_uid, "
                "sha256, size, 'x', received_at, is_lost FROM instance"
            )
        )
        assert not books(connection).balanced
        assert tallies.differences(connection) == []
        tallies.correct(connection)
        assert books(connection).balanced
        assert books(connection).received == {"corrected": 1, "stored": 1}


def test_what_is_pending_of_a_cancelled_job_is_no_backlog(database: Database) -> None:
    with database.write() as connection:
        enqueued(connection)
        job = claimed(connection)
        publish(connection, job)
        found = books(connection)
        assert found.waiting_for == {"archive": 2, "pacs": 2}
        assert found.waiting["pacs"].since == NOW
        jobs.move(
            connection,
            jobs.find(connection, job.id),
            JobState.CANCELLED,
            now=NOW,  # type: ignore[arg-type]
        )
        assert books(connection).waiting_for == {}
        assert tallies.by_peer(connection, tallies.WITHDRAWN) == {"archive": 2, "pacs": 2}


def test_what_a_peer_has_not_committed_to_is_told_apart(database: Database) -> None:
    with database.write() as connection:
        enqueued(connection)
        publish(connection, claimed(connection))
        for row, _ in deliveries.due(connection, "pacs", now=NOW):
            deliveries.record(
                connection,
                row,
                DeliveryState.STORED,
                status="0000",
                next_try_at=NOW,
                now=NOW,
                wants_commitment=True,
            )
        assert books(connection).uncommitted == {"pacs": 2}
        connection.execute(text("UPDATE delivery SET state = 'committed' WHERE state = 'stored'"))
        assert books(connection).uncommitted == {}
        assert tallies.differences(connection) == []


def test_a_wrong_tally_is_found_and_corrected(database: Database) -> None:
    with database.write() as connection:
        a_study(connection)
        connection.execute(text("UPDATE tally SET number = 7 WHERE book = 'study'"))
        (found,) = tallies.differences(connection)
        assert (found.book, found.state, found.tally, found.counted) == ("study", "receiving", 7, 1)
        tallies.correct(connection)
        assert tallies.differences(connection) == []


def test_books_begin_on_a_database_that_was_filled_before(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/node.db")
    schema.upgrade(database, "0005")
    with database.write() as connection:
        connection.execute(
            text(
                "INSERT INTO study (id, study_instance_uid, state, calling_ae_title, "
                "called_ae_title, patient_digest, first_received_at, last_received_at) "
                "VALUES (1, '1.2', 'routed', 'PACS', 'AI_NODE', 'p', 5, 6)"
            )
        )
        connection.execute(
            text("INSERT INTO instance VALUES (1, 1, '1', '1', '1', '1', 'a', 1, 'f', 5)")
        )
    schema.upgrade(database)
    with database.write() as connection:
        assert books(connection).received == {"before": 1}
        assert books(connection).studies["routed"] == 1
        arrivals.add(connection, received(), "g", now=NOW)
        assert books(connection).balanced
        assert tallies.differences(connection) == []
    database.close()


def triggers(database: Database) -> dict[str, str]:
    with database.read() as connection:
        query = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        return dict(connection.execute(query).all())  # type: ignore[arg-type]


def test_an_upgrade_has_the_triggers_of_a_new_database(tmp_path: Path) -> None:
    """SQLite drops them with the tables that a migration makes anew."""
    made, migrated = (Database(f"sqlite:///{tmp_path}/{name}.db") for name in "ab")
    schema.require_current(made)
    schema.upgrade(migrated)
    assert triggers(made) == triggers(migrated) != {}
    with migrated.write() as connection:
        tallies.drop(connection)
    schema.upgrade(migrated)  # whatever it was that took them away
    assert triggers(made) == triggers(migrated)
    for database in (made, migrated):
        database.close()


def test_a_table_can_be_made_anew_while_the_triggers_are_off(database: Database) -> None:
    """As alembic's batch does; with them, SQLite refuses to rename a table they speak of."""
    with database.write() as connection:
        enqueued(connection)
        tallies.drop(connection)
        connection.exec_driver_sql("CREATE TABLE other AS SELECT * FROM delivery")
        connection.exec_driver_sql("DROP TABLE delivery")
        connection.exec_driver_sql("ALTER TABLE other RENAME TO delivery")
        tallies.install(connection)
        assert tallies.differences(connection) == []
        publish(connection, claimed(connection))
        assert tallies.differences(connection) == []
