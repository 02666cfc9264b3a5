"""Nobody sees anything without a token, and a token opens no more than its role."""

import re
import stat
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import update

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import tokens
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.tables import delivery, job, job_event, study, web_token
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.job import Job
from dicom_ai_node.roles import Role
from dicom_ai_node.spool import Spool
from dicom_ai_node.web import api, models, node, peers, queue, studies
from dicom_ai_node.web import job as job_page
from dicom_ai_node.web import study as study_page
from dicom_ai_node.web.doors import SESSION
from dicom_ai_node.web.sessions import Ended
from dicom_ai_node.web.tries import Tries
from tests.database.made import claimed, enqueued, publish
from tests.web.site import Served, Visitor, served

PAGES = ["/", "/studies", "/studies/1", "/peers", "/models", "/node", "/jobs/1"]
FOR_ALL = ["/", "/studies", "/peers", "/models"]


@pytest.mark.parametrize("path", [*PAGES, "/jobs/1/pictures/0.png"])
def test_without_a_token_every_page_leads_to_the_door(page: Served, path: str) -> None:
    answer = page.anybody().get(path)
    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in")


@pytest.mark.parametrize("path", ["/api/jobs", "/api/status", "/api/openapi.json"])
def test_without_a_token_the_api_says_who_may_come(page: Served, path: str) -> None:
    answer = page.anybody().get(path)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert page.anybody(token=str(0)).get(path).status == 401


def test_the_first_token_lies_in_the_spool_for_its_owner_alone(
    page: Served, spool: Spool, database: Database
) -> None:
    path = spool.root / "web-token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    visitor = page.anybody()
    assert visitor.sign_in(path.read_text()).status == 303
    assert visitor.get("/node").status == 200
    with database.read() as connection:
        (token,) = tokens.listing(connection)
    assert (token.name, token.role) == ("first", Role.CONFIGURE)


def test_a_restart_makes_no_second_first_token_and_keeps_sessions(
    config: Config, spool: Spool, database: Database
) -> None:
    with served(config, spool, database) as before:
        visitor = before.visitor(Role.LOOK)
    content = (spool.root / "web-token").read_text()
    with served(config, spool, database) as after:
        visitor.port = after.port
        assert visitor.get("/").status == 200
    assert (spool.root / "web-token").read_text() == content


def test_a_session_is_for_this_site_and_no_script(page: Served) -> None:
    answer = page.anybody().sign_in(page.token(Role.LOOK))
    (cookie,) = answer.headers.get_all("Set-Cookie") or []
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", "max-age=43200"} <= attributes
    assert "secure" not in attributes


def test_a_wrong_token_opens_nothing(page: Served) -> None:
    visitor = page.anybody()
    answer = visitor.sign_in("wrong")
    assert (answer.status, visitor.cookies) == (403, {})
    assert "no token of this node" in answer.words
    ((actor, verb, about),) = page.trail.acts
    assert (actor.name, actor.address, verb) == ("unknown", "127.0.0.1", "sign in")
    assert about == {"succeeded": False}


def test_a_forged_session_opens_nothing(page: Served) -> None:
    visitor = page.visitor(Role.LOOK)
    value = visitor.cookies[SESSION]
    visitor.cookies[SESSION] = value[:-2] + ("AA" if not value.endswith("AA") else "BB")
    assert visitor.get("/").status == 303


def test_revoking_a_token_ends_its_sessions(page: Served, database: Database) -> None:
    token = page.token(Role.ACT, "anna")
    browser, program = page.anybody(), page.anybody(token=token)
    browser.sign_in(token)
    assert (browser.get("/").status, program.get("/api/jobs").status) == (200, 200)
    with database.write() as connection:
        tokens.revoke(connection, "anna", now=database.now())
    assert (browser.get("/").status, program.get("/api/jobs").status) == (303, 401)
    assert browser.sign_in(token).status == 403


def test_a_session_is_not_of_another_token_that_has_its_number(
    page: Served, database: Database
) -> None:
    """After a restore, a number may be that of another token."""
    visitor = page.visitor(Role.LOOK)
    with database.write() as connection:
        connection.execute(update(web_token).values(sha256="0" * 64, role="configure"))
    assert visitor.get("/").status == 303


def test_signing_out_ends_the_session_wherever_its_cookie_lies(page: Served) -> None:
    visitor, other = page.visitor(Role.LOOK), page.visitor(Role.ACT)
    copied = Visitor(page.port, cookies=dict(visitor.cookies))
    visitor.post("/sign-out")
    assert copied.get("/").status == 303
    assert other.get("/").status == 200


def test_ended_sessions_are_forgotten_with_their_cookies() -> None:
    ended = Ended()
    ended.add("a", until=10, now=0)
    ended.add("b", until=20, now=5)
    assert "a" in ended
    ended.add("c", until=30, now=10)
    assert ("a" in ended, "b" in ended) == (False, True)


def test_signing_out_ends_the_session_in_the_browser(page: Served) -> None:
    visitor = page.visitor(Role.LOOK)
    answer = visitor.post("/sign-out")
    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in")
    assert visitor.cookies[SESSION] in ("", '""')
    assert page.trail.verbs() == ["sign in", "sign out"]


def test_guessing_is_limited_for_each_address(page: Served) -> None:
    """Of those who guess: a good token is let in, for others may stand behind the same address."""
    good = page.token(Role.LOOK)
    visitor = page.anybody()
    assert {visitor.sign_in(f"guess {n}").status for n in range(10)} == {403}
    assert visitor.sign_in("another").status == 429
    assert visitor.get("/api/jobs", Authorization="Bearer wrong").status == 429
    assert visitor.get("/api/jobs", Authorization=f"Bearer {good}").status == 200
    assert visitor.sign_in(good).status == 303
    assert page.anybody(address="127.0.0.2").sign_in(good).status == 303


def test_tries_are_forgotten_in_time() -> None:
    tries = Tries()
    for _ in range(10):
        tries.failed("10.0.0.1", now=100)
    assert tries.are_spent("10.0.0.1", now=399)
    assert not tries.are_spent("10.0.0.2", now=399)
    assert not tries.are_spent("10.0.0.1", now=400)


@pytest.mark.parametrize("role", Role)
def test_what_each_role_may_open(page: Served, quarantined: Job, role: Role) -> None:
    visitor = page.visitor(role)
    for path in FOR_ALL:
        assert visitor.get(path).status == 200, path
    assert visitor.get("/node").status == (200 if role is Role.CONFIGURE else 403)
    answer = visitor.post(f"/jobs/{quarantined.id}/retry")
    assert answer.status == (403 if role is Role.LOOK else 303)
    answer = visitor.post("/node/drain")
    assert answer.status == (303 if role is Role.CONFIGURE else 403)


def test_who_may_only_look_sees_no_uid(page: Served, database: Database, quarantined: Job) -> None:
    """Neither as a field nor within a sentence."""
    said = "series 1.2.840.10008.77 of 2.25.4711: 3 of 5 images came, by 10.0.0.5"
    with database.write() as connection:
        connection.execute(update(study).values(reason=said))
        connection.execute(update(job).values(error_text=said, reason=said))
        connection.execute(update(job_event).values(why=said))
        enqueued(connection, "sent")
        publish(connection, claimed(connection))
        connection.execute(update(delivery).values(status=said))
    look, act = page.visitor(Role.LOOK), page.visitor(Role.ACT)
    paths = [
        re.sub(r"{\w+}", number, route.path)
        for module in (queue, job_page, studies, study_page, peers, models, node, api)
        for route in module.router.routes
        for number in "12"
        if isinstance(route, APIRoute) and "GET" in route.methods
    ]
    assert {"/", "/studies/1", "/api/jobs/2"} <= {*paths}
    uids = (
        f">{quarantined.study_instance_uid}<",
        "study_instance_uid",
        "1.2.9.9",
        "1.2.840",
        "2.25.",
    )
    for path in paths:
        text = look.get(path).text
        assert not any(uid in text for uid in uids), path
    assert "series … of …: 3 of 5 images came, by 10.0.0.5" in look.get("/").words
    assert uids[0] in act.get(f"/jobs/{quarantined.id}").text
    assert said in act.get("/").words
    assert uids[1] in act.get("/api/jobs").text


def test_a_key_that_others_may_read_is_not_used(
    config: Config, spool: Spool, database: Database, tmp_path: Path
) -> None:
    with served(config, spool, database):
        pass
    (spool.root / "web-key").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"), served(config, spool, database):
        pass


def test_visitors_keep_to_themselves(page: Served) -> None:
    page.visitor(Role.LOOK)
    assert Visitor(page.port).get("/").status == 303
