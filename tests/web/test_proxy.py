"""A proxy that signs people in: it is believed, and nobody else who says the same."""

import pytest

from dicom_ai_node.job import Job
from dicom_ai_node.roles import Role
from tests.web.site import Served, Visitor
from tests.web.sockets import answer_to

PROXY = {
    "web": {
        "proxy": {
            "from": ["127.0.0.1/32"],
            "user_header": "X-Forwarded-User",
            "groups_header": "X-Forwarded-Groups",
            "look": ["staff"],
            "act": ["radiographers"],
            "configure": ["pacs-admins"],
        }
    }
}
pytestmark = pytest.mark.parametrize("config", [PROXY], indirect=True)


def come(page: Served, *, groups: str = "staff", address: str = "127.0.0.1") -> Visitor:
    headers = {
        "X-Forwarded-User": "anna@hospital.org",
        "X-Forwarded-Groups": groups,
        "X-Forwarded-For": "6.6.6.6, 10.1.2.3",
    }
    return page.anybody(headers=headers, address=address)


@pytest.mark.parametrize(
    ("groups", "role"),
    [("staff", "look"), ("staff, radiographers", "act"), ("pacs-admins,staff", "configure")],
)
def test_the_role_is_the_greatest_of_the_groups(page: Served, groups: str, role: str) -> None:
    assert f"anna@hospital.org ({role})" in come(page, groups=groups).get("/").words


def test_the_address_on_record_is_the_one_the_proxy_saw(page: Served, quarantined: Job) -> None:
    visitor = come(page, groups="radiographers")
    assert visitor.post(f"/jobs/{quarantined.id}/retry").status == 303
    ((actor, verb, about),) = page.trail.acts
    assert (actor.name, actor.through, actor.address) == (
        *("anna@hospital.org", "web page"),
        "10.1.2.3",
    )
    assert (verb, about) == ("jobs retry", {"job_id": quarantined.id})


def asked(page: Served, *lines: str) -> str:
    """The answer to a sign-in with these headers beside the proxy's own."""
    form = f"token={page.token(Role.LOOK)}"
    head = (
        *("POST /sign-in HTTP/1.1", "Host: 127.0.0.1", "Origin: http://127.0.0.1", *lines),
        "Content-Type: application/x-www-form-urlencoded",
        *(f"Content-Length: {len(form)}", "Connection: close"),
    )
    return answer_to(page, ("\r\n".join(head) + f"\r\n\r\n{form}").encode()).decode()


@pytest.mark.fault("H9")
def test_of_several_lines_the_last_is_the_proxys_own(page: Served) -> None:
    """Some proxies add a line, and leave the visitor's own before it."""
    answer = asked(
        page,
        *("X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 7.7.7.7, 10.1.2.3"),
        *("X-Forwarded-Proto: http", "X-Forwarded-Proto: https"),
    )
    assert answer.startswith("HTTP/1.1 303")
    assert "Secure" in answer
    assert page.trail.acts[-1][0].address == "10.1.2.3"


@pytest.mark.fault("H9")
def test_from_another_address_the_same_headers_open_nothing(page: Served) -> None:
    assert come(page, groups="pacs-admins", address="127.0.0.2").get("/").status == 303
    assert come(page, groups="pacs-admins").get("/node").status == 200


@pytest.mark.fault("H9")
def test_a_header_that_is_there_twice_is_not_believed(page: Served) -> None:
    """Who can add a line to what the proxy sends must not become another person."""
    connection_of = come(page)
    answer = connection_of.get("/", **{"x-forwarded-user": "root"})
    assert answer.status == 403
    assert connection_of.get("/").status == 200


def test_somebody_in_no_group_is_told_so(page: Served) -> None:
    answer = come(page, groups="visitors").get("/")
    assert (answer.status, "is in no group" in answer.words) == (403, True)


def test_tokens_open_the_page_beside_the_proxy(page: Served) -> None:
    assert page.visitor(Role.ACT).get("/").status == 200


def test_behind_https_the_session_is_for_https_alone(page: Served) -> None:
    visitor = page.anybody(headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in (visitor.sign_in(page.token(Role.LOOK)).headers["Set-Cookie"] or "")
    other = page.anybody(headers={"X-Forwarded-Proto": "https"}, address="127.0.0.2")
    assert "Secure" not in (other.sign_in(page.token(Role.ACT)).headers["Set-Cookie"] or "")
