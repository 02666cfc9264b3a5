"""The port for machines: what it answers, and what a client may cost."""

import json
import socket
import time
from urllib.parse import urlsplit

import pytest

from dicom_ai_node import draining
from dicom_ai_node.database.engine import Database
from dicom_ai_node.observe import server
from dicom_ai_node.observe.answers import Answers
from dicom_ai_node.observe.observed import Observed
from dicom_ai_node.observe.server import Server
from dicom_ai_node.spool import Spool
from tests.database.made import claimed, enqueued
from tests.observe.scraped import get, serving


def connect(address: str) -> socket.socket:
    port = urlsplit(address).port
    assert port is not None
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def read_all(connection: socket.socket) -> bytes:
    """Until the other side closes, kindly or not."""
    said = b""
    try:
        while piece := connection.recv(65536):
            said += piece
    except ConnectionResetError:
        pass
    return said


@pytest.mark.usefixtures("alive")
def test_health(address: str) -> None:
    assert get(f"{address}/health/live")[:2] == (200, "alive\n")
    assert get(f"{address}/health/ready")[:2] == (200, "ready\n")


@pytest.mark.usefixtures("alive")
def test_a_drained_node_is_not_ready(address: str, spool: Spool) -> None:
    """It is alive, and takes nothing new; and the status says so."""
    assert json.loads(get(f"{address}/status.json").body)["draining"] is False
    draining.begin(spool)
    status, body, _ = get(f"{address}/health/ready")
    assert (status, body) == (503, "drained by an operator: nothing new is taken\n")
    assert get(f"{address}/health/live").status == 200
    assert json.loads(get(f"{address}/status.json").body)["draining"] is True
    draining.end(spool)
    assert get(f"{address}/health/ready").status == 200


def test_a_node_whose_roles_never_started_is_not_ready(address: str) -> None:
    status, body, _ = get(f"{address}/health/ready")
    assert status == 503
    assert body.splitlines() == [f"{r} has not started" for r in ("receive", "work", "deliver")]


def test_status_counts(address: str, database: Database) -> None:
    with database.write() as connection:
        enqueued(connection, "a")
        enqueued(connection, "b")
        claimed(connection)
    status, body, headers = get(f"{address}/status.json")
    counted = json.loads(body)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert (counted["jobs"]["queued"], counted["jobs"]["running"]) == (1, 1)
    assert (counted["studies"]["receiving"], counted["instances"]) == (1, 1)


def test_the_root_says_where_things_are(address: str) -> None:
    status, body, headers = get(f"{address}/")
    assert status == 200
    for path in ("/metrics", "/health/live", "/health/ready", "/status.json"):
        assert path in body
        assert get(f"{address}{path}").status in (200, 503)
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"].strip() == "dicom_ai_node"


@pytest.mark.parametrize("path", ["/x", "/status", "/../node.db", "/health", "/metrics/"])
def test_there_is_nothing_else(address: str, path: str) -> None:
    assert get(f"{address}{path}").status == 404


def break_(database: Database, how: str) -> None:
    if how == "no tables":
        with database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE tally RENAME TO aside")
    else:
        database.path.write_bytes(b"this is no database" * 1000)


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("how", ["no tables", "no database"])
@pytest.mark.parametrize("path", ["/health/ready", "/status.json"])
def test_a_database_that_does_not_answer_is_not_ready(
    address: str, database: Database, how: str, path: str
) -> None:
    break_(database, how)
    assert get(f"{address}{path}")[:2] == (503, "the database does not answer\n")
    assert get(f"{address}/health/live").status == 200


def test_a_head_is_answered_without_a_body(address: str) -> None:
    with connect(address) as client:
        client.sendall(b"HEAD /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = read_all(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200")
    assert body == b""


@pytest.mark.parametrize(
    "said",
    [
        b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        b"DELETE /status.json HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n",
        b"GET\r\n\r\n",
    ],
)
def test_nothing_but_reading_is_served(address: str, said: bytes) -> None:
    with connect(address) as client:
        client.sendall(said)
        assert b" 200 " not in read_all(client)
    assert get(f"{address}/health/live").status == 200


@pytest.mark.parametrize(
    "head", [b"GET /" + b"x" * 100_000, b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000]
)
def test_a_head_that_does_not_end_is_not_read_for_ever(address: str, head: bytes) -> None:
    with connect(address) as client:
        try:
            client.sendall(head)
        except OSError:  # it was closed meanwhile
            return
        assert b" 200 " not in read_all(client)
    assert get(f"{address}/health/live").status == 200


def test_a_client_that_drips_is_left_alone_after_a_while(observed: Observed) -> None:
    """However steadily it sends: the time is that of the whole head."""
    slow = Server(("127.0.0.1", 0), Answers(observed), request_s=0.5)
    with serving(slow) as address, connect(address) as client:
        began = time.monotonic()
        client.settimeout(0.05)
        while time.monotonic() - began < 10:
            try:
                client.sendall(b"x")
                if not client.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert time.monotonic() - began < 5
        assert get(f"{address}/health/live").status == 200


def test_clients_that_hold_every_place_give_them_back(observed: Observed) -> None:
    """One more is closed at once; when the silent ones are sent away, others are answered."""
    slow = Server(("127.0.0.1", 0), Answers(observed), request_s=1)
    with serving(slow) as address:
        silent = [connect(address) for _ in range(server.CONNECTIONS)]
        with connect(address) as one_more:
            assert read_all(one_more) == b""
        for each in silent:
            assert read_all(each) == b""
            each.close()
        assert get(f"{address}/health/live").status == 200
