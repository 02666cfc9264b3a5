"""The node looks at a study when something of it changes, and closes it when it is proven."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from sqlalchemy import RowMapping, event, insert

from dicom_ai_node.config.settings import Config, StudySettings
from dicom_ai_node.database import expectations, open_studies, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.tables import study
from dicom_ai_node.intake import watch
from dicom_ai_node.intake.completion import Decision, OpenStudy
from dicom_ai_node.intake.headers import Headers
from dicom_ai_node.intake.intake import Intake
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import Source, StudyState
from tests.dicom_factory import series, write
from tests.made import arrive, bright, configuration, stored
from tests.peers.finder import Finder

NOW = 1_700_000_000.0
QUIET = NOW + 60.1  # instances of one instant have times of their own
HERE = series(shape=(4, 8, 8))
STUDY, SERIES = HERE[0].StudyInstanceUID, HERE[0].SeriesInstanceUID


@pytest.fixture
def finder() -> Iterator[Finder]:
    with Finder({SERIES: ("CT", 4)}).running() as running:
        yield running
    # pynetdicom leaves the socket of a connection that failed to the garbage collector: let that
    # come while its warning is expected
    until(lambda: not any(each.name == "ask pacs" for each in threading.enumerate()))
    gc.collect()


@pytest.fixture
def config(tmp_path: Path, finder: Finder, request: pytest.FixtureRequest) -> Config:
    """PACS is asked, under the name `pacs`; parametrise it with more of its `complete`."""
    more = getattr(request, "param", {})
    entry = {"ae_title": "PACS", "from": ["127.0.0.1/32"], "complete": {"ask": "pacs", **more}}
    archive = {"kind": "folder", "path": tmp_path / "results"}
    peers = {"archive": archive, "pacs": finder.peer}
    return configuration(tmp_path, accept=[entry], peers=peers)


@pytest.fixture
def intake(config: Config, spool: Spool, database: Database, tmp_path: Path) -> Intake:
    return Intake(
        config=config, models={"bright": bright(tmp_path)}, spool=spool, database=database
    )


def come(intake: Intake, number: int = 4, *, now: float = NOW, **what: Any) -> None:
    arrive(intake.spool, intake.database, series(shape=(number, 8, 8), **what), now=now)


def counted(images: int, *, of: int, **what: Any) -> list[Dataset]:
    """A series whose instances say that their acquisition has `of` images."""
    made = series(shape=(images, 8, 8), **what)
    for ds in made:
        ds.ImagesInAcquisition = of
    return made


def end_association(intake: Intake, *, at: float = NOW) -> None:
    with intake.database.write() as connection:
        open_studies.association_ended(connection, STUDY, at=at)


def the_study(intake: Intake) -> RowMapping:
    with intake.database.read() as connection:
        row = studies.find(connection, STUDY)
    assert row is not None
    return row


def failed_clauses(intake: Intake) -> list[str]:
    with intake.database.read() as connection:
        rows = studies.verdicts(connection, the_study(intake)["id"])
    return [clause for row in rows for clause in row["failed_clauses"]]


def until(test: Callable[[], Any]) -> Any:
    """Wait for a condition."""
    deadline = time.monotonic() + 20
    while not (found := test()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def answers(intake: Intake, *, final: bool) -> bool:
    """Whether the PACS has answered, and how."""
    with intake.database.read() as connection:
        found = expectations.of_study(connection, STUDY)
    return [each.is_final for each in found if each.source is Source.PACS] == [final] * 2


@pytest.mark.parametrize("config", [{"final": True}], indirect=True)
def test_one_answer_of_a_pacs_that_has_stopped_receiving_closes(
    intake: Intake, finder: Finder
) -> None:
    come(intake)
    assert intake.settle_quiet(now=NOW) == 0  # the association may bring more
    assert finder.asked == []
    end_association(intake)
    assert intake.settle_quiet(now=NOW) == 0
    until(lambda: answers(intake, final=True))
    assert intake.settle_quiet(now=NOW) == 1
    row = the_study(intake)
    assert (row["state"], row["revision"]) == (StudyState.ROUTED, 1)
    assert row["evidence"] == "all 4 images of 1 series are here, as pacs counts them"
    assert finder.asked == [("SERIES", STUDY)]


def test_a_pacs_that_may_still_receive_is_asked_twice(
    intake: Intake, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [NOW]
    monkeypatch.setattr(Database, "now", lambda _: clock[0])
    come(intake)
    end_association(intake)
    intake.settle_quiet(now=NOW)
    until(lambda: answers(intake, final=False))
    assert intake.settle_quiet(now=NOW + 9) == 0
    assert len(finder.asked) == 1
    clock[0] = NOW + 10
    assert intake.settle_quiet(now=NOW + 10) == 0
    until(lambda: answers(intake, final=True))
    assert intake.settle_quiet(now=NOW + 10) == 1
    assert len(finder.asked) == 2


def test_nothing_is_asked_in_a_loop(
    intake: Intake, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for each end of an association, however often the tick comes, while images lack."""
    monkeypatch.setattr(Database, "now", lambda _: NOW)
    finder.series = {SERIES: ("CT", 6)}
    come(intake)
    end_association(intake)
    intake.settle_quiet(now=NOW)
    until(lambda: answers(intake, final=False))
    for second in range(1, 59):
        assert intake.settle_quiet(now=NOW + second) == 0
    assert len(finder.asked) == 1
    come(intake, 5, now=NOW + 59)
    intake.settle_quiet(now=NOW + 59)
    end_association(intake, at=NOW + 59)
    intake.settle_quiet(now=NOW + 59)
    until(lambda: len(finder.asked) == 2)


@pytest.mark.parametrize("config", [{"final": True}], indirect=True)
def test_a_peer_with_an_association_for_each_image_makes_no_loop_either(
    intake: Intake, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the last answer has more than came, the next question waits; the last image closes."""
    monkeypatch.setattr(Database, "now", lambda _: NOW)
    for index, ds in enumerate(HERE):
        arrive(intake.spool, intake.database, [ds], now=NOW + index)
        end_association(intake, at=NOW + index)
        assert intake.settle_quiet(now=NOW + index) == (1 if index == 3 else 0)
        until(lambda: answers(intake, final=True))
    assert the_study(intake)["state"] == StudyState.ROUTED
    assert len(finder.asked) == 1


def test_a_pacs_that_has_more_makes_the_study_wait_and_says_what(
    intake: Intake, finder: Finder
) -> None:
    finder.series = {SERIES: ("CT", 6)}
    come(intake)
    end_association(intake)
    intake.settle_quiet(now=NOW)
    until(lambda: answers(intake, final=False))
    assert intake.settle_quiet(now=NOW + 59) == 0
    assert the_study(intake)["state"] == StudyState.RECEIVING
    assert intake.settle_quiet(now=QUIET) == 0
    row = the_study(intake)
    assert row["state"] == StudyState.INCOMPLETE
    assert row["reason"] == f"series {SERIES}: 4 of 6 images came, by pacs"
    assert intake.settle_quiet(now=NOW + 599) == 0
    assert intake.settle_quiet(now=NOW + 600.1) == 1
    assert the_study(intake)["state"] == StudyState.REFUSED
    assert failed_clauses(intake) == ["4 of 6 images came, by pacs"]


def test_a_pacs_that_hangs_delays_neither_the_tick_nor_other_studies(
    intake: Intake, finder: Finder
) -> None:
    finder.answering.clear()
    come(intake)
    end_association(intake)
    began = time.monotonic()
    assert intake.settle_quiet(now=NOW) == 0
    until(lambda: finder.asked)
    come(intake, name="other")
    assert intake.settle_quiet(now=QUIET) == 2
    assert time.monotonic() - began < finder.settings.timeout_s
    assert the_study(intake)["evidence"] == (
        "nothing has come for 60 s; nothing proves it complete"
    )


def test_a_pacs_that_is_down_leaves_it_to_quiet_time(
    config: Config, spool: Spool, database: Database, tmp_path: Path
) -> None:
    peers = {**config.peers, "pacs": config.peers["pacs"].model_copy(update={"port": 1})}
    intake = Intake(
        config=config.model_copy(update={"peers": peers}),
        models={"bright": bright(tmp_path)},
        spool=spool,
        database=database,
    )
    come(intake)
    end_association(intake)
    assert intake.settle_quiet(now=NOW) == 0
    assert intake.settle_quiet(now=QUIET) == 1


@pytest.mark.fault("D3")
def test_a_series_that_is_short_by_its_own_count_is_refused_in_the_end(intake: Intake) -> None:
    arrive(intake.spool, intake.database, counted(4, of=6), now=NOW)
    assert intake.settle_quiet(now=QUIET) == 0
    row = the_study(intake)
    assert row["state"] == StudyState.INCOMPLETE
    assert row["reason"] == f"series {SERIES}: 4 of 6 images came, by Images in Acquisition"
    assert intake.settle_quiet(now=NOW + 600.1) == 1
    row = the_study(intake)
    assert row["state"] == StudyState.REFUSED
    assert row["evidence"].startswith("nothing has come for 600 s; series")
    assert failed_clauses(intake) == ["4 of 6 images came, by Images in Acquisition"]


@pytest.mark.fault("D3")
def test_what_was_missing_comes_and_the_study_goes_its_way(intake: Intake) -> None:
    arrive(intake.spool, intake.database, counted(4, of=6), now=NOW)
    intake.settle_quiet(now=QUIET)
    arrive(intake.spool, intake.database, counted(6, of=6)[4:], now=NOW + 300)
    assert the_study(intake)["state"] == StudyState.RECEIVING
    assert intake.settle_quiet(now=NOW + 359) == 0
    assert intake.settle_quiet(now=NOW + 360.1) == 1
    assert the_study(intake)["state"] == StudyState.ROUTED
    assert failed_clauses(intake) == []


def test_an_endless_trickle_is_closed_and_its_next_revision_has_its_own_time(
    intake: Intake, tmp_path: Path
) -> None:
    for number in range(1, 5):
        one = HERE[number - 1 : number]
        arrive(intake.spool, intake.database, one, now=NOW + 50 * number)
    first = NOW + 50
    patient = intake.config.model_copy(
        update={"study": intake.config.study.model_copy(update={"longest_s": 170})}
    )
    intake = Intake(
        config=patient,
        models={"bright": bright(tmp_path)},
        spool=intake.spool,
        database=intake.database,
    )
    assert intake.settle_quiet(now=first + 169) == 0
    assert intake.settle_quiet(now=first + 170.1) == 1
    assert the_study(intake)["evidence"].startswith("it was still coming after 170 s")
    come(intake, 5, now=NOW + 1000)
    assert intake.settle_quiet(now=NOW + 1059) == 0
    assert intake.settle_quiet(now=NOW + 1060.1) == 1
    assert the_study(intake)["revision"] == 2


@pytest.mark.parametrize("config", [{"quiet_s": 5}], indirect=True)
def test_a_sender_may_have_a_quiet_time_of_its_own(intake: Intake) -> None:
    come(intake)
    arrive(intake.spool, intake.database, series(name="x", shape=(1, 8, 8)), now=NOW, calling="CT1")
    assert intake.settle_quiet(now=NOW + 5.1) == 1
    assert the_study(intake)["state"] == StudyState.ROUTED
    assert intake.settle_quiet(now=QUIET) == 1


def test_series_that_are_proven_are_told_while_the_study_is_open(intake: Intake) -> None:
    """For routes that need not wait for the study."""
    arrive(intake.spool, intake.database, counted(4, of=4), now=NOW)
    assert intake.watch.look(now=NOW).open == []
    end_association(intake)
    (judged,) = intake.watch.look(now=NOW).open
    assert set(judged.decision.complete_series) == {SERIES}
    assert intake.watch.look(now=NOW).open == []  # nothing has changed


# what it costs


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(database._reader, "before_cursor_execute", note)
    yield seen
    event.remove(database._reader, "before_cursor_execute", note)


def test_studies_to_which_nothing_happens_cost_one_statement_in_all(
    intake: Intake, statements: list[str]
) -> None:
    with intake.database.write() as connection:
        connection.execute(insert(study), [open_row(number) for number in range(1200)])
    looks = 0
    while len(statements) != 1:
        statements.clear()
        intake.watch.look(now=NOW)
        looks += 1
    assert (looks, len(intake.watch)) == (4, 1200)


def open_row(number: int) -> dict[str, Any]:
    return {
        "study_instance_uid": f"1.2.{number}",
        "state": StudyState.RECEIVING,
        "calling_ae_title": "CT1",
        "called_ae_title": "AI_NODE",
        "patient_digest": "p",
        "first_received_at": NOW,
        "last_received_at": NOW,
        "changed": number + 1,
    }


def test_much_that_comes_at_once_is_read_in_parts(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a tick never takes long; what is not read yet is not closed."""
    monkeypatch.setattr(watch, "FILES_A_LOOK", 3)
    come(intake, 5)
    assert [intake.settle_quiet(now=QUIET) for _ in range(3)] == [0, 1, 0]
    with intake.database.read() as connection:
        (row,) = studies.verdicts(connection, the_study(intake)["id"])
    assert row["instances"] == 5


def test_a_study_that_needs_a_person_is_left_to_that_person(intake: Intake) -> None:
    come(intake)
    intake.settle_quiet(now=NOW)
    come(intake, patient_id="OTHER", name="other", study="phantom")
    assert intake.settle_quiet(now=QUIET) == 0
    assert (the_study(intake)["state"], len(intake.watch)) == (StudyState.NEEDS_REVIEW, 0)


def test_what_grew_since_it_was_looked_at_is_looked_at_again(intake: Intake) -> None:
    """Between the look and the settling, as a receiver may be just committing."""
    come(intake)
    intake.settle_quiet(now=NOW)
    look = intake.watch.look(now=QUIET)
    come(intake, 5, now=NOW + 30)
    for each in look.closed:
        intake._settle(each, QUIET)
        intake.watch.forget(each.row["id"])
    assert the_study(intake)["state"] == StudyState.RECEIVING
    assert intake.settle_quiet(now=QUIET) == 0
    assert intake.settle_quiet(now=NOW + 90.1) == 1


def test_settled_studies_are_forgotten(intake: Intake) -> None:
    come(intake)
    intake.settle_quiet(now=NOW)
    assert (len(intake.watch), len(intake.headers)) == (1, 4)
    intake.settle_quiet(now=QUIET)
    assert (len(intake.watch), len(intake.headers)) == (0, 0)


def test_headers_are_read_once_and_only_so_many_are_kept(tmp_path: Path) -> None:
    one, two = stored(write(series(shape=(2, 8, 8)), tmp_path))
    headers = Headers(["Modality", "BodyPartExamined", "EchoTime"], most=1)
    assert headers.of(one) == {"Modality": ("CT",), "BodyPartExamined": ("CHEST",)}
    assert headers.of(two)["Modality"] == ("CT",)
    one.path.unlink()
    two.path.unlink()
    assert headers.of(one)["Modality"] == ("CT",)
    with pytest.raises(FileNotFoundError):
        headers.of(two)
    headers.forget([one.sop_instance_uid])
    assert len(headers) == 0


def test_evidence_that_cannot_be_judged_leaves_the_study_to_quiet_time(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of ours must neither hold up a study nor its neighbours."""
    judge = watch.decide

    def fails(study: OpenStudy, settings: StudySettings) -> Decision:
        if study.came:
            raise ZeroDivisionError
        return judge(study, settings)

    monkeypatch.setattr(watch, "decide", fails)
    come(intake)
    assert intake.settle_quiet(now=NOW) == 0
    assert intake.settle_quiet(now=QUIET) == 1
    assert the_study(intake)["state"] == StudyState.ROUTED
