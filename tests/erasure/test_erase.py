"""A deleted study leaves no trace in files and rows but a hash; what a person holds stays."""

import copy
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset
from sqlalchemy import Connection, insert, inspect, select, text

from dicom_ai_node import purge, schedule, taken_out
from dicom_ai_node.audit.lines import HEAD
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import (
    deliveries,
    erased,
    erasure,
    expectations,
    fetches,
    holds,
    jobs,
    leases,
    missed,
    studies,
    tallies,
)
from dicom_ai_node.database.books import books
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.erased import digest_of, is_erased
from dicom_ai_node.database.fetches import Fetch, FetchState
from dicom_ai_node.database.tables import (
    commitment,
    delivery,
    expectation,
    fetch,
    instance,
    job,
    study,
    verdict,
)
from dicom_ai_node.erasure.erase import erase, look_at
from dicom_ai_node.errors import LeaseLost, NodeError
from dicom_ai_node.intake.priors import settle_fetched
from dicom_ai_node.job import DeliveryState, JobState
from dicom_ai_node.outbox_rescan import rescan_outbox
from dicom_ai_node.receive.answer import Answer, Status
from dicom_ai_node.receive.rescan import describe, rescan
from dicom_ai_node.spool import Spool
from tests.dicom_factory import series
from tests.intake.in_process import Road
from tests.made import arrive, bright
from tests.operator import Operator
from tests.receive.scu import store

LONG_AGO = 1_600_000_000.0


@pytest.fixture
def road(config: Config, spool: Spool, database: Database, tmp_path: Path) -> Road:
    return Road(config, spool, database, {"bright": bright(tmp_path)})


def images(name: str = "erased", *, contents: int = 0) -> list[Dataset]:
    made = [copy.deepcopy(ds) for ds in series(name=name, shape=(6, 8, 8))]
    for ds in made:
        ds.ContentTime = f"12000{contents}"
    return made


UID = str(images()[0].StudyInstanceUID)
OTHER = str(images("stays")[0].StudyInstanceUID)


def come(road: Road, name: str = "erased") -> None:
    arrive(road.spool, road.database, images(name), now=LONG_AGO)
    road.intake.settle_quiet(now=road.database.now())


def everything(road: Road) -> bytes:
    """Every byte of the spool's files, their names, and the database with what is beside it."""
    road.database.close()
    found = [*road.spool.root.rglob("*"), *road.database.path.parent.glob("node.db*")]
    names = "\n".join(map(str, found)).encode()
    return names + b"".join(path.read_bytes() for path in found if path.is_file())


def uids() -> list[bytes]:
    each = images()
    return [
        *(str(ds.SOPInstanceUID).encode() for ds in each),
        UID.encode(),
        str(each[0].SeriesInstanceUID).encode(),
    ]


def filled(road: Road) -> None:
    """Worked on, with a conflict, and with rows in every table that may speak of a study."""
    come(road)
    come(road, "stays")
    assert road.work() == 2
    store(road.spool, road.database, images(contents=1)[2])
    now = road.database.now()
    with road.database.write() as connection:
        row = studies.find(connection, UID)
        assert row is not None
        said = {"study_instance_uid": UID, "peer": "pacs", "state": "moved", "next_try_at": now}
        for waits in (None, row["id"]):
            connection.execute(insert(fetch).values(**said, for_study_id=waits, created_at=now))
        connection.execute(
            insert(expectation).values(
                study_instance_uid=UID,
                series_instance_uid="",
                source="pacs",
                origin="pacs",
                instances=6,
                is_final=True,
                at=now,
            )
        )


def test_nothing_is_left_but_a_hash_and_others_are_whole(road: Road) -> None:
    filled(road)
    before = everything(road)
    assert all(uid in before for uid in uids())
    found = look_at(road.spool, road.database, UID)
    assert (found.instances, found.kept_aside, found.jobs) == (6, 1, 1)
    assert erase(road.spool, road.database, UID) == 6

    with road.database.read() as connection:
        assert tallies.differences(connection) == []
        assert books(connection).balanced
        assert books(connection).deleted == 6
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
        assert is_erased(connection, UID)
        assert connection.scalar(select(verdict.c.id).join(study)) is not None
        assert expectations.of_study(connection, UID) == []
    (left,) = road.jobs()
    assert left.study_instance_uid == OTHER
    assert all(path.is_file() for path in road.objects(left).values())
    after = everything(road)
    assert [uid for uid in uids() if uid in after] == []
    assert OTHER.encode() in after
    assert not list(road.spool.conflict.glob("??/*"))


def test_what_is_sent_again_is_a_new_study_with_results_of_its_own(road: Road) -> None:
    come(road)
    road.work()
    (before,) = road.jobs()
    first = {ds.name for ds in road.objects(before).values()}
    with road.database.read() as connection:
        named = set(connection.execute(select(delivery.c.sop_instance_uid)).scalars())
    erase(road.spool, road.database, UID)
    arrive(road.spool, road.database, images(contents=2), now=LONG_AGO)  # no conflict
    road.intake.settle_quiet(now=road.database.now())
    assert road.work() == 1
    (after,) = road.jobs()
    assert (after.state, after.supersedes) == (JobState.READY, None)
    assert {path.name for path in road.objects(after).values()} == first
    with road.database.read() as connection:
        again = set(connection.execute(select(delivery.c.sop_instance_uid)).scalars())
        row = studies.find(connection, UID)
    assert not named & again  # peers may have the first, and may have been told to hide them
    assert row is not None
    assert row["state"] == "routed"


@pytest.mark.fault("H7")
def test_the_result_of_a_running_job_is_refused_and_thrown_away(road: Road) -> None:
    """The fence: whoever works on it when it is deleted publishes nothing."""
    come(road)
    with road.database.write() as connection:
        running = leases.claim(connection, worker="here", lease_s=60, now=road.database.now())
    assert running is not None
    report = road.engine.submit(road.worker._request(running)).poll(0)  # type: ignore[arg-type]
    assert look_at(road.spool, road.database, UID).running == (running.id,)
    erase(road.spool, road.database, UID)
    with pytest.raises(LeaseLost):
        road.worker._endings.publish(running, report)
    assert list(road.spool.outbox.glob("??/*")) == []
    assert road.jobs() == []


def test_an_answer_to_what_was_on_its_way_is_not_taken_for_that_to_a_new_study(road: Road) -> None:
    """The numbers of deleted deliveries are given again."""
    come(road)
    road.work()
    with road.database.read() as connection:
        sent = [row for row, _ in deliveries.due(connection, "archive", now=road.database.now())]
    erase(road.spool, road.database, UID)
    come(road)
    road.work()
    with road.database.write() as connection:
        for row in sent:
            stored = DeliveryState.STORED
            deliveries.record(connection, row, stored, status="", next_try_at=0, now=LONG_AGO)
        waiting = deliveries.due(connection, "archive", now=road.database.now())
    assert {row.id for row, _ in waiting} == {row.id for row in sent}
    (job_,) = road.jobs()
    assert job_.state is JobState.READY


def test_what_a_killed_worker_published_of_it_goes_at_the_next_start(road: Road) -> None:
    come(road)
    road.work()
    (made,) = road.jobs()
    erase(road.spool, road.database, UID)
    folder = road.spool.outbox_path(made.key)
    folder.mkdir(parents=True)
    (folder / "1-seg.dcm").write_bytes(b"of the study")
    rescan_outbox(road.spool, road.database)
    assert not folder.exists()


def test_a_deletion_that_was_killed_is_finished_at_the_next_start(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(road)
    monkeypatch.setattr(taken_out, "_remove", lambda *_: 0)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    erase(road.spool, road.database, UID)
    monkeypatch.undo()
    assert uids()[0] in everything(road)
    rescan(road.spool, road.database)
    after = everything(road)
    assert [uid for uid in uids() if uid in after] == []
    assert len(list(road.spool.instance_files())) == 6


def test_a_deletion_that_was_not_committed_leaves_all_as_it_was(road: Road) -> None:
    filled(road)
    with road.database.read() as connection:
        row = studies.find(connection, UID)
        assert row is not None
        files = [each["file"] for each in studies.instance_rows(connection, row["id"])]
        keys = [each.key for each in jobs.listing(connection, study_instance_uid=UID)]
    aside = [path.name for path in road.spool.conflict.glob("??/*")]
    taken_out.note(road.spool, files, conflict=aside, outbox=keys)
    rescan(road.spool, road.database)
    assert len(list(road.spool.instance_files())) == 12
    assert len(list(road.spool.conflict.glob("??/*"))) == 1
    assert all(road.spool.outbox_path(key).is_dir() for key in keys)


def test_what_a_person_holds_is_neither_deleted_discarded_nor_purged(
    road: Road, tmp_path: Path
) -> None:
    operator = Operator(tmp_path, road.config)
    come(road)
    with road.database.write() as connection:
        connection.execute(job.update().values(state=JobState.DONE))
    operator.must("studies", "hold", UID, "--why", "  asked for by\n the court ")
    for words in (["studies", "delete", UID, "--yes"], ["studies", "discard", UID, "--yes"]):
        status, said = operator.ask(*words)
        assert status == 1
        assert "asked for by the court" in said
        assert "studies release" in said
    now = road.database.now()
    assert purge.purge_expired(road.config, road.spool, road.database, now=now) == 0
    for verb in ("show", "explain"):
        assert operator.data("studies", verb, UID)["held_why"] == "asked for by the court"
        assert "asked for by the court" in operator.must("studies", verb, UID)
    assert "asked for by the court" in operator.must("studies", "list")
    assert len(list(road.spool.instance_files())) == 6

    operator.must("studies", "release", UID)
    assert operator.ask("studies", "release", UID)[0] == 1
    assert purge.purge_expired(road.config, road.spool, road.database, now=now) == 1


def test_the_verb_says_what_stays_elsewhere_and_asks_first(road: Road, tmp_path: Path) -> None:
    operator = Operator(tmp_path, road.config)
    come(road)
    come(road, "stays")
    road.work()
    status, said = operator.ask("studies", "delete", UID)  # nobody is there to answer
    assert status == 1
    assert "archive has results of bright 1.0, or may have: they stay there" in said
    assert "6 instances" in said
    said = operator.must("studies", "delete", UID, OTHER, "--yes", "--json")
    # between the lines of this process's log, which another test may have set up
    told, _ = json.JSONDecoder().raw_decode(said[said.index("{\n") :])
    assert [each["instances"] for each in told["deleted"]] == [6, 6]
    assert "Backups" in told["note"]
    assert operator.data("studies", "list") == []
    status, said = operator.ask("studies", "delete", UID, "--yes")
    assert (status, "no such study" in said) == (1, True)


def test_a_note_that_no_peer_has_heard_of_keeps_its_study(road: Road, tmp_path: Path) -> None:
    """Without the rows nothing could be sent, and the wrong result would stand."""
    operator = Operator(tmp_path, road.config)
    come(road)
    road.work()
    with road.database.write() as connection:
        connection.execute(delivery.update().values(state="stored", tries=1))
    status, said = operator.ask("studies", "delete", UID, "--retract", "--wait", "0", "--yes")
    assert status == 1
    assert "has not told its peer yet" in said
    with pytest.raises(NodeError, match="takes results of it back"):
        erase(road.spool, road.database, UID)
    with road.database.write() as connection:
        connection.execute(delivery.update().values(state="stored"))
        connection.execute(
            job.update().where(job.c.state == JobState.READY).values(state=JobState.DONE)
        )
    operator.must("studies", "delete", UID, "--retract", "--wait", "0", "--yes")
    assert road.jobs() == []


def test_what_still_comes_is_not_deleted(road: Road) -> None:
    arrive(road.spool, road.database, images(), now=LONG_AGO)
    with pytest.raises(NodeError, match="still coming"):
        erase(road.spool, road.database, UID)


def test_every_table_is_known_to_the_deletion(road: Road) -> None:
    """Who adds a table that may speak of a study, adds it here and to `database.erasure`."""
    others = {"alarm", "tally", "erased", "commitment_request", "alembic_version", "web_token"}
    others |= {"notification", "probe_run"}  # the node makes the studies of its probe
    ours = {"study", "instance", "verdict", "job", "job_event", "delivery", "recall"}
    ours |= {"fetch", "expectation", "commitment", "rejection", "rejection_note"}
    with road.database.read() as connection:
        found = set(inspect(connection).get_table_names())
    assert found == ours | (found & others)


def a_fetch(road: Road, uid: str, name: str = "erased") -> Fetch:
    """A C-MOVE for a prior of a study, which has just begun."""
    now = road.database.now()
    with road.database.write() as connection:
        row = studies.find(connection, str(images(name)[0].StudyInstanceUID))
        assert row is not None
        fetches.ask(connection, row["id"], peer="pacs", within_days=100, now=now)
        (question,) = fetches.of_study(connection, row["id"])
        assert fetches.begin(connection, question, now=now)
        fetches.want(connection, question, uid, is_here=False, now=now)
        fetches.record(connection, question, FetchState.MOVED, reason=None, now=now)
        due = fetches.next_due(connection, "pacs", now=now)
        assert due is not None
        assert fetches.begin(connection, due, now=now)
    return due


@pytest.mark.parametrize("deleted", [UID, OTHER])
def test_a_study_is_not_deleted_while_its_priors_come_or_while_it_is_one(
    road: Road, deleted: str
) -> None:
    """What comes afterwards would be taken for a study that somebody sends, and analysed."""
    come(road)
    if deleted == OTHER:
        come(road, "stays")
    due = a_fetch(road, OTHER)
    with pytest.raises(NodeError, match="try again in a minute"):
        erase(road.spool, road.database, deleted)
    now = road.database.now()
    with road.database.write() as connection:
        fetches.record(connection, due, FetchState.MOVED, reason=None, instances=6, now=now)
    with pytest.raises(NodeError, match="try again in a minute"):  # stragglers
        erase(road.spool, road.database, deleted)
    with road.database.write() as connection:
        connection.execute(fetch.update().values(started_at=now - 500, finished_at=now - 400))
    if deleted == UID:
        arrive(road.spool, road.database, images("stays"), now=now - 450)  # and is not settled
        with pytest.raises(NodeError, match="try again in a minute"):
            erase(road.spool, road.database, deleted)
        assert settle_fetched(road.database, quiet_s=60, now=now) == 1
    assert erase(road.spool, road.database, deleted) == 6


def test_a_later_study_that_waited_with_it_is_judged_again_without_it(
    road: Road, tmp_path: Path
) -> None:
    come(road)
    road.work()
    come(road, "stays")
    (waiting,) = (each for each in road.jobs() if each.state is JobState.QUEUED)
    with_it = {**waiting.inputs, "earlier": [str(ds.SOPInstanceUID) for ds in images()]}
    with road.database.write() as connection:
        of_it = job.update().where(job.c.id == waiting.id)
        connection.execute(of_it.values(inputs=with_it, key="f" * 64))
    said = Operator(tmp_path, road.config).must("studies", "delete", UID, "--yes")
    assert f"jobs {waiting.id} have no result yet: they are stopped" in said
    road.intake.settle_quiet(now=road.database.now())
    assert road.work() == 1
    before, after = road.jobs()
    assert (before.state, after.state) == (JobState.CANCELLED, JobState.READY)
    assert "earlier" not in after.inputs


def test_what_cannot_be_on_record_is_not_done(road: Road, tmp_path: Path) -> None:
    operator = Operator(tmp_path, road.config)
    come(road)
    operator.must("studies", "hold", UID, "--why", "asked for")
    broken = road.spool.root / "audit" / HEAD
    broken.unlink()
    broken.mkdir()  # where a file should be
    for verb in (["hold", UID, "--why", "another"], ["release", UID]):
        status, said = operator.ask("studies", *verb)
        assert (status, "nothing was done" in said) == (1, True)
    assert operator.data("studies", "show", UID)["held_why"] == "asked for"
    broken.rmdir()
    operator.must("studies", "release", UID)
    broken.unlink()
    broken.mkdir()
    status, said = operator.ask("studies", "delete", UID, "--yes")
    assert (status, "nothing was done" in said) == (1, True)
    assert len(list(road.spool.instance_files())) == 6


def test_a_deletion_whose_end_cannot_be_on_record_is_said_to_be_done(
    road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was on record before it began."""
    operator = Operator(tmp_path, road.config)
    come(road)
    head = road.spool.root / "audit" / HEAD

    def and_break(*_: object, **__: object) -> int:
        head.unlink()
        head.mkdir()
        return 6

    monkeypatch.setattr("dicom_ai_node.erasure.erase.erase", and_break)
    assert f"{UID} is deleted." in operator.must("studies", "delete", UID, "--yes")


def killed(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deletion that was committed, and removed nothing."""
    with monkeypatch.context() as patched:
        patched.setattr(taken_out, "_remove", lambda *_: 0)
        patched.setattr(Path, "unlink", lambda *_, **__: None)
        erase(road.spool, road.database, UID)


@pytest.mark.parametrize("by", ["the timed work", "the next deletion"])
def test_a_deletion_that_was_killed_is_finished_while_the_node_runs(
    road: Road, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    filled(road)
    killed(road, monkeypatch)
    if by == "the timed work":
        ticks = schedule._start_slow(
            road.config, road.spool, road.database, (), schedule._Threads()
        )
        try:
            ticks.get_job("taken_out").func()
        finally:
            ticks.shutdown()
    else:
        erase(road.spool, road.database, OTHER)
    after = everything(road)
    assert [uid for uid in uids() if uid in after] == []


def test_what_was_acknowledged_and_had_no_row_goes_with_its_study(road: Road) -> None:
    """A deletion while the receiver is down; what comes after it is a new study."""
    come(road)
    late, later = images()[0].copy(), images()[1].copy()
    for ds in (late, later):
        ds.SOPInstanceUID += ".9"
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        assert store(road.spool, road.database, ds) == Answer(Status.SUCCESS)
    with road.database.write() as connection:
        connection.execute(instance.delete().where(instance.c.sop_instance_uid.endswith(".9")))
        connection.execute(study.update().values(association_ended_at=LONG_AGO))
    named = {describe(path).sop_instance_uid: path for path in road.spool.instance_files()}
    erase(road.spool, road.database, UID)
    after = road.database.now() + 1
    os.utime(named[str(later.SOPInstanceUID)], (after, after))
    assert rescan(road.spool, road.database).adopted == 1
    assert [path.name for path in road.spool.instance_files()] == [
        named[str(later.SOPInstanceUID)].name
    ]


def test_what_was_set_aside_of_a_purged_study_stays_where_its_deletion_was_not_committed(
    road: Road,
) -> None:
    filled(road)
    erase(road.spool, road.database, OTHER)
    (aside,) = (path.name for path in road.spool.conflict.glob("??/*"))
    for digest in (digest_of(UID), digest_of(OTHER)):
        later = road.database.now() + 1  # than an earlier deletion of the same
        taken_out.note(road.spool, (), conflict=[aside], of_study=(digest, later))
        taken_out.finish(road.spool, road.database)
        assert road.spool.conflict_path(aside).is_file()


def asks_for(connection: Connection, uid: str, state: str) -> None:
    connection.execute(
        insert(commitment).values(
            transaction_uid="1.2",
            calling_ae_title="PACS",
            called_ae_title="AI_NODE",
            references=[["1.2.840.10008.5.1.4.1.1.2", uid]],
            state=state,
            tries=1,
            next_try_at=0,
            created_at=LONG_AGO,
        )
    )


def test_requests_for_commitment_are_read_before_others_have_to_wait(road: Road) -> None:
    """In the transaction, none but those that came meanwhile."""
    come(road)
    come(road, "stays")
    uid, other = images()[0].SOPInstanceUID, images("stays")[0].SOPInstanceUID
    with road.database.write() as connection:
        for each in (uid, other):
            asks_for(connection, each, "reported")
        asks_for(connection, uid, "pending")
    with road.database.read() as connection:
        row = studies.find(connection, UID)
        assert row is not None
        mentioned = erasure.mentions(connection, row)
    assert (mentioned.commitments, mentioned.up_to) == ((1, 3), 3)
    with road.database.write() as connection:
        asks_for(connection, uid, "reported")
        asks_for(connection, other, "reported")
        unread = replace(mentioned, commitments=())
        with connection.begin_nested() as undone:
            erasure.erase(connection, row, mentioned=unread, now=LONG_AGO)
            assert left(connection) == [1, 2, 3, 5]
            undone.rollback()
        grown = replace(unread, named=frozenset())
        with connection.begin_nested() as undone:
            erasure.erase(connection, row, mentioned=grown, now=LONG_AGO)
            assert left(connection) == [2, 3, 5]
            undone.rollback()
        erasure.erase(connection, row, mentioned=mentioned, now=LONG_AGO)
        assert left(connection) == [2, 3, 5]


def left(connection: Connection) -> list[int]:
    return list(connection.execute(select(commitment.c.id).order_by(commitment.c.id)).scalars())


def test_a_database_that_is_made_anew_knows_what_is_held_and_what_was_deleted(
    road: Road, tmp_path: Path
) -> None:
    operator = Operator(tmp_path, road.config)
    for name in ("erased", "stays", "released"):
        for ds in images(name):
            assert store(road.spool, road.database, ds) == Answer(Status.SUCCESS)
    with road.database.write() as connection:
        connection.execute(study.update().values(association_ended_at=LONG_AGO))
    released = str(images("released")[0].StudyInstanceUID)
    for uid in (OTHER, released, UID):
        operator.must("studies", "hold", uid, "--why", "asked for by the court")
    for uid in (released, UID):
        operator.must("studies", "release", uid)
    operator.must("studies", "delete", UID, "--yes")
    files = [path for path in (road.spool.root / "decisions").rglob("*") if path.is_file()]
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    road.database.close()
    road.database.path.unlink()
    operator.must("db", "rebuild")
    with road.database.read() as connection:
        assert is_erased(connection, UID)
        assert not is_erased(connection, OTHER)
    assert operator.data("studies", "show", OTHER)["held_why"] == "asked for by the court"
    assert operator.data("studies", "show", released)["held_why"] is None
    assert [path for path in files if path.is_file() and UID in path.read_text()] == []


def test_holds_of_an_older_version_are_written_down_and_a_damaged_note_stops_nothing(
    road: Road, tmp_path: Path
) -> None:
    come(road)
    come(road, "stays")
    with road.database.write() as connection:
        for uid in (UID, OTHER):
            assert holds.hold(connection, uid, by="a", why="b", now=LONG_AGO)
        erased.mark(connection, "1.2.3", ["f" * 64], now=LONG_AGO)
    rescan(road.spool, road.database)
    noted = sorted((road.spool.root / "decisions" / "holds").iterdir())
    assert len(noted) == 2
    spoilt = json.loads(noted[0].read_bytes())["study"]
    noted[0].write_bytes(b"{}")
    with road.database.write() as connection:
        connection.execute(study.update().values(held_at=None, held_by=None, held_why=None))
        connection.execute(text("DELETE FROM erased"))
    rescan(road.spool, road.database)
    with road.database.read() as connection:
        (row,) = holds.every(connection)
        assert erased.every(connection) == {digest_of("1.2.3"): LONG_AGO, "f" * 64: LONG_AGO}
    assert row["study_instance_uid"] != spoilt
    assert (row["held_at"], row["held_by"], row["held_why"]) == (LONG_AGO, "a", "b")
    rescan(road.spool, road.database)  # nothing is written twice
    assert len(list((road.spool.root / "decisions" / "deletions").iterdir())) == 1


def test_a_study_that_was_missed_is_not_deleted_while_it_is_fetched(road: Road) -> None:
    come(road)
    now = road.database.now()
    with road.database.write() as connection:
        missed.want(connection, peer="pacs", study_instance_uid=UID, there=6, at=now, now=now)
        connection.execute(fetch.update().values(state=FetchState.MOVING, started_at=now))
    with pytest.raises(NodeError, match="try again in a minute"):
        erase(road.spool, road.database, UID)
    with road.database.write() as connection:
        connection.execute(fetch.update().values(state=FetchState.PENDING))
    assert erase(road.spool, road.database, UID) == 6
