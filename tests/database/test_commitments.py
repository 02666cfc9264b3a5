"""Requests for storage commitment are rows until their report was taken."""

import pytest
from sqlalchemy import Connection

from dicom_ai_node.database import arrivals, commitments
from dicom_ai_node.database.commitments import (
    Commitment,
    CommitmentState,
    NewCommitment,
    Reference,
    Stored,
)
from dicom_ai_node.database.engine import Database
from tests.database.made import NOW, received

CT = "1.2.840.10008.5.1.4.1.1.2"


def added(
    connection: Connection, uid: str = "1.2.3", *, calling: str = "PACS", next_try_at: float = NOW
) -> Commitment:
    new = NewCommitment(
        transaction_uid=uid,
        calling_ae_title=calling,
        called_ae_title="AI_NODE",
        references=(Reference(CT, "1.2.3.1"), Reference(CT, "1.2.3.2")),
    )
    kept = commitments.add(connection, new, next_try_at=next_try_at, now=NOW)
    assert kept is not None
    return kept


def claimed(connection: Connection, now: float) -> Commitment | None:
    return commitments.claim(connection, lease_s=60, now=now)


def states(connection: Connection) -> list[str]:
    return [row["state"] for row in commitments.listing(connection)]


def test_what_was_asked_is_what_is_read(database: Database) -> None:
    with database.write() as connection:
        kept = added(connection)
    with database.write() as connection:
        found = claimed(connection, NOW)
    assert found is not None
    assert (found.id, found.references, found.reasons) == (kept.id, kept.references, None)
    assert (found.transaction_uid, found.calling_ae_title) == ("1.2.3", "PACS")
    assert (kept.tries, found.tries) == (1, 2)


def test_a_transaction_is_pending_once_for_a_peer(database: Database) -> None:
    with database.write() as connection:
        first = added(connection)
        added(connection, calling="OTHER")
        again = NewCommitment(
            transaction_uid="1.2.3",
            calling_ae_title="PACS",
            called_ae_title="AI_NODE",
            references=(),
        )
        assert commitments.add(connection, again, next_try_at=NOW, now=NOW) is None
        assert commitments.count_pending(connection, "PACS") == 1
        commitments.end(connection, first.id, CommitmentState.REPORTED)
        assert added(connection).id != first.id


def test_a_lease_keeps_others_away_until_it_ends(database: Database) -> None:
    with database.write() as connection:
        kept = added(connection)
        assert claimed(connection, NOW) is not None
        assert claimed(connection, NOW + 59) is None
        assert commitments.next_due(connection) == NOW + 60
        again = claimed(connection, NOW + 60)
    assert again is not None
    assert (again.id, again.tries) == (kept.id, 3)


def test_who_waits_longest_is_first(database: Database) -> None:
    with database.write() as connection:
        added(connection, "1.1", next_try_at=NOW + 2)
        added(connection, "1.2", next_try_at=NOW + 1)
        found = [claimed(connection, NOW + 5), claimed(connection, NOW + 5)]
    assert [each and each.transaction_uid for each in found] == ["1.2", "1.1"]


def test_after_a_restart_all_that_is_pending_is_due(database: Database) -> None:
    with database.write() as connection:
        added(connection, "1.1", next_try_at=NOW + 100)
        done = added(connection, "1.2", next_try_at=NOW + 100)
        commitments.end(connection, done.id, CommitmentState.FAILED)
        assert commitments.restart(connection, now=NOW) == 1
        found = claimed(connection, NOW)
        assert found is not None
        assert found.transaction_uid == "1.1"
        assert claimed(connection, NOW) is None


def test_a_judgement_is_kept(database: Database) -> None:
    with database.write() as connection:
        judged = commitments.judged(connection, added(connection), [0, 0x0112])
    assert judged.reasons == (0, 0x0112)
    with database.write() as connection:
        again = claimed(connection, NOW)
    assert again is not None
    assert again.reasons == (0, 0x0112)


def test_a_peer_that_is_down_is_put_off_as_a_whole(database: Database) -> None:
    with database.write() as connection:
        added(connection, "1.1")
        added(connection, "1.2", next_try_at=NOW + 500)
        added(connection, "1.3", calling="OTHER")
        commitments.put_off_peer(connection, "PACS", until=NOW + 300)
        found = commitments.listing(connection)
    due = {row["transaction_uid"]: row["next_try_at"] for row in found}
    assert due == {"1.1": NOW + 300, "1.2": NOW + 500, "1.3": NOW}


@pytest.mark.parametrize("state", [CommitmentState.REPORTED, CommitmentState.FAILED])
def test_what_has_ended_is_neither_tried_nor_ended_again(
    database: Database, state: CommitmentState
) -> None:
    with database.write() as connection:
        kept = added(connection)
        assert commitments.end(connection, kept.id, state)
        assert not commitments.end(connection, kept.id, CommitmentState.FAILED)
        commitments.put_off(connection, [kept.id], until=NOW)
        assert claimed(connection, NOW + 1000) is None
        assert commitments.next_due(connection) is None
        assert states(connection) == [state]


def test_only_what_is_old_and_through_is_forgotten(database: Database) -> None:
    with database.write() as connection:
        commitments.end(connection, added(connection, "1.1").id, CommitmentState.REPORTED)
        added(connection, "1.2")
        assert commitments.forget(connection, before=NOW) == 0
        assert commitments.forget(connection, before=NOW + 1) == 1
        assert states(connection) == [CommitmentState.PENDING]


def test_instances_are_looked_up_by_their_uids(database: Database) -> None:
    with database.write() as connection:
        arrivals.add(connection, received("1.2.3.1"), "one.dcm", now=NOW)
        asked = [f"1.9.{n}" for n in range(1200)] + ["1.2.3.1"]
        found = commitments.stored(connection, asked)
    assert found == {"1.2.3.1": Stored(CT, "a" * 64, "one.dcm")}
