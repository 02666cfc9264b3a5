"""The reckoning of the kill rounds sees what is lost, doubled or mixed up."""

from collections import Counter
from pathlib import Path

import pytest

from dicom_ai_node.database.engine import Database
from dicom_ai_node.spool import Spool
from tests.acceptance.kill_rounds import by_step, sums_of, uneven_row
from tests.acceptance.kills import books
from tests.acceptance.kills.counting_pacs import Stored
from tests.acceptance.kills.reckoning import (
    Disk,
    Kinds,
    Reckoning,
    reckon_copies,
    reckon_instances,
    reckon_results,
)
from tests.acceptance.kills.rounds import Uneven
from tests.acceptance.kills.sender import Ledger
from tests.acceptance.kills.studies import good
from tests.acceptance.reliability_page import kill_section, write_section
from tests.database.made import NOW
from tests.dicom_factory import series
from tests.made import arrive, empty_place

EXPECTED: dict[str | None, Kinds] = {None: ("SEG", "SR")}
STUDY = good("reckoned")


def stored(modality: str, *, uid: str = "", series: str = "", patient_id: str = "") -> Stored:
    return Stored(
        uid=uid or f"1.2.{modality}",
        study=STUDY.uid,
        series=series or f"1.3.{modality}",
        patient_id=patient_id or STUDY.patient_id,
        modality=modality,
    )


def results(*found: Stored) -> Reckoning:
    reckoning = Reckoning()
    reckon_results(reckoning, [STUDY], {STUDY.uid: list(found)}, EXPECTED)
    return reckoning


def test_what_one_run_makes_is_even() -> None:
    assert results(stored("SEG"), stored("SR")).is_even


def test_a_missing_object_is_lost() -> None:
    assert "has no SR" in results(stored("SEG")).lost[0]


def test_a_second_object_of_a_kind_is_doubled() -> None:
    again = stored("SEG", uid="1.2.9", series="1.3.9")
    doubled = results(stored("SEG"), stored("SR"), again).doubled
    assert "SEG more than once" in doubled[0]
    assert "too many series" in doubled[1]


def test_a_result_of_another_patient_is_wrong() -> None:
    found = results(stored("SEG"), stored("SR", patient_id="SOMEBODY-ELSE"))
    assert "another patient" in found.wrong[0]


@pytest.mark.parametrize(
    ("disk", "which"),
    [(["a", "b"], None), (["a"], "lost"), (["a", "b", "b"], "doubled"), (["a", "b", "c"], "wrong")],
)
def test_the_disk_has_what_was_acknowledged(disk: list[str], which: str | None) -> None:
    reckoning = Reckoning()
    ledgers = [Ledger(acknowledged={"1": "a"}), Ledger(acknowledged={"2": "b"})]
    reckon_instances(reckoning, ledgers, Counter(disk))
    uneven = [name for name in ("lost", "doubled", "wrong") if getattr(reckoning, name)]
    assert uneven == ([which] if which else [])


def test_a_file_that_was_written_over_is_seen_in_the_end(spool: Spool) -> None:
    ds = series(name="reckoned", shape=(1, 8, 8))[0]
    path = spool.instance_path(empty_place(spool))
    ds.save_as(path, enforce_file_format=True)
    disk = Disk(spool)
    whole = disk.read()
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    assert disk.read() == whole  # between rounds
    reckoning = Reckoning()
    ledger = Ledger(acknowledged={"1": next(iter(whole))})
    reckon_instances(reckoning, [ledger], disk.read(anew=True))
    assert reckoning.lost


def test_books_that_are_wrong_are_seen(database: Database, spool: Spool) -> None:
    arrive(spool, database, series(name="reckoned", shape=(3, 8, 8)), now=NOW)
    url = str(database.url)
    assert books.mistakes(url, acknowledged=3) == []
    assert "3 instances came, of 4" in books.mistakes(url, acknowledged=4)[0]
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE tally SET number = number + 1")
    assert len(books.mistakes(url, acknowledged=3)) > 1


def test_an_uneven_round_is_counted_after_it_was_done_again() -> None:
    seen = Reckoning(lost=["an instance"])
    uneven = uneven_row([3, 4], Uneven("round 3: lost", seen, 3))
    again = {"round": 3, "strikes": ["rows_written 1 kill"], "struck": 1, "seconds": 9.0}
    sums = sums_of([uneven, again])
    assert (sums["rounds"], sums["uneven"], sums["lost"]) == (1, 1, 1)
    assert uneven_row([3, 4], Uneven("at the end", seen))["round"] == 4
    steps = by_step([uneven, again])
    assert "| Rounds that were uneven, and were done again | 1 |" in kill_section(sums, steps, "")


def test_one_uid_has_one_content() -> None:
    reckoning = Reckoning()
    reckon_copies(reckoning, {"1.2.3": {"a"}, "1.2.4": {"a", "b"}})
    assert len(reckoning.wrong) == 1


def test_figures_go_between_their_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- soak: generated -->\nold\n<!-- end of soak -->\nb\n")
    write_section(page, "soak", r"new \1")
    expected = "a\n<!-- soak: generated -->\nnew \\1\n<!-- end of soak -->\nb\n"
    assert page.read_text() == expected
    with pytest.raises(ValueError, match="no marks"):
        write_section(page, "kill rounds", "new")
