"""`audit.keep_days`: what is old goes, what is not sent stays; a doubtful clock takes nothing."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicom_ai_node.audit.cursor import Position, write_position
from dicom_ai_node.audit.lines import append, day_files
from dicom_ai_node.audit.trail import Trail
from dicom_ai_node.audit.verify import verify
from dicom_ai_node.audit_expiry import forget_old_lines
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.purge import LONGEST_GAP_S, purge_unless_clock_jumped
from dicom_ai_node.spool import Spool
from tests.audit.schema import event, messages
from tests.made import configuration

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC).timestamp()
SYSLOG = {"host": "repository", "allow_plaintext": True}


@pytest.fixture
def config(tmp_path: Path, request: pytest.FixtureRequest) -> Config:
    audit = {"keep_days": 3, **getattr(request, "param", {})}
    return configuration(tmp_path, audit=audit)


@pytest.fixture
def folder(trail: Trail, config: Config, spool: Spool, database: Database) -> Path:
    """Ten days of lines, and a clock that was found to be right."""
    for day in range(1, 11):
        append(trail.folder, b"<a/>", day=f"2026-01-{day:02}", sync=False)
    purge_unless_clock_jumped(config, spool, database, now=NOON)
    return trail.folder


def kept(folder: Path) -> list[str]:
    return [path.stem[-2:] for path in day_files(folder) if path.stem < "2026-02"]


def test_files_of_older_days_go_and_the_trail_says_so(
    config: Config, spool: Spool, folder: Path
) -> None:
    assert forget_old_lines(config, spool, now=NOON) == 6
    assert kept(folder) == ["07", "08", "09", "10"]
    assert verify(folder).faults == ()
    said = messages(folder)[-1]
    assert event(said) == "Security Alert"
    assert forget_old_lines(config, spool, now=NOON) == 0


@pytest.mark.parametrize("config", [{"syslog": SYSLOG}], indirect=True)
def test_what_the_repository_does_not_have_stays(
    config: Config, spool: Spool, folder: Path
) -> None:
    assert forget_old_lines(config, spool, now=NOON) == 0
    write_position(folder, Position(file="2026-01-03.log", offset=80))
    assert forget_old_lines(config, spool, now=NOON) == 2
    assert kept(folder)[0] == "03"


def test_a_clock_that_jumped_takes_nothing(
    config: Config, spool: Spool, database: Database, folder: Path
) -> None:
    wrong = NOON + 100 * LONGEST_GAP_S
    purge_unless_clock_jumped(config, spool, database, now=wrong)
    assert forget_old_lines(config, spool, now=wrong) == 0
    assert len(kept(folder)) == 10


@pytest.mark.parametrize("config", [{"keep_days": None}], indirect=True)
def test_by_itself_it_is_kept_for_ever(config: Config, spool: Spool, folder: Path) -> None:
    assert forget_old_lines(config, spool, now=NOON + 10_000 * 86_400) == 0
    assert len(kept(folder)) == 10


def test_before_the_clock_was_looked_at_nothing_goes(config: Config, spool: Spool) -> None:
    assert forget_old_lines(config, spool, now=NOON) == 0
