"""Each condition by itself: what raises it, what just does not, and what it says."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dicom_ai_node.alarms.facts import CertificateFile, Disk, Facts
from dicom_ai_node.alarms.troubles import troubles
from dicom_ai_node.config.disabled import Disabled
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.alarms import Trouble
from dicom_ai_node.database.probe_runs import ProbeRun, Stage
from dicom_ai_node.database.signs import Answers, Queue, Waiting
from tests.alarms.made import DAY, HOUR, NOW, books, facts
from tests.made import configuration

MINUTE = 60.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def raised(found: Facts, home: Path, **sections: Any) -> dict[str, Trouble]:
    config: Config = configuration(home, **sections)
    return {each.name: each for each in troubles(found, config, now=NOW)}


def test_a_node_in_which_all_is_well_raises_nothing(home: Path) -> None:
    assert raised(facts(), home) == {}


QUIET: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # name, what raises it, what just does not
    (
        "nothing_received",
        {"last_received": NOW - 25 * HOUR},
        {"last_received": NOW - 23 * HOUR},
    ),
    (
        "peer_unreachable",
        {"in_vain": {"pacs": Waiting(objects=2, since=NOW - 31 * MINUTE, status="away")}},
        {"in_vain": {"pacs": Waiting(objects=2, since=NOW - 29 * MINUTE, status="away")}},
    ),
    (
        "peer_unreachable",
        {"refusing": {"pacs": "it does not know AI_NODE"}},
        {"refusing": {"former": "it does not know AI_NODE"}},
    ),
    ("peer_unreachable", {"books": books(waiting_for={"former": 3})}, {"books": books()}),
    (
        "not_committed",
        {"uncommitted": {"pacs": Waiting(objects=1, since=NOW - 25 * HOUR)}},
        {"uncommitted": {"pacs": Waiting(objects=1, since=NOW - 23 * HOUR)}},
    ),
    (
        "refused_more_than_usual",
        {
            "answers": {"m": Answers(number=20, refused=12)},
            "answers_before": {"m": Answers(number=280, refused=14)},
        },
        {
            "answers": {"m": Answers(number=20, refused=2)},
            "answers_before": {"m": Answers(number=280, refused=14)},
        },
    ),
    (
        "failed_more_than_usual",
        {
            "answers": {"m": Answers(number=20, failed=12)},
            "answers_before": {"m": Answers(number=280, failed=0)},
        },
        {"answers": {"m": Answers(number=20, failed=12)}},  # a new model has no habit
    ),
    (
        "dead_letters",
        {"books": books(dead_letters={"undelivered": 1})},
        {"books": books(dead_letters={"undelivered": 0})},
    ),
    (
        "needs_review",
        {"books": books(dead_letters={"needs_review": 2}), "lost_studies": 1},
        {"books": books()},
    ),
    (
        "stored_damaged",
        {"books": books(dead_letters={"needs_review": 1}), "lost_studies": 1},
        {"books": books()},
    ),
    ("books_unbalanced", {"books": books(balanced=False)}, {"books": books()}),
    (
        "disk_low",
        {"disks": (Disk(name="spool", free_mb=4095),)},
        {"disks": (Disk(name="spool", free_mb=4096),)},
    ),
    (
        "disk_full",
        {"disks": (Disk(name="spool", free_mb=511),)},
        {"disks": (Disk(name="spool", free_mb=5000),)},
    ),
    (
        "model_disabled",
        {"disabled": (Disabled(model="m", version="1", why="changed", at=0, by_itself=True),)},
        {"disabled": (Disabled(model="m", version="1", why="by a person", at=0),)},
    ),
    ("database_unsound", {"database_damage": "row 3 missing"}, {"database_damage": ""}),
    (
        "worker_silent",
        {"queue": Queue(oldest=NOW - 11 * MINUTE, oldest_in_a_hurry=None, last_begun=None)},
        {"queue": Queue(oldest=NOW - HOUR, oldest_in_a_hurry=None, last_begun=NOW - MINUTE)},
    ),
    (
        "queue_late",
        {
            "queue": Queue(oldest=NOW - DAY, oldest_in_a_hurry=NOW - 61 * MINUTE, last_begun=NOW),
            "books": books(jobs={"running": 1}),
        },
        {
            "queue": Queue(oldest=NOW - DAY, oldest_in_a_hurry=NOW - 59 * MINUTE, last_begun=NOW),
            "books": books(jobs={"running": 1}),
        },
    ),
    ("clock_jumped", {"clock_doubted_until": NOW + HOUR}, {"clock_doubted_until": None}),
    ("backup_old", {"last_backup": NOW - 9 * DAY}, {"last_backup": NOW - 7 * DAY}),
    ("backup_old", {"last_backup": NOW - 9 * DAY}, {"last_backup": None}),  # none was ever made
    (
        "audit_not_sent",
        {"audit_waits_since": NOW - 61 * MINUTE},
        {"audit_waits_since": NOW - 59 * MINUTE},
    ),
]


@pytest.mark.parametrize(("name", "wrong", "well"), QUIET)
def test_it_is_raised_by_that_and_not_by_less(
    home: Path, name: str, wrong: dict[str, Any], well: dict[str, Any]
) -> None:
    found = raised(facts(**wrong), home)
    assert name in found
    assert found[name].text[0].islower() or found[name].text[0].isdigit()  # it goes into a sentence
    assert not found[name].text.endswith(".")
    assert raised(facts(**well), home) == {}


@pytest.mark.parametrize(
    ("days", "severity"),
    [(31.0, None), (29.9, "warning"), (6.9, "critical"), (-1.0, "critical")],
)
def test_a_certificate_is_an_alarm_30_days_ahead(
    home: Path, days: float, severity: str | None
) -> None:
    ends = datetime.fromtimestamp(NOW, UTC) + timedelta(days=days)
    key = "peers.pacs.tls.certificate"
    found = raised(facts(certificates=(CertificateFile(key=key, ends=ends),)), home)
    alarm = found.get("certificate_expires")
    assert (alarm.severity if alarm else None) == severity
    assert alarm is None or key in alarm.text


def test_a_drained_node_has_a_queue_because_somebody_wants_it(home: Path) -> None:
    waiting = Queue(oldest=NOW - DAY, oldest_in_a_hurry=NOW - DAY, last_begun=None)
    drained = facts(queue=waiting, is_draining=True, last_received=NOW - 3 * DAY)
    assert raised(drained, home) == {}


def test_a_node_to_which_nothing_ever_came_is_not_in_use_yet(home: Path) -> None:
    assert raised(facts(last_received=None), home) == {}


def test_a_peer_that_is_late_is_worse_than_one_that_has_just_refused(home: Path) -> None:
    reason = "it does not know AI_NODE"
    new = raised(facts(refusing={"pacs": reason}), home)["peer_unreachable"]
    waiting = {"pacs": Waiting(objects=2, since=NOW - 2 * HOUR, status=reason)}
    late = raised(facts(refusing={"pacs": reason}, in_vain=waiting), home)["peer_unreachable"]
    assert (new.severity, late.severity) == ("warning", "critical")
    assert reason in late.text
    assert "dicom-ai-node echo pacs" in late.text


def _run(**changes: Any) -> ProbeRun:
    values: dict[str, Any] = {
        "id": 1,
        "study_instance_uid": "2.25.1",
        "model": "threshold-ct",
        "peer": "pacs",
        "stage": Stage.DELIVERING,
        "waits_for": None,
        "started_at": NOW - 20 * MINUTE,
        "looked_at": NOW,
        "finished_at": None,
        "passed": None,
        "reason": None,
    }
    return ProbeRun(**(values | changes))


PROBE = {"probe": {"every_h": 24, "peer": "archive", "within_min": 15}}


def test_a_probe_is_late_while_it_runs_and_fails_when_it_has_ended(home: Path) -> None:
    waits = _run(waits_for="pacs does not answer")
    late = raised(facts(probe_under_way=waits), home, **PROBE)
    assert late.keys() == {"probe_late"}
    assert "delivering (pacs does not answer)" in late["probe_late"].text
    early = _run(started_at=NOW - 14 * MINUTE)
    assert raised(facts(probe_under_way=early), home, **PROBE) == {}

    over = _run(finished_at=NOW, passed=False, reason="pacs does not answer")
    assert raised(facts(probe_finished=over), home, **PROBE).keys() == {"probe_failed"}
    passed = _run(finished_at=NOW, passed=True)
    assert raised(facts(probe_finished=passed), home, **PROBE) == {}
    assert raised(facts(probe_finished=over), home) == {}  # nobody wants it any more
