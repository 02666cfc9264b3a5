"""The job table under every order of events that Hypothesis can think of."""

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from sqlalchemy import Connection

from dicom_ai_node.database import (
    commitment_reports,
    commitment_requests,
    deliveries,
    jobs,
    ladders,
    leases,
    new_jobs,
    schema,
    tallies,
)
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import LeaseLost
from dicom_ai_node.job import AT_PEER, TRANSITIONS, DeliveryState, Job, JobState
from tests.database.made import BINARY_ALONE, IN_TWO_FORMS, NOW, TWO_FORMS, a_study, new_job

PENDING, STORED, REFUSED = DeliveryState.PENDING, DeliveryState.STORED, DeliveryState.REFUSED
PEERS = ("archive", "pacs")
COMMITS = "pacs"  # it is asked to
MAX_ATTEMPTS = 3
LEASE_S = 60.0


class JobTable(RuleBasedStateMachine):
    """Workers that are fast, slow, dead or late, around one table."""

    leases = Bundle("leases")
    requests = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(f"sqlite:///{self.folder.name}/node.db")
        schema.upgrade(self.database)
        with self.database.write() as connection:
            self.study_id = a_study(connection)
        self.now = NOW
        self.keys = itertools.count()
        self.enqueued: set[str] = set()
        self.published: list[int] = []

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    @rule(series=st.integers(1, 3))
    def enqueue(self, series: int) -> None:
        key = f"k{next(self.keys)}"
        with self.database.write() as connection:
            new = new_job(self.study_id, key, series_instance_uid=f"1.2.{series}")
            assert new_jobs.enqueue(connection, new, now=self.now) is not None
        self.enqueued.add(key)

    @rule(data=st.data())
    def enqueue_again(self, data: st.DataObject) -> None:
        """A job comes of it only where another one had stopped or replaced the first."""
        key = data.draw(st.sampled_from(sorted(self.enqueued))) if self.enqueued else None
        if key:
            with self.database.write() as connection:
                before = new_jobs.standing(connection, key)
                assert before is not None
                why = jobs.events(connection, before.id)[-1]["why"] or ""
                replaced = any(
                    each.supersedes == before.id and each.state is not JobState.CANCELLED
                    for each in jobs.listing(connection, limit=1000)
                )
                made = new_jobs.enqueue(connection, new_job(self.study_id, key), now=self.now)
            was_stopped = before.state is JobState.CANCELLED and why.startswith("superseded")
            assert (made is not None) == (was_stopped or replaced)

    @rule(target=leases)
    def claim(self) -> Job | None:
        with self.database.write() as connection:
            return leases.claim(connection, worker="here", lease_s=LEASE_S, now=self.now)

    @rule(lease=leases)
    def renew(self, lease: Job | None) -> None:
        if lease:
            self.under_lease(lease, lambda c: leases.renew(c, lease, lease_s=LEASE_S, now=self.now))

    @rule(lease=consumes(leases))
    def give_back(self, lease: Job | None) -> None:
        if lease:
            self.under_lease(lease, lambda c: self.fail(c, lease))

    @rule(lease=leases)  # not consumed: a worker may try twice
    def publish(self, lease: Job | None) -> None:
        if not lease:
            return
        done = self.under_lease(
            lease,
            lambda c: deliveries.publish(
                c,
                lease,
                IN_TWO_FORMS,
                outcome="findings",
                reason=None,
                timings={},
                now=self.now,
                forms={"pacs": TWO_FORMS, "archive": BINARY_ALONE},
            ),
        )
        if done:
            self.published.append(lease.id)

    @rule(
        peer=st.sampled_from(PEERS),
        state=st.sampled_from([PENDING, STORED, REFUSED]),
    )
    def record(self, peer: str, state: DeliveryState) -> None:
        with self.database.write() as connection:
            for delivery, _ in deliveries.due(connection, peer, now=self.now, limit=1):
                deliveries.record(
                    connection,
                    delivery,
                    state,
                    status="",
                    next_try_at=self.now + 5,
                    now=self.now,
                    wants_commitment=peer == COMMITS,
                )

    @rule(target=requests)
    def ask_for_commitment(self) -> tuple[str, tuple[str, ...]]:
        uid = f"2.25.{next(self.keys)}"
        with self.database.write() as connection:
            commitment_requests.expire(connection, COMMITS, now=self.now)
            _, found = commitment_requests.ask(
                connection, COMMITS, uid, answer_s=LEASE_S, now=self.now, longest_s=LEASE_S
            )
        return uid, tuple(each.sop_instance_uid for each in found)

    @rule(request=requests, reason=st.sampled_from([0, 0, 0x0112, 0x0119]))
    def report_commitment(self, request: tuple[str, tuple[str, ...]], reason: int) -> None:
        """Of a request however old; what is said of the first object is said of all but that."""
        uid, asked = request
        reasons = dict.fromkeys(asked[1:], 0) | dict.fromkeys(asked[:1], reason)
        with self.database.write() as connection:
            commitment_reports.take(
                connection, [COMMITS], uid, reasons, backoff_max_s=5, now=self.now
            )

    @rule(peer=st.sampled_from(PEERS))
    def refuse_a_form(self, peer: str) -> None:
        """As the queue does where a peer does not take one of the objects."""
        with self.database.write() as connection:
            for row, _ in deliveries.due(connection, peer, now=self.now)[:1]:
                ladders.step_down(
                    connection, row.job_id, peer, [row.id], status="0122", now=self.now
                )

    @rule(data=st.data())
    def operate(self, data: st.DataObject) -> None:
        """Cancel or retry any job, as `jobs cancel` and `jobs retry` do."""
        with self.database.write() as connection:
            listed = jobs.listing(connection)
            if not listed:
                return
            job = data.draw(st.sampled_from(listed))
            if job.state is JobState.UNDELIVERED:
                deliveries.retry(connection, job, now=self.now)
            elif job.state is JobState.QUARANTINED:
                jobs.move(connection, job, JobState.QUEUED, now=self.now, attempts=0)
            elif JobState.CANCELLED in TRANSITIONS[job.state]:
                jobs.move(connection, job, JobState.CANCELLED, now=self.now)

    @rule()
    def reap(self) -> None:
        with self.database.write() as connection:
            for job in leases.expired_leases(connection, now=self.now):
                self.fail(connection, job, kind=leases.WORKER_LOST)

    @rule(seconds=st.sampled_from([1.0, 10.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    def fail(self, connection: Connection, job: Job, kind: str = "crash") -> None:
        leases.give_back(
            connection,
            job,
            error_kind=kind,
            error_text="",
            max_attempts=MAX_ATTEMPTS,
            now=self.now,
        )

    def under_lease(self, lease: Job, act: Callable[[Connection], object]) -> bool:
        """Whoever holds the lease may act; nobody else may."""
        with self.database.read() as connection:
            current = jobs.find(connection, lease.id)
        holds = current.state is JobState.RUNNING and current.lease_id == lease.lease_id
        try:
            with self.database.write() as connection:
                act(connection)
        except LeaseLost:
            assert not holds
            return False
        assert holds
        return True

    @invariant()
    def every_state_is_the_end_of_its_events(self) -> None:
        with self.database.read() as connection:
            for job in jobs.listing(connection, limit=1000):
                events = jobs.events(connection, job.id)
                path = [event["to_state"] for event in events]
                assert [event["from_state"] for event in events] == [None, *path[:-1]]
                assert path[-1] == job.state
                for before, after in itertools.pairwise(path):
                    assert after in TRANSITIONS[JobState(before)]

    @invariant()
    def a_lease_is_held_exactly_while_running(self) -> None:
        with self.database.read() as connection:
            for job in jobs.listing(connection, limit=1000):
                held = (job.lease_id is not None, job.lease_expires_at is not None)
                assert held == (job.state is JobState.RUNNING,) * 2
                assert job.attempts <= MAX_ATTEMPTS * leases.LOST_WORKERS_FORGIVEN

    @invariant()
    def a_job_is_finished_exactly_when_its_deliveries_are(self) -> None:
        with self.database.read() as connection:
            for job in jobs.listing(connection, limit=1000):
                rows = deliveries.of_job(connection, job.id)
                states = {row["state"] for row in rows}
                waits = any(row["wants_commitment"] and row["state"] == "stored" for row in rows)
                if job.state is JobState.READY:
                    assert waits or "pending" in states
                elif job.state is JobState.DONE:
                    assert not waits
                    assert states & {"stored", "committed"}
                    assert states <= {"stored", "committed", "spare", "passed"}
                elif job.state is JobState.UNDELIVERED:
                    assert "refused" in states
                    assert "pending" not in states
                    assert not waits
                elif job.state is not JobState.CANCELLED:
                    assert not states

    @invariant()
    def nothing_is_published_twice(self) -> None:
        assert len(set(self.published)) == len(self.published)
        with self.database.read() as connection:
            for job in jobs.listing(connection, limit=1000):
                rows = deliveries.of_job(connection, job.id)
                assert len(rows) == (6 if job.id in self.published else 0)

    @invariant()
    def no_peer_has_two_forms(self) -> None:
        with self.database.read() as connection:
            for job in jobs.listing(connection, limit=1000):
                for peer in PEERS:
                    rows = deliveries.of_job(connection, job.id)
                    sent = [
                        set(row["rungs"])
                        for row in rows
                        if row["peer"] == peer and row["state"] in ("pending", *AT_PEER)
                    ]
                    assert not sent or set.intersection(*sent)

    @invariant()
    def the_tallies_say_what_the_rows_say(self) -> None:
        with self.database.read() as connection:
            assert tallies.differences(connection) == []

    @invariant()
    def one_job_at_most_is_under_way_for_a_series(self) -> None:
        with self.database.read() as connection:
            live = [
                job.series_instance_uid
                for job in jobs.listing(connection, limit=1000)
                if job.state in (JobState.QUEUED, JobState.RUNNING)
            ]
        assert len(live) == len(set(live))


TestJobTable = JobTable.TestCase
TestJobTable.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def test_the_folder_is_made_for_the_database(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path}/a/b/node.db").close()
    assert (tmp_path / "a" / "b").is_dir()
