"""The queue of a DICOMweb peer: what waits is delivered in the end, once, as it was made."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.deliver import PeerQueue
from dicom_ai_node.job import JobState
from dicom_ai_node.peers.open import open_peer
from dicom_ai_node.spool import Spool
from dicom_ai_node.uids import derived_uid
from tests.delivering import KINDS, pass_time, queue_of, ready, rows, state, told
from tests.peers.dicomweb.server import DicomwebServer, Reply, Request, says, takes_all

HOUR_S = 3600.0


@pytest.fixture
def to(config: Config, spool: Spool, database: Database) -> Callable[[DicomwebServer], PeerQueue]:
    def opened(server: DicomwebServer) -> PeerQueue:
        peer = open_peer(server.settings(timeout_s=0.5), config.node)
        return queue_of(peer, config, spool, database)

    return opened


def test_what_waits_during_an_outage_is_drained_oldest_first_and_once(
    spool: Spool, database: Database, to: Callable[[DicomwebServer], PeerQueue]
) -> None:
    now = database.now()
    jobs = [ready(spool, database, f"{number:02}" * 32, now=now + number) for number in range(12)]
    server = DicomwebServer()
    with server.running():
        pass
    queue = to(server)
    now = pass_time(queue, now + 12, now + 6 * HOUR_S, step_s=120, until=lambda: False)
    assert {state(database, job) for job in jobs} == {JobState.READY}
    with server.running():
        pass_time(queue, now, now + 600, until=lambda: state(database, jobs[-1]) is JobState.DONE)
    assert {state(database, job) for job in jobs} == {JobState.DONE}
    sent = [path.read_bytes() for job in jobs for path in sorted(_files(spool, job.key))]
    assert server.stored == sent
    assert len(server.requests) <= 3  # many objects in one request


@pytest.mark.fault("F1")
@pytest.mark.parametrize("status", [403, 502, 503])
def test_a_gateway_without_its_service_is_asked_seldom_and_everything_is_delivered_after_it(
    spool: Spool, database: Database, to: Callable[[DicomwebServer], PeerQueue], status: int
) -> None:
    """Also what comes behind an object that it refuses still."""
    now = database.now()
    bad, *others = [ready(spool, database, letter * 64, now=now) for letter in "abcdef"]
    poison = derived_uid(bad.key, "seg")

    def fails_at_it(request: Request) -> Reply:
        return Reply(status=status) if poison in request.uids else takes_all(request)

    with DicomwebServer(answer=lambda _: Reply(status=status)).running() as server:
        queue = to(server)
        now = pass_time(queue, now, now + 6 * HOUR_S, step_s=20, until=lambda: False)
        assert len(server.requests) < 6 * HOUR_S / queue.settings.backoff_max_s * 2
        assert {state(database, job) for job in (bad, *others)} == {JobState.READY}
        server.answer = fails_at_it
        done: Callable[[], bool] = lambda: (  # noqa: E731
            {state(database, job) for job in others} == {JobState.DONE}
        )
        pass_time(queue, now, now + 2 * HOUR_S, step_s=100, until=done)
        assert done()


def _files(spool: Spool, key: str) -> list[Path]:
    return list(spool.outbox_path(key).glob("*.dcm"))


def test_an_answer_is_on_record_for_each_object(
    spool: Spool, database: Database, to: Callable[[DicomwebServer], PeerQueue]
) -> None:
    def no_reports(request: Request) -> Reply:
        seg, sr = request.uids
        return says([seg], {sr: 0xA700}, status=202)

    job = ready(spool, database)
    with DicomwebServer(answer=no_reports).running() as server:
        queue = to(server)
        queue.deliver_due(now=database.now())
        assert rows(database, job) == [("seg", "stored", 1), ("sr", "pending", 1)]
        server.answer = takes_all
        queue.deliver_due(now=database.now() + 1000)
    assert state(database, job) is JobState.DONE
    assert [request.uids for request in server.requests] == [
        [derived_uid(job.key, kind) for kind in KINDS],
        [derived_uid(job.key, "sr")],
    ]


@pytest.mark.parametrize("status", [403, 302])
def test_a_service_that_does_not_take_us_is_an_alarm_and_nothing_is_given_up(
    spool: Spool, database: Database, to: Callable[[DicomwebServer], PeerQueue], status: int
) -> None:
    job = ready(spool, database)
    with DicomwebServer(answer=lambda _: Reply(status=status)).running() as server:
        queue = to(server)
        begin = database.now()
        with told() as logs:
            pass_time(queue, begin, begin + 6 * HOUR_S, step_s=200, until=lambda: False)
        assert state(database, job) is JobState.READY
        assert [each for each in logs if each["log_level"] == "error"]
        assert len(server.requests) < 400
        server.answer = takes_all
        pass_time(
            queue,
            begin + 6 * HOUR_S,
            begin + 7 * HOUR_S,
            step_s=100,
            until=lambda: state(database, job) is JobState.DONE,
        )
    assert state(database, job) is JobState.DONE


@pytest.mark.fault("F7", "F8")
@pytest.mark.parametrize("status", [0, None, 500, 408, 502, 503, 504, 403])
def test_an_object_at_which_the_service_fails_holds_up_no_other(
    spool: Spool,
    database: Database,
    to: Callable[[DicomwebServer], PeerQueue],
    status: int | None,
) -> None:
    """A gateway may answer for it. It is delivered itself once the service is mended."""
    now = database.now()
    bad, *others = [ready(spool, database, letter * 64, now=now) for letter in "abc"]
    poison = derived_uid(bad.key, "seg")

    def fails_at_it(request: Request) -> Reply:
        return Reply(status=status) if poison in request.uids else takes_all(request)

    with DicomwebServer(answer=fails_at_it).running() as server:
        queue = to(server)

        def others_are_done() -> bool:
            return {state(database, job) for job in others} == {JobState.DONE}

        now = pass_time(queue, now, now + HOUR_S, step_s=100, until=others_are_done)
        assert others_are_done()
        assert state(database, bad) is JobState.READY
        server.answer = takes_all
        done: Callable[[], bool] = lambda: state(database, bad) is JobState.DONE  # noqa: E731
        pass_time(queue, now, now + HOUR_S, step_s=100, until=done)
        assert done()
