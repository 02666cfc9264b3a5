"""`alarms list`, `test`, `acknowledge` and `probe`, as a person gives them."""

import getpass
from pathlib import Path
from typing import Any

import pytest

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import alarms, probe_runs
from dicom_ai_node.database.alarms import Trouble
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.probe_runs import Stage
from tests.acceptance.loopback import free_port
from tests.alarms.made import NOW
from tests.alarms.receivers import web_receiver
from tests.made import configuration
from tests.operator import Operator


@pytest.fixture
def person(tmp_path: Path, config: Config, database: Database) -> Operator:
    return Operator(tmp_path, config)


def raised(database: Database, *subjects: str, channel: str = "email", now: float = NOW) -> None:
    found = [
        Trouble(name="dead_letters", subject=each, severity="warning", text="see `jobs list`")
        for each in subjects
    ]
    with database.write() as connection:
        alarms.settle(connection, found, lambda _: [channel], ends_after_s={}, now=now)


def test_the_list_says_what_to_do_and_what_was_not_sent(
    person: Operator, database: Database
) -> None:
    assert person.must("alarms", "list") == "No alarm is active.\n"
    raised(database, "undelivered", "quarantined")
    raised(database, "undelivered", now=NOW + 30)
    said = person.must("alarms", "list")
    assert "see `jobs list`" in said
    assert "quarantined" not in said
    assert "3 messages wait for email" in said
    (found,) = person.data("alarms", "list")
    assert (found["name"], found["subject"]) == ("dead_letters", "undelivered")
    assert len(person.data("alarms", "list", "--all")) == 2


def test_who_acknowledges_an_alarm_stands_beside_it(person: Operator, database: Database) -> None:
    raised(database, "undelivered")
    (found,) = person.data("alarms", "list")
    assert "is yours" in person.must("alarms", "acknowledge", str(found["id"]))
    (found,) = person.data("alarms", "list")
    assert found["acknowledged_by"] == getpass.getuser()
    status, said = person.ask("alarms", "acknowledge", "77")
    assert (status, "there is none" in said) == (1, True)


def test_a_test_goes_through_every_channel_and_says_which_does_not_work(
    tmp_path: Path, database: Database
) -> None:
    with web_receiver() as hook:
        dead = f"http://127.0.0.1:{free_port()}/"
        webhooks = [{"url": hook.url}, {"url": dead}]
        person = Operator(tmp_path, configuration(tmp_path, alarms={"webhooks": webhooks}))
        status, said = person.ask("alarms", "test")
    assert status == 1
    assert "works: 200 OK" in said
    assert "does not work: it cannot be reached" in said
    assert [each["what"] for each in hook.messages()] == ["test"]


def test_a_test_without_a_channel_says_what_to_configure(person: Operator) -> None:
    status, said = person.ask("alarms", "test")
    assert (status, "configure alarms.webhooks or alarms.email" in said) == (1, True)


PROBE: dict[str, Any] = {
    "accept": [{"ae_title": "AI_NODE_PROBE", "from": ["127.0.0.1/32"]}],
    "peers": {"pacs": {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": 104}},
}


def test_the_last_probe_is_shown_with_the_stage_where_it_stopped(
    person: Operator, database: Database
) -> None:
    status, said = person.ask("probe", "--last")
    assert (status, "no probe is configured" in said) == (1, True)


def test_a_run_that_failed_is_an_exit_status(tmp_path: Path, database: Database) -> None:
    probe = {"every_h": 24, "peer": "pacs"}
    config = configuration(tmp_path, probe=probe, **PROBE)
    person = Operator(tmp_path, config)
    route = {"model": "threshold-ct", "send_to": ["pacs"]}
    path = person.config / "routes.yaml"
    path.write_text(f"routes: [{route}]".replace("'", '"'))
    assert person.ask("probe", "--last")[0] == 1
    with database.write() as connection:
        run = probe_runs.begin(
            connection, study_instance_uid="2.25.1", model="threshold-ct", peer="pacs", now=NOW
        )
        # there is one at a time
        again = probe_runs.begin(
            connection, study_instance_uid="2.25.2", model="threshold-ct", peer="pacs", now=NOW
        )
        assert again == run
        probe_runs.finish(connection, run, Stage.ASKING, reason="it has not them", now=NOW + 60)
    status, said = person.ask("probe", "--last")
    assert status == 1
    assert "failed at asking after 60 s: it has not them" in said
