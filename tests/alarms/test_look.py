"""The tick on a node to which these things really happen."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from dicom_ai_node.alarms.channels import open_channels
from dicom_ai_node.alarms.look import Lookout
from dicom_ai_node.backup.make import make_backup
from dicom_ai_node.config.alarms import WebhookSettings
from dicom_ai_node.config.disabled import disable, enable
from dicom_ai_node.config.settings import Config
from dicom_ai_node.damage import take_out_damaged
from dicom_ai_node.database import alarms, notifications, soundness, studies
from dicom_ai_node.database.alarms import Alarm
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.tables import job
from dicom_ai_node.deliver import PeerQueue
from dicom_ai_node.peers.open import open_peer
from dicom_ai_node.purge import purge_unless_clock_jumped
from dicom_ai_node.spool import Spool
from tests import dicom_factory
from tests.acceptance.loopback import free_port
from tests.alarms.made import DAY
from tests.alarms.receivers import web_receiver
from tests.database.made import a_study, enqueued
from tests.delivering import queue_of, ready
from tests.intake.in_process import Road
from tests.made import arrive, bright, configuration
from tests.receive.certificates import Authority
from tests.receive.scu import association

MINUTE = 60.0
NO_SILENCE = {"nothing_received_h": None}  # studies of these tests are years old


class Watched:
    """A node in this process, and those who look at it."""

    def __init__(self, config: Config, spool: Spool, database: Database) -> None:
        self.config, self.spool, self.database = config, spool, database
        self.queues: dict[str, PeerQueue] = {}
        self.now = database.now()

    def look(self, after_s: float = 0) -> dict[str, Alarm]:
        """By name, what is active so long after the beginning."""
        lookout = Lookout(
            config=self.config,
            spool=self.spool,
            database=self.database,
            contacts={name: queue.contact for name, queue in self.queues.items()},
            channels=open_channels(self.config.alarms),
        )
        lookout.look(now=self.now + after_s)
        with self.database.read() as connection:
            return {each.name: each for each in alarms.active(connection)}


@pytest.fixture
def node(tmp_path: Path, spool: Spool, database: Database) -> Callable[..., Watched]:
    def make(**sections: Any) -> Watched:
        # the disk of a machine that tests may be as full as it likes
        limits = {"space_soft_mb": 0, "space_hard_mb": 0, **sections.pop("limits", {})}
        return Watched(configuration(tmp_path, limits=limits, **sections), spool, database)

    return make


def _peer(port: int) -> dict[str, Any]:
    return {
        "pacs": {
            "kind": "dimse",
            "ae_title": "AI_NODE",
            "host": "127.0.0.1",
            "port": port,
            "connect_timeout_s": 1,
        }
    }


def test_a_peer_that_is_down_is_an_alarm_until_it_has_everything(
    node: Callable[..., Watched],
) -> None:
    watched = node(peers=_peer(free_port()), alarms=NO_SILENCE)
    ready(watched.spool, watched.database, now=watched.now)
    queue = queue_of(
        open_peer(watched.config.peers["pacs"], watched.config.node),
        *(watched.config, watched.spool, watched.database),
    )
    watched.queues["pacs"] = queue
    queue.deliver_due(now=watched.now)
    assert watched.look(29 * MINUTE) == {}
    alarm = watched.look(31 * MINUTE)["peer_unreachable"]
    assert alarm.subject == "pacs"
    assert "2 objects cannot be sent to pacs for 31 min" in alarm.text
    assert "does not answer" in alarm.text


def test_a_peer_that_does_not_know_this_node_is_an_alarm_at_once(
    node: Callable[..., Watched], receiver: int
) -> None:
    """The receiver that stands for it takes from PACS alone."""
    watched = node(peers=_peer(receiver), alarms=NO_SILENCE)
    ready(watched.spool, watched.database, now=watched.now)
    queue = queue_of(
        open_peer(watched.config.peers["pacs"], watched.config.node),
        *(watched.config, watched.spool, watched.database),
    )
    watched.queues["pacs"] = queue
    queue.deliver_due(now=watched.now)
    alarm = watched.look(1)["peer_unreachable"]
    assert alarm.severity == "warning"
    assert "AI_NODE" in alarm.text


@pytest.mark.fault("H4")
def test_a_certificate_is_an_alarm_ahead_and_none_when_it_was_replaced(
    node: Callable[..., Watched], tmp_path: Path
) -> None:
    authority = Authority.make(tmp_path / "ca")
    old = authority.issue("node", days=20)
    tls = {
        "certificate": old.certificate,
        "key": old.key,
        "ca": authority.own.certificate,
        "port": 0,
    }
    watched = node(node={"tls": tls})
    alarm = watched.look()["certificate_expires"]
    assert (alarm.subject, alarm.severity) == ("node.tls.certificate", "warning")
    assert watched.look(14 * DAY)["certificate_expires"].severity == "critical"
    new = authority.issue("node", days=365)
    old.certificate.write_bytes(new.certificate.read_bytes())
    assert "certificate_expires" not in watched.look(14 * DAY + 30)


@pytest.mark.fault("G11")
def test_a_damaged_image_is_an_alarm_until_it_was_sent_again(
    node: Callable[..., Watched], tmp_path: Path, receiver: int
) -> None:
    watched = node(study={"quiet_s": 60})
    series = dicom_factory.series()
    arrive(watched.spool, watched.database, series, now=watched.now)
    with watched.database.read() as connection:
        row = studies.find(connection, series[0].StudyInstanceUID)
        assert row is not None
        there = studies.instances(connection, watched.spool, row["id"])
    there[3].path.write_bytes(there[3].path.read_bytes()[:-100] + b"\0" * 100)
    assert take_out_damaged(there, watched.spool, watched.database) == 1
    alarm = watched.look()["stored_damaged"]
    assert alarm.text.startswith("stored images of 1 study are gone or damaged: send these again")

    road = Road(watched.config, watched.spool, watched.database, {"bright": bright(tmp_path)})
    assert road.work() == 0  # nothing of it is processed meanwhile
    with association(receiver) as assoc:
        assert [assoc.send_c_store(ds).Status for ds in series] == [0x0000] * len(series)
    road.intake.settle_quiet(now=watched.now + 1000)
    assert "stored_damaged" not in watched.look(1000)


def test_a_clock_that_jumped_is_an_alarm_while_it_is_doubted(node: Callable[..., Watched]) -> None:
    watched = node()

    def purge(after_s: float) -> None:
        now = watched.now + after_s
        purge_unless_clock_jumped(watched.config, watched.spool, watched.database, now=now)

    purge(0)
    assert watched.look() == {}
    purge(5 * DAY)
    assert "nothing is purged before" in watched.look(5 * DAY)["clock_jumped"].text
    assert watched.look(6 * DAY + 1) == {}


def test_a_damaged_database_stays_an_alarm_over_a_restart(
    node: Callable[..., Watched], tmp_path: Path
) -> None:
    watched = node()
    marker = watched.spool.root / "database-checked"
    broken = tmp_path / "broken.db"
    broken.write_bytes(watched.database.path.read_bytes()[:5000] + b"\xff" * 20_000)
    found = soundness.check_weekly(broken, watched.spool.incoming, marker, now=watched.now)
    assert found
    assert watched.look()["database_unsound"].severity == "critical"
    soundness.check_weekly(watched.database.path, watched.spool.incoming, marker, now=watched.now)
    assert watched.look(30) == {}


def test_a_backup_that_is_old_is_an_alarm_until_the_next(
    node: Callable[..., Watched], tmp_path: Path
) -> None:
    watched = node()
    config = tmp_path / "config"
    config.mkdir()
    (watched.spool.root / "log-salt").write_bytes(b"salt")

    def backup(name: str) -> None:
        make_backup(
            tmp_path / name,
            *(config, watched.spool, watched.database),
            with_instances=False,
            now=datetime.now(UTC),
        )

    assert watched.look(100 * DAY) == {}  # none was ever made
    backup("first")
    assert watched.look(7 * DAY) == {}
    assert "the last backup is 9 days old" in watched.look(9 * DAY)["backup_old"].text
    backup("second")
    assert watched.look(7 * DAY) == {}


def test_a_model_that_the_node_disabled_is_an_alarm_until_it_is_enabled(
    node: Callable[..., Watched], tmp_path: Path
) -> None:
    watched = node()
    model = bright(tmp_path)
    store = watched.config.node.models
    store.mkdir()
    disable(store, model, why="weights is not the one that was installed", now=0, by_itself=True)
    alarm = watched.look()["model_disabled"]
    assert (alarm.subject, alarm.severity) == ("bright 1.0", "critical")
    enable(store, "bright", "1.0")
    assert watched.look(30) == {}
    disable(store, model, why="not for now", now=0)  # a person: who knows it already
    assert watched.look(60) == {}


def test_a_disk_that_fills_is_an_alarm_before_anything_is_refused(
    node: Callable[..., Watched],
) -> None:
    """Marks above what any disk has free."""
    much = 10**9
    alarm = node(limits={"space_soft_mb": much, "space_hard_mb": 0}).look()["disk_low"]
    assert alarm.subject == "spool"
    assert "nothing is deleted to make room" in alarm.text
    full = node(limits={"space_soft_mb": much, "space_hard_mb": much})
    assert full.look()["disk_full"].severity == "critical"


def test_who_is_configured_is_told_of_what_was_found(node: Callable[..., Watched]) -> None:
    with web_receiver() as hook:
        settings = WebhookSettings(url=hook.url).model_dump(mode="json")
        watched = node(alarms={"webhooks": [settings]})
        (watched.spool.root / "database-damaged").write_text("row 3 missing")
        watched.look()
        with watched.database.read() as connection:
            (channel,) = notifications.backlog(connection)
    assert channel == open_channels(watched.config.alarms)[0].name


def test_a_thousand_jobs_a_day_cost_a_look_little(node: Callable[..., Watched]) -> None:
    """Fifteen days of them: the look is done 30 s apart."""
    watched = node()
    with watched.database.write() as connection:
        study = a_study(connection)
        template = enqueued(connection, "k0", now=watched.now)
        row = dict(connection.execute(job.select().where(job.c.id == template.id)).mappings().one())
        del row["id"]
        rows = [
            {
                **row,
                "key": f"job {n}",
                "study_id": study,
                "state": "done",
                "outcome": "not_suitable" if n % 20 == 0 else "findings",
                "created_at": watched.now - n * 15 * DAY / 15_000,
            }
            for n in range(15_000)
        ]
        connection.execute(insert(job), rows)
    began = time.monotonic()
    watched.look()
    assert time.monotonic() - began < 2
