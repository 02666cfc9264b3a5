"""Priors: asked for, fetched, recognised when they come, and never waited for too long."""

import dataclasses
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from sqlalchemy import RowMapping
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import fetches, jobs, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.fetched import STRAGGLERS_S
from dicom_ai_node.database.fetches import Fetch, FetchState
from dicom_ai_node.errors import InputError
from dicom_ai_node.intake.fetcher import MAX_TRIES, Fetcher
from dicom_ai_node.intake.intake import Intake
from dicom_ai_node.intake.priors import (
    AT_MOST,
    FETCHED,
    examined,
    priors_of,
    settle_fetched,
    still_awaited,
    worth_fetching,
)
from dicom_ai_node.job import JobState
from dicom_ai_node.peers.find import PriorStudy
from dicom_ai_node.purge import purge_expired
from dicom_ai_node.receive.imported import from_folder
from dicom_ai_node.receive.importing import Importer
from dicom_ai_node.receive.part10_file import files_below
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import Instance, StudyState
from tests.dicom_factory import write
from tests.made import arrive, bright
from tests.peers.archive import Archive, study, uids
from tests.receive.scu import association

DAYS = 3650
PRIORS_S = 120


@pytest.fixture
def archive(receiver: int) -> Iterator[Archive]:
    """A PACS with a main study of today and two earlier ones; it sends to the node's own port."""
    made = study("main", date="20260102")
    made += study("old", date="20240301", number=3) + study("older", date="20200101")
    with Archive(instances=made, node_port=receiver).running() as running:
        yield running


@pytest.fixture
def fetcher(archive: Archive, spool: Spool, database: Database) -> Fetcher:
    return Fetcher(
        name="pacs",
        settings=archive.settings,
        ae_title="AI_NODE",
        spool=spool,
        database=database,
        jitter=random.Random(1),  # noqa: S311
    )


@pytest.fixture
def intake(config: Config, spool: Spool, database: Database, tmp_path: Path) -> Intake:
    return Intake(
        config=config, models={"bright": bright(tmp_path)}, spool=spool, database=database
    )


def row_of(database: Database, name: str) -> RowMapping:
    with database.read() as connection:
        row = studies.find(connection, study(name, date="")[0].StudyInstanceUID)
    assert row is not None, name
    return row


def state_of(database: Database, name: str) -> str:
    return str(row_of(database, name)["state"])


def send(port: int, made: Sequence[Dataset]) -> None:
    with association(port) as assoc:
        assert {assoc.send_c_store(ds).Status for ds in made} == {0x0000}


def ask(database: Database, name: str = "main", peer: str = "pacs") -> int:
    """The question of a route, as intake puts it; the id of the study that waits."""
    study_id = int(row_of(database, name)["id"])
    with database.write() as connection:
        fetches.ask(connection, study_id, peer=peer, within_days=DAYS, now=database.now())
    return study_id


def asked_for(database: Database, study_id: int) -> list[Fetch]:
    with database.read() as connection:
        return list(fetches.of_study(connection, study_id))


def run_all(fetcher: Fetcher) -> None:
    while fetcher.fetch_due(now=fetcher.database.now()):
        pass


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def settle(database: Database, *, after_s: float = 0.0) -> int:
    return settle_fetched(database, quiet_s=60, now=database.now() + after_s)


def test_the_whole_way_of_a_study_with_priors(
    fetcher: Fetcher, archive: Archive, receiver: int, intake: Intake, spool: Spool
) -> None:
    """It comes, its priors are found and fetched, they start nothing, and it goes on with them."""
    database = fetcher.database
    send(receiver, archive.instances[:2])
    study_id = ask(database)
    stop = threading.Event()
    thread = threading.Thread(target=fetcher.run, args=(stop,))
    thread.start()

    def tick() -> bool:
        """What the timed work does: priors first, then the study that waits."""
        now = database.now()
        settle_fetched(database, quiet_s=60, now=now)
        return not still_awaited(database, study_id, priors_s=PRIORS_S, now=now)

    until(tick)
    stop.set()
    thread.join()
    question, old, older = asked_for(database, study_id)
    assert (question.state, question.reason) == ("moved", "2 earlier studies, 2 of them wanted")
    assert [(each.state, each.instances) for each in (old, older)] == [("moved", 3), ("moved", 2)]
    assert [state_of(database, name) for name in ("main", "old", "older")] == [
        StudyState.RECEIVING,
        StudyState.PRIOR,
        StudyState.PRIOR,
    ]
    assert row_of(database, "old")["reason"] == FETCHED
    with database.read() as connection:
        priors = priors_of(connection, spool, row_of(database, "main"), within_days=DAYS)
    assert [each.study_date for each in priors] == [date(2024, 3, 1), date(2020, 1, 1)]
    assert {each.sop_instance_uid for each in priors[0].instances} == uids(archive.instances[2:5])
    intake.settle_quiet(now=database.now() + 61)
    with database.read() as connection:
        (job,) = jobs.listing(connection)
    assert job.study_id == study_id
    assert [state_of(database, name) for name in ("main", "old")] == ["routed", "prior"]


def test_what_is_here_already_is_not_fetched_again(
    fetcher: Fetcher, archive: Archive, receiver: int
) -> None:
    database = fetcher.database
    send(receiver, archive.instances[:5])  # main and old
    study_id = ask(database)
    run_all(fetcher)
    assert archive.moved == [archive.instances[5].StudyInstanceUID]
    _, old, _ = asked_for(database, study_id)
    assert (old.state, old.reason) == (FetchState.MOVED, "it was here already")
    with database.read() as connection:
        waits = fetches.waiting_for(connection, study_id)
    assert old.id in [each.id for each in waits], "it is not settled yet"


def test_a_question_is_asked_once(fetcher: Fetcher, archive: Archive, receiver: int) -> None:
    send(receiver, archive.instances[:2])
    study_id = ask(fetcher.database)
    ask(fetcher.database)
    run_all(fetcher)
    ask(fetcher.database)
    run_all(fetcher)
    assert len(archive.asked) == 1
    assert len(asked_for(fetcher.database, study_id)) == 3


def test_a_study_that_was_routed_and_is_fetched_stays_routed(
    fetcher: Fetcher, archive: Archive, receiver: int, intake: Intake
) -> None:
    """Here is one instance less than there: all is fetched, what was sent before still counts."""
    database = fetcher.database
    send(receiver, archive.instances[:4])
    intake.settle_quiet(now=database.now() + 61)
    assert state_of(database, "old") == StudyState.ROUTED
    ask(database)
    run_all(fetcher)
    until(lambda: state_of(database, "old") == StudyState.RECEIVING)
    assert settle(database, after_s=61) == 1  # the older one
    assert state_of(database, "old") == StudyState.RECEIVING
    intake.settle_quiet(now=database.now() + 200)
    assert state_of(database, "old") == StudyState.ROUTED


@pytest.mark.fault("D6")
def test_a_routed_study_that_comes_again_by_a_fetch_changes_nothing(
    fetcher: Fetcher, archive: Archive, receiver: int, intake: Intake
) -> None:
    archive.counts = False  # so that nobody knows that it is here already
    database = fetcher.database
    send(receiver, archive.instances[:5])
    intake.settle_quiet(now=database.now() + 61)
    with database.read() as connection:
        before = list(jobs.listing(connection))
    ask(database)
    run_all(fetcher)
    assert archive.instances[2].StudyInstanceUID in archive.moved
    settle(database, after_s=300)
    with database.read() as connection:
        assert list(jobs.listing(connection)) == before
    assert state_of(database, "old") == StudyState.ROUTED


def test_a_prior_that_somebody_sends_later_is_judged_after_all(
    fetcher: Fetcher, archive: Archive, receiver: int, intake: Intake
) -> None:
    """They are duplicates; but nobody had asked for a result of them before."""
    database = fetcher.database
    send(receiver, archive.instances[:2])
    study_id = ask(database)
    run_all(fetcher)
    settle(database, after_s=61)
    assert state_of(database, "old") == StudyState.PRIOR
    send(receiver, archive.instances[2:5])
    assert state_of(database, "old") == StudyState.PRIOR, "it may still be the fetch"
    with database.write() as connection:  # as though it were long ago
        connection.exec_driver_sql(
            "UPDATE fetch SET started_at = started_at - 500, finished_at = finished_at - 500"
        )
        connection.exec_driver_sql("UPDATE instance SET received_at = received_at - 500")
    send(receiver, archive.instances[2:5])
    assert state_of(database, "old") == StudyState.RECEIVING
    assert settle(database, after_s=61) == 0
    intake.settle_quiet(now=database.now() + 61)
    assert state_of(database, "old") == StudyState.ROUTED
    assert study_id != row_of(database, "old")["id"]


def test_a_prior_that_somebody_imports_later_is_judged_after_all(
    database: Database, spool: Spool, config: Config, tmp_path: Path
) -> None:
    due = begun(database, spool, at=NOW)
    old = study("old", date="20240301")
    arrive(spool, database, old, now=NOW + 1)
    with database.write() as connection:
        fetches.record(connection, due, FetchState.MOVED, reason=None, instances=2, now=NOW + 2)
    settle_fetched(database, quiet_s=60, now=NOW + 3)
    write(old, tmp_path / "cd")
    importer = Importer(config, spool, database, calling_ae_title="CD", said=from_folder(Path()))
    outcomes = importer.run(files_below(tmp_path / "cd"), threading.Event())
    assert [each.fate for each in outcomes] == ["known", "known"]
    row = row_of(database, "old")
    assert (row["state"], row["calling_ae_title"]) == (StudyState.RECEIVING, "CD")


def test_a_study_that_is_sent_while_it_only_waits_to_be_fetched_is_no_prior(
    database: Database, spool: Spool
) -> None:
    arrive(spool, database, study("main", date="20260102"), now=database.now())
    study_id = ask(database)
    (question,) = asked_for(database, study_id)
    old = study("old", date="20240301")
    with database.write() as connection:
        fetches.want(
            connection, question, old[0].StudyInstanceUID, is_here=False, now=database.now()
        )
    arrive(spool, database, old, now=database.now())
    assert settle(database, after_s=61) == 0
    assert state_of(database, "old") == StudyState.RECEIVING


def begun(database: Database, spool: Spool, *, at: float) -> Fetch:
    """A prior that is being moved since then, for a main study; nothing of it is here yet."""
    arrive(spool, database, study("main", date="20260102"), now=at)
    study_id = int(row_of(database, "main")["id"])
    with database.write() as connection:
        fetches.ask(connection, study_id, peer="pacs", within_days=DAYS, now=at)
        (question,) = fetches.of_study(connection, study_id)
        uid = study("old", date="")[0].StudyInstanceUID
        assert fetches.begin(connection, question, now=at)
        fetches.want(connection, question, uid, is_here=False, now=at)
        fetches.record(connection, question, FetchState.MOVED, reason=None, now=at)
        due = fetches.next_due(connection, "pacs", now=at)
        assert due is not None
        assert fetches.begin(connection, due, now=at)
    return due


NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("last_came", "is_prior"),
    [(NOW + 5, True), (NOW + 9 + STRAGGLERS_S, True), (NOW + 11 + STRAGGLERS_S, False)],
)
def test_what_comes_long_after_a_fetch_was_sent_by_somebody(
    database: Database, spool: Spool, last_came: float, is_prior: bool
) -> None:
    due = begun(database, spool, at=NOW)
    first, *others = study("old", date="20240301", number=3)
    arrive(spool, database, [first], now=NOW + 1)
    with database.write() as connection:
        fetches.record(connection, due, FetchState.MOVED, reason=None, instances=3, now=NOW + 10)
    assert settle_fetched(database, quiet_s=60, now=NOW + 11) == 0, "two are missing"
    arrive(spool, database, others, now=last_came)
    assert settle_fetched(database, quiet_s=60, now=last_came + 0.1) == is_prior


def test_what_a_failed_fetch_left_starts_no_job_either(database: Database, spool: Spool) -> None:
    due = begun(database, spool, at=NOW)
    arrive(spool, database, study("old", date="20240301")[:1], now=NOW + 1)
    with database.write() as connection:
        fetches.record(connection, due, FetchState.FAILED, reason="broken", now=NOW + 2)
    assert settle_fetched(database, quiet_s=60, now=NOW + 60) == 0
    assert settle_fetched(database, quiet_s=60, now=NOW + 62) == 1
    assert state_of(database, "old") == StudyState.PRIOR


def test_a_study_waits_until_its_priors_are_settled(database: Database, spool: Spool) -> None:
    due = begun(database, spool, at=NOW)
    study_id = due.for_study_id
    assert study_id is not None

    def waits(now: float) -> int:
        return len(still_awaited(database, study_id, priors_s=PRIORS_S, now=now))

    assert waits(NOW + 1) == 1
    arrive(spool, database, study("old", date="20240301"), now=NOW + 2)
    with database.write() as connection:
        fetches.record(connection, due, FetchState.MOVED, reason=None, instances=2, now=NOW + 3)
    assert waits(NOW + 3) == 1
    settle_fetched(database, quiet_s=60, now=NOW + 3)
    assert waits(NOW + 3) == 0


def test_after_its_deadline_a_study_goes_on_without(database: Database, spool: Spool) -> None:
    """What waits for a next try is given up, and says why; what is on its way may still come."""
    due = begun(database, spool, at=NOW)
    study_id = due.for_study_id
    assert study_id is not None
    with database.write() as connection:
        question = fetches.of_study(connection, study_id)[0]
        fetches.want(connection, question, "1.2.3", is_here=False, now=NOW)
    assert len(still_awaited(database, study_id, priors_s=PRIORS_S, now=NOW + 119)) == 2
    assert still_awaited(database, study_id, priors_s=PRIORS_S, now=NOW + 120) == ()
    _, moving, waiting = asked_for(database, study_id)
    assert (moving.state, waiting.state) == (FetchState.MOVING, FetchState.FAILED)
    assert waiting.reason == "not here within 120 s: the study went on without it"


def test_a_peer_that_is_down_is_tried_again_and_then_given_up(
    fetcher: Fetcher, receiver: int, archive: Archive
) -> None:
    send(receiver, archive.instances[:2])
    study_id = ask(fetcher.database)
    nobody = dataclasses.replace(fetcher, settings=fetcher.settings.model_copy(update={"port": 1}))
    now = fetcher.database.now()
    for tries in range(1, MAX_TRIES + 1):
        assert nobody.fetch_due(now=now)
        assert tries > 1 or not nobody.fetch_due(now=now), "not at once"
        (question,) = asked_for(fetcher.database, study_id)
        assert question.tries == tries
        now += 31
    assert question.state is FetchState.FAILED
    assert question.reason is not None
    assert question.reason.startswith("given up after 5 tries: PACS at 127.0.0.1:1 does not answer")
    assert not nobody.fetch_due(now=now + 1000)


def test_a_peer_that_is_busy_once_gives_the_study_later(
    fetcher: Fetcher, receiver: int, archive: Archive
) -> None:
    send(receiver, archive.instances[:2])
    study_id = ask(fetcher.database)
    archive.statuses = [0xA702]
    now = fetcher.database.now() + 1
    while fetcher.fetch_due(now=now):
        pass
    old = asked_for(fetcher.database, study_id)[1]
    assert (old.state, old.tries) == (FetchState.PENDING, 1)
    while fetcher.fetch_due(now=now + 10):
        pass
    old = asked_for(fetcher.database, study_id)[1]
    assert (old.state, old.tries, old.instances) == (FetchState.MOVED, 2, 3)


def test_a_peer_that_does_not_know_this_node_is_asked_once(
    fetcher: Fetcher, receiver: int, archive: Archive
) -> None:
    send(receiver, archive.instances[:2])
    study_id = ask(fetcher.database)
    archive.node_port = 0
    run_all(fetcher)
    old = asked_for(fetcher.database, study_id)[1]
    assert (old.state, old.tries) == (FetchState.FAILED, 1)
    assert old.reason is not None
    assert "enter this node's AE title" in old.reason


def test_a_person_sees_what_was_asked_for(database: Database, spool: Spool, tmp_path: Path) -> None:
    begun(database, spool, at=NOW)
    config = {
        "node": {"ae_title": "AI_NODE", "spool": str(spool.root), "database": str(database.url)}
    }
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "node.yaml").write_text(json.dumps(config))
    uid = study("main", date="")[0].StudyInstanceUID
    words = ["studies", "show", uid, "--config", str(tmp_path / "config")]
    shown = " ".join(CliRunner().invoke(app, words).stdout.split())
    assert "asked pacs for which priors there are: moved" in shown
    assert f"asked pacs for prior {study('old', date='')[0].StudyInstanceUID}: moving" in shown
    rows = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)["fetches"]
    assert [each["state"] for each in rows] == ["moved", "moving"]


def test_a_study_without_an_id_has_no_priors(fetcher: Fetcher, receiver: int) -> None:
    made = study("main", date="20260102", patient_id="")
    send(receiver, made)
    study_id = ask(fetcher.database)
    run_all(fetcher)
    (question,) = asked_for(fetcher.database, study_id)
    assert question.state is FetchState.FAILED
    assert question.reason is not None
    assert "PatientID" in question.reason


def test_a_clock_that_is_set_back_puts_off_no_prior(fetcher: Fetcher, receiver: int) -> None:
    send(receiver, study("main", date="20260102"))
    ask(fetcher.database)
    now = fetcher.database.now()
    assert not fetcher.fetch_due(now=now - 20), "within the pauses there are"
    assert fetcher.fetch_due(now=now - 86_400)


def test_what_a_killed_process_was_fetching_is_fetched_again(
    database: Database, spool: Spool
) -> None:
    due = begun(database, spool, at=NOW)
    with database.write() as connection:
        assert fetches.next_due(connection, "pacs", now=NOW + 99) is None
        fetches.resume(connection, ["pacs"], now=NOW + 5)
        again = fetches.next_due(connection, "pacs", now=NOW + 5)
        assert again is not None
        assert (again.id, again.tries) == (due.id, 1)
        fetches.resume(connection, ["another"], now=NOW + 6)
    failed = asked_for(database, due.for_study_id or 0)[1]
    assert (failed.state, failed.reason) == (
        FetchState.FAILED,
        "the configuration has no such peer any more",
    )


def test_priors_are_of_the_same_patient_and_of_earlier_days(
    database: Database, spool: Spool, intake: Intake
) -> None:
    for name, day, who in (
        ("main", "20260102", {}),
        ("old", "20250101", {}),
        ("too old", "20100101", {}),
        ("same day", "20260102", {}),
        ("later", "20260103", {}),
        ("other ID", "20250102", {"patient_id": "PHANTOM-2"}),
        ("other name", "20250103", {"patient_name": "Phantom^Right"}),
    ):
        arrive(spool, database, study(name, date=day, **who), now=NOW)
    main = row_of(database, "main")

    def found() -> list[str]:
        with database.read() as connection:
            priors = priors_of(connection, spool, main, within_days=DAYS)
        return [each.study_instance_uid for each in priors]

    assert found() == [], "none is settled"
    intake.settle_quiet(now=NOW + 61)
    old = row_of(database, "old")
    assert found() == [old["study_instance_uid"]]
    with database.write() as connection:
        studies.purge(connection, old["id"])
    assert found() == []


def test_two_patients_without_an_id_are_not_one(
    database: Database, spool: Spool, intake: Intake
) -> None:
    for name, day in (("main", "20260102"), ("old", "20250101")):
        made = study(name, date=day, patient_id="", patient_name="")
        arrive(spool, database, made, now=NOW)
    intake.settle_quiet(now=NOW + 61)
    with database.read() as connection:
        assert priors_of(connection, spool, row_of(database, "main"), within_days=DAYS) == []


def test_a_prior_is_kept_while_a_job_may_need_it(
    database: Database, spool: Spool, intake: Intake, config: Config
) -> None:
    due = begun(database, spool, at=NOW)
    arrive(spool, database, study("old", date="20240301"), now=NOW + 1)
    with database.write() as connection:
        fetches.record(connection, due, FetchState.MOVED, reason=None, instances=2, now=NOW + 2)
    settle_fetched(database, quiet_s=60, now=NOW + 3)
    intake.settle_quiet(now=NOW + 200)
    late = NOW + 15 * 86_400
    assert purge_expired(config, spool, database, now=late) == 0
    with database.write() as connection:
        (job,) = jobs.listing(connection)
        jobs.move(connection, job, JobState.CANCELLED, now=late, why="test")
    assert purge_expired(config, spool, database, now=late) == 2
    assert state_of(database, "old") == StudyState.PURGED


def prior(number: int, *modalities: str) -> PriorStudy:
    return PriorStudy(
        study_instance_uid=f"1.2.{number}",
        study_date=date(2020, 1, number),
        modalities=frozenset(modalities),
        instances=1,
    )


def test_the_newest_of_the_same_modality_are_worth_fetching() -> None:
    found = [prior(9, "CR"), prior(8, "CT", "SR"), prior(7, "SR"), prior(6), prior(5, "CT")]
    wanted = worth_fetching([*found, prior(4, "CT")], frozenset({"CT", "SR"}))
    assert [each.study_date.day for each in wanted] == [8, 6, 5]
    assert len(wanted) == AT_MOST


def instances_of(spool: Spool, database: Database, name: str) -> Sequence[Instance]:
    with database.read() as connection:
        return studies.instances(connection, spool, row_of(database, name)["id"])


def test_a_study_over_midnight_is_of_its_first_day(database: Database, spool: Spool) -> None:
    first = study("one", date="20260102", study="main")
    second = study("two", date="20260103", study="main")
    arrive(spool, database, first + second, now=NOW)
    found = examined(instances_of(spool, database, "main"))
    assert found.study_date == date(2026, 1, 2)
    assert (found.patient_id, found.issuer) == ("PHANTOM-1", "Phantom Hospital")


@pytest.mark.parametrize("day", ["", "20261341"])
def test_a_study_without_a_date_has_nothing_before_it(
    database: Database, spool: Spool, day: str
) -> None:
    arrive(spool, database, study("main", date=day), now=NOW)
    with pytest.raises(InputError, match="no StudyDate"):
        examined(instances_of(spool, database, "main"))
