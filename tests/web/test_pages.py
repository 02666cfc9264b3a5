"""What the pages say, and what acts on them do."""

import shutil
from pathlib import Path

import pytest

from dicom_ai_node import draining, send_now
from dicom_ai_node.config.disabled import read_disabled
from dicom_ai_node.config.settings import Config
from dicom_ai_node.config.store import read_store
from dicom_ai_node.database import alarms, deliveries, waiting
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.tables import alarm
from dicom_ai_node.job import Job, JobState, Priority
from dicom_ai_node.roles import Role
from dicom_ai_node.spool import Spool
from tests.database.made import NOW, again, claimed, enqueued, publish
from tests.web.site import Served


def now_is(database: Database, job: Job) -> Job:
    with database.read() as connection:
        return again(connection, job)


@pytest.fixture
def queued(database: Database) -> Job:
    with database.write() as connection:
        return enqueued(connection, "queued")


def test_the_queue_says_what_waits_and_why(page: Served, quarantined: Job, queued: Job) -> None:
    words = page.visitor(Role.LOOK).get("/").words
    assert f"{quarantined.id} quarantined bright 1.0" in words
    assert "it crashed" in words
    assert "need a person 1" in words
    assert "Retry" not in words


@pytest.mark.parametrize(
    ("state", "shown"), [("queued", "queued"), ("dead", "quarantined"), ("x", "both")]
)
def test_the_queue_is_filtered(
    page: Served, quarantined: Job, queued: Job, state: str, shown: str
) -> None:
    text = page.visitor(Role.LOOK).get(f"/?state={state}").text
    links = {job.id: f'<a href="/jobs/{job.id}">' in text for job in (quarantined, queued)}
    assert links[quarantined.id] == (shown in ("quarantined", "both"))
    assert links[queued.id] == (shown in ("queued", "both"))


def test_a_retry_is_done_and_on_record(page: Served, database: Database, quarantined: Job) -> None:
    visitor = page.visitor(Role.ACT)
    answer = visitor.post(f"/jobs/{quarantined.id}/retry", state="dead")
    assert (answer.status, answer.headers["Location"]) == (303, "/?state=dead")
    assert f"Job {quarantined.id} is queued again." in visitor.get("/").words
    assert f"Job {quarantined.id} is queued again." not in visitor.get("/").words  # said once
    assert now_is(database, quarantined).state is JobState.QUEUED
    actor, verb, about = page.trail.acts[-1]
    assert (actor.name, actor.address, verb) == ("a act", "127.0.0.1", "jobs retry")
    assert about == {"job_id": quarantined.id}


def test_with_htmx_an_act_answers_with_the_queue(page: Served, quarantined: Job) -> None:
    visitor = page.visitor(Role.ACT)
    headers = {"HX-Request": "true"}
    answer = visitor.post(f"/jobs/{quarantined.id}/retry", headers=headers, state="all")
    assert answer.status == 200
    assert answer.text.lstrip().startswith('<div id="queue"')
    assert "is queued again" in answer.words
    answer = visitor.post(f"/jobs/{quarantined.id}/retry", headers=headers, state="all")
    assert (answer.status, "<html" in answer.text) == (409, False)
    assert "only undelivered and quarantined jobs can be retried" in answer.words
    told = [about.get("succeeded", True) for _, verb, about in page.trail.acts[1:]]
    assert told == [True, True, False]  # before each, and after the one that failed
    expired = page.anybody().get("/", **headers)
    assert (expired.status, expired.headers["HX-Redirect"]) == (401, "/sign-in")


def test_cancel_and_prioritise(page: Served, database: Database, queued: Job) -> None:
    visitor = page.visitor(Role.ACT)
    assert visitor.post(f"/jobs/{queued.id}/prioritise").status == 303
    assert now_is(database, queued).priority is Priority.URGENT
    assert visitor.post(f"/jobs/{queued.id}/cancel").status == 303
    assert now_is(database, queued).state is JobState.CANCELLED
    answer = visitor.post(f"/jobs/{queued.id}/cancel")
    assert (answer.status, "cannot be cancelled any more" in answer.words) == (409, True)


def test_alarms_and_drains_stand_above_the_queue(
    page: Served, database: Database, spool: Spool
) -> None:
    with database.write() as connection:
        row = {"name": "peer_unreachable", "subject": "pacs", "severity": "critical"}
        row |= {"text": "pacs does not answer: try it", "since": database.now() - 7200}
        row |= {"seen_at": database.now(), "told_at": database.now()}
        connection.execute(alarm.insert().values(**row))
        assert alarms.active(connection)
    draining.begin(spool)
    words = page.visitor(Role.LOOK).get("/").words
    assert "peer_unreachable (pacs) , for 2 h: pacs does not answer: try it" in words
    assert "The node is drained" in words


def test_text_of_others_is_text(page: Served, database: Database) -> None:
    with database.write() as connection:
        job = enqueued(connection, outcome="not_suitable", reason="<script>alert(1)</script>")
    visitor = page.visitor(Role.ACT)
    for path in ("/", f"/jobs/{job.id}"):
        text = visitor.get(path).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text
    assert "<script>" not in visitor.get("/?state=%22%3E%3Cscript%3E").text


def test_what_waits_for_a_peer_is_sent_at_once(
    page: Served, database: Database, spool: Spool
) -> None:
    with database.write() as connection:
        job = enqueued(connection, send_to=("archive",))
        publish(connection, claimed(connection))
        waiting.put_off(connection, "archive", until=NOW + 9e9, status="it does not answer")
    visitor = page.visitor(Role.ACT)
    words = visitor.get("/peers").words
    assert "2 objects, the oldest for" in words
    assert "it does not answer" in words
    assert visitor.post("/peers/archive/send").status == 303
    assert send_now.take(spool, "archive")
    assert page.trail.acts[-1][1:] == ("peers send", {"subject": "archive"})
    assert visitor.post("/peers/..%2f..%2fx/send").status == 404
    with database.read() as connection:
        assert len(deliveries.of_job(connection, job.id)) == 2


def test_a_peer_is_tried(page: Served, config: Config) -> None:
    visitor = page.visitor(Role.ACT)
    assert visitor.post("/peers/archive/echo").status == 303
    assert "can be written" in visitor.get("/peers").words


def test_a_model_is_switched_off_and_on(page: Served, config: Config, model_store: Path) -> None:
    store = config.node.models
    shutil.copytree(model_store / "threshold-ct", store / "threshold-ct")
    (version,) = read_store(store).versions("threshold-ct")
    visitor, path = page.visitor(Role.CONFIGURE), f"/models/threshold-ct/{version}"
    assert visitor.post(f"{path}/disable", why="it misses things").status == 303
    assert read_disabled(store)["threshold-ct", version].why == "it misses things"
    assert "is disabled: it misses things. Its jobs wait." in visitor.get("/").words
    assert visitor.post(f"{path}/enable").status == 303
    assert not read_disabled(store)
    told = ("models disable", "models enable")
    assert tuple(page.trail.verbs()[-2:]) == told
    assert page.visitor(Role.ACT).post(f"{path}/disable").status == 403
    assert visitor.post("/models/..%2f../1/disable").status == 404


def test_draining_and_tokens(page: Served, spool: Spool, database: Database) -> None:
    visitor = page.visitor(Role.CONFIGURE)
    visitor.post("/node/drain")
    assert draining.is_draining(spool)
    visitor.post("/node/drain", off="true")
    assert not draining.is_draining(spool)
    answer = visitor.post("/node/tokens", name="anna", role="act")
    made = answer.text.split('<code id="made">')[1].split("<")[0]
    assert page.anybody(token=made).get("/api/status").status == 200
    assert made not in visitor.get("/node").text
    assert visitor.post("/node/tokens/revoke", name="anna").status == 303
    assert page.anybody(token=made).get("/api/status").status == 401
    acts = ["drain", "drain --off", "tokens add", "tokens revoke", "sign in"]  # the last one failed
    assert page.trail.verbs()[1:] == acts
    assert not any(made in str(act) for act in page.trail.acts)


def test_a_job_that_is_not_there(page: Served) -> None:
    visitor = page.visitor(Role.LOOK)
    for path in ("/jobs/99", "/studies/99", f"/jobs/{10**30}"):
        answer = visitor.get(path)
        assert (answer.status, "there is no" in answer.words) == (404, True)
    assert visitor.get("/jobs/abc").status == 422
