"""SIGTERM to a node that is at work: it finishes what it can, gives back the rest, and exits 0."""

import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import SecondaryCaptureImageStorage

from dicom_ai_node.database import jobs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import JobState
from tests import dicom_factory
from tests.acceptance.node_process import NodeProcess
from tests.peers.pacs import Pacs
from tests.receive.raw_scu import Reply, c_store, data_set, fresh, raw_association
from tests.receive.scu import CT, association, refusal
from tests.retraction.site import EVERY_CLASS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DRAIN_S = 6
TEMPORARY_CONGESTION = (2, 3, 1)


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    made = Pacs(sop_classes=[*EVERY_CLASS, SecondaryCaptureImageStorage])
    with made.running():
        yield made


@pytest.fixture
def node(tmp_path: Path, threshold_store: Path, pacs: Pacs) -> Iterator[NodeProcess]:
    said: dict[str, Any] = {
        "models": threshold_store,
        "peers": {
            "pacs": {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs.port}
        },
        "routes": [{"model": "threshold-ct", "send_to": ["pacs"]}],
    }
    made = NodeProcess(tmp_path / "node", **said)
    made.configure(**said, drain_s=DRAIN_S)
    yield made
    if made.process is not None:
        made.kill()


def ends(node: NodeProcess) -> int:
    assert node.process is not None
    status = node.process.wait(timeout=90)
    node.process = None
    return status


def rows(node: NodeProcess) -> list[Any]:
    database = Database(f"sqlite:///{node.home}/var/node.db")
    with closing(database), database.read() as connection:
        return [(job.state, job.attempts, job.lease_id) for job in jobs.listing(connection)]


def test_an_object_that_is_on_its_way_is_finished_and_nobody_else_let_in(
    node: NodeProcess,
) -> None:
    """A second SIGTERM changes nothing."""
    node.start(timeout_s=200)
    assert node.process is not None
    uids = fresh()
    data = data_set(uids)
    with raw_association(node.port) as scu:
        scu.send_command(c_store(uids))
        scu.send_data(data[: len(data) // 2], is_last=False)
        node.process.send_signal(signal.SIGTERM)
        node.wait(lambda: '"stopping"' in node.log())
        refused = False
        while not refused:  # from the moment on at which the signal has come there
            with association(node.port, [CT]) as late:
                if late.is_rejected:
                    assert refusal(late) == TEMPORARY_CONGESTION
                    refused = True
        node.process.send_signal(signal.SIGTERM)
        scu.send_data(data[len(data) // 2 :])
        answer = scu.answer()
        assert isinstance(answer, Reply)
        assert answer.status == 0x0000
        scu.release()
    assert ends(node) == 0
    with sqlite3.connect(node.home / "var" / "node.db") as database:
        stored = database.execute("SELECT sop_instance_uid FROM instance").fetchall()
    assert stored == [(uids.sop_instance,)]


def test_an_attempt_is_given_back_and_a_delivery_left_for_the_next_start(
    node: NodeProcess, pacs: Pacs
) -> None:
    """The first stop comes within an attempt, the second within a C-STORE that the peer does not
    answer, while somebody locks the database: each ends in time, and nothing is lost or doubled."""
    node.start(timeout_s=200)
    with association(node.port, [CT]) as assoc:
        for ds in dicom_factory.series(name="stopped", shape=(60, 64, 64)):
            assert assoc.send_c_store(ds).Status == 0x0000
    node.wait(lambda: rows(node) and rows(node)[0][0] is JobState.RUNNING, timeout_s=120)
    assert node.stop() == 0
    assert rows(node) in ([(JobState.QUEUED, 0, None)], [(JobState.READY, 1, None)])

    hangs, asked = threading.Event(), threading.Event()

    def hang(_: object) -> int:
        asked.set()
        hangs.wait(60)
        return 0xA700

    good, pacs.answer = pacs.answer, hang
    node.start(timeout_s=200)
    assert asked.wait(120)
    assert node.process is not None
    with closing(sqlite3.connect(node.home / "var" / "node.db", isolation_level=None)) as locker:
        locker.execute("PRAGMA busy_timeout = 30000")
        locker.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        node.process.terminate()
        assert ends(node) == 0
        assert time.monotonic() - began < DRAIN_S + 40  # a drain, and the longest wait for a lock
        locker.execute("ROLLBACK")
    assert rows(node) == [(JobState.READY, 1, None)]
    hangs.set()
    pacs.answer = good
    pacs.received.clear()

    node.start(timeout_s=200)
    node.wait(lambda: rows(node)[0][0] is JobState.DONE, timeout_s=120)
    uids = [uid for uid, *_ in pacs.received]
    assert len(uids) == len(set(uids)) == 3
    assert node.stop() == 0
