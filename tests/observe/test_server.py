"""The status page, and what machines ask."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from dicom_ai_node.config.observe import MetricsSettings
from dicom_ai_node.database.engine import Database
from dicom_ai_node.observe.server import make_server
from tests.database.made import claimed, enqueued


@pytest.fixture
def address(database: Database) -> Iterator[str]:
    server = make_server(MetricsSettings(port=0), database)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def get(url: str) -> tuple[int, str, dict[str, str]]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 — our own http
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), dict(error.headers)


def test_health(address: str) -> None:
    assert get(f"{address}/health/live")[:2] == (200, "alive\n")
    assert get(f"{address}/health/ready")[:2] == (200, "ready\n")


def test_a_drained_node_is_not_ready(database: Database) -> None:
    """It is alive, and takes nothing new."""
    server = make_server(MetricsSettings(port=0), database, lambda: True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        status, body, _ = get(f"{address}/health/ready")
        assert (status, body) == (503, "drained by an operator: nothing new is taken\n")
        assert get(f"{address}/health/live")[0] == 200
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_status_counts(address: str, database: Database) -> None:
    with database.write() as connection:
        enqueued(connection, "a")
        enqueued(connection, "b")
        claimed(connection)
    status, body, headers = get(f"{address}/status.json")
    counted = json.loads(body)
    assert (status, headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert (counted["jobs"]["queued"], counted["jobs"]["running"]) == (1, 1)
    assert (counted["studies"]["receiving"], counted["instances"]) == (1, 1)


def test_the_page_shows_text_as_text(address: str, database: Database) -> None:
    with database.write() as connection:
        enqueued(connection, outcome="not_suitable", reason="<script>alert('x')</script> & more")
    status, body, headers = get(f"{address}/")
    assert status == 200
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; more" in body
    assert "<script" not in body
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"].strip() == "dicom_ai_node"


def test_the_page_of_an_idle_node(address: str) -> None:
    status, body, _ = get(f"{address}/")
    assert status == 200
    assert "<b>Jobs:</b> none" in body


@pytest.mark.parametrize("path", ["/x", "/status", "/../node.db", "/health"])
def test_there_is_nothing_else(address: str, path: str) -> None:
    assert get(f"{address}{path}")[0] == 404


def break_(database: Database, how: str) -> None:
    if how == "no tables":
        with database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE tally RENAME TO aside")
    else:
        database.path.write_bytes(b"this is no database" * 1000)


@pytest.mark.parametrize("how", ["no tables", "no database"])
@pytest.mark.parametrize("path", ["/", "/health/ready", "/status.json"])
def test_a_database_that_does_not_answer_is_not_ready(
    address: str, database: Database, how: str, path: str
) -> None:
    break_(database, how)
    status, body, _ = get(f"{address}{path}")
    assert (status, body) == (503, "the database does not answer\n")
    assert get(f"{address}/health/live")[0] == 200
