"""Faults of a peer, brought about by a bad PACS: what becomes of the object, of the others, and of
the next good one."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    ImplicitVRLittleEndian,
    SegmentationStorage,
)

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, waiting
from dicom_ai_node.database.engine import Database
from dicom_ai_node.deliver import PeerQueue
from dicom_ai_node.job import Job, JobState
from dicom_ai_node.peers.open import open_peer
from dicom_ai_node.spool import Spool
from dicom_ai_node.uids import derived_uid
from tests.database.made import again
from tests.delivering import grow, later, made, queue_of, ready, rows, state, statuses, told
from tests.peers.bad_pacs import (
    ABORTS,
    BREAKS,
    CONGESTED,
    KEEPS,
    KEEPS_AND_ABORTS,
    UNKNOWN_CALLED,
    UNKNOWN_CALLING,
    BadPacs,
    Deed,
    Refusal,
    answers,
    renames,
)
from tests.peers.pacs import Pacs

DELIVERED = [("seg", "stored", 1), ("sr", "stored", 1)]

To = Callable[[Pacs], PeerQueue]


@pytest.fixture
def to(config: Config, spool: Spool, database: Database) -> To:
    return lambda pacs: queue_of(pacs, config, spool, database)


def alarms(logs: Sequence[Any]) -> list[str]:
    return [each["event"] for each in logs if each["log_level"] == "error"]


@pytest.mark.fault("F1")
@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 64], ids=str)
def test_a_host_without_an_address_is_tried_again(
    spool: Spool, database: Database, config: Config, to: To, host: str
) -> None:
    """The name service may be down; a result is none the worse for it."""
    job = ready(spool, database)
    with BadPacs().running() as pacs:
        lost = pacs.settings.model_copy(update={"host": host})
        nowhere = queue_of(open_peer(lost, config.node), config, spool, database)
        assert nowhere.deliver_due(now=database.now()) == 2
        assert rows(database, job) == [("seg", "pending", 1), ("sr", "pending", 1)]
        assert f"{host}:{pacs.port} has no address" in statuses(database, job)[0]
        to(pacs).deliver_due(now=later(database))
    assert (state(database, job), pacs.kept) == (JobState.DONE, made(spool, job))


@pytest.mark.fault("F2")
def test_a_peer_that_is_congested_is_tried_again_soon(
    spool: Spool, database: Database, to: To
) -> None:
    job, now = ready(spool, database), database.now()
    with BadPacs(refusals=[CONGESTED, CONGESTED]).running() as pacs, told() as logs:
        queue = to(pacs)
        queue.deliver_due(now=now)
        assert "refused the association for now (2,3,1)" in statuses(database, job)[0]
        assert 1 <= queue.contact.until - now <= 3
        queue.deliver_due(now=now + 5)
        queue.deliver_due(now=now + 15)
    assert (state(database, job), pacs.kept) == (JobState.DONE, made(spool, job))
    assert alarms(logs) == []


@pytest.mark.fault("F2")
@pytest.mark.parametrize(
    ("refusal", "fix"),
    [
        (UNKNOWN_CALLING, "does not know the AE title AI_NODE: enter this node there"),
        (UNKNOWN_CALLED, "it is not called PACS: correct ae_title of this peer"),
        ((1, 1, 1), "its log says why"),
    ],
)
def test_a_peer_that_refuses_us_for_good_is_an_alarm_at_once_and_is_tried_slowly(
    spool: Spool, database: Database, to: To, config: Config, refusal: Refusal, fix: str
) -> None:
    """Until somebody enters the node there; nothing is given up before its age."""
    job, now = ready(spool, database), database.now()
    longest = config.delivery.backoff_max_s
    with BadPacs(refusals=[refusal, refusal]).running() as pacs:
        queue = to(pacs)
        with told() as logs:
            queue.deliver_due(now=now)
        assert alarms(logs) == ["peer_refuses_us"]
        assert fix in statuses(database, job)[0]
        assert longest / 2 <= queue.contact.until - now <= longest + 1
        with told() as logs:
            queue.deliver_due(now=now + longest + 2)
        assert alarms(logs) == []  # it is no news
        assert queue.deliver_due(now=now + 1.4 * longest) == 0
        queue.deliver_due(now=now + 2 * longest + 4)
    assert (state(database, job), pacs.kept) == (JobState.DONE, made(spool, job))


@pytest.mark.fault("F3")
@pytest.mark.parametrize(
    ("taken", "refused"),
    [(ComprehensiveSRStorage, "seg"), (SegmentationStorage, "sr")],
    ids=["sr alone", "seg alone"],
)
def test_what_the_peer_takes_is_delivered_and_the_job_says_what_is_missing(
    spool: Spool, database: Database, to: To, taken: UID, refused: str
) -> None:
    job = ready(spool, database)
    there = "sr" if refused == "seg" else "seg"
    pacs = BadPacs(sop_classes=[taken])
    with pacs.running(), told() as logs:
        to(pacs).deliver_due(now=database.now())
    assert {kind: said for kind, said, _ in rows(database, job)} == {
        refused: "refused",
        there: "stored",
    }
    assert alarms(logs) == ["object_refused"]
    with database.read() as connection:
        current = again(connection, job)
    text = str(current.error_text)
    assert current.state is JobState.UNDELIVERED
    assert text.startswith(f"{refused} for pacs: the peer takes no ")
    assert text.endswith(f"(delivered: {there} to pacs)")
    _retried(database, job, spool, to, pacs)


def _retried(database: Database, job: Job, spool: Spool, to: To, pacs: BadPacs) -> None:
    """By a person, when the peer takes everything: what is missing, unchanged."""
    pacs.sop_classes = (SegmentationStorage, ComprehensiveSRStorage)
    with database.write() as connection:
        assert deliveries.retry(connection, again(connection, job), now=database.now()) == 1
    with pacs.running():
        to(pacs).deliver_due(now=later(database))
    assert state(database, job) is JobState.DONE
    assert pacs.kept == made(spool, job)
    assert set(pacs.times.values()) == {1}


@pytest.mark.fault("F4")
@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (0xA700, "pending", "A700: it is out of resources"),
        (0xC000, "refused", "C000: it cannot understand the object: its log says why"),
        (0x0122, "refused", "0122: it does not take this SOP class"),
        (0x1234, "refused", "1234: a failure that the standard does not name"),
    ],
    ids=lambda value: f"{value:04X}" if isinstance(value, int) else "",
)
def test_a_failure_is_tried_again_or_is_an_alarm(
    spool: Spool, database: Database, to: To, status: int, said: str, words: str
) -> None:
    """The other object of the job, and the next result, are delivered."""
    bad, good = ready(spool, database), ready(spool, database, "cd" * 32)
    with BadPacs(deeds=[answers(status)]).running() as pacs:
        queue = to(pacs)
        with told() as logs:
            queue.deliver_due(now=database.now())
        assert rows(database, bad) == [("seg", said, 1), ("sr", "stored", 1)]
        assert statuses(database, bad)[0] == words
        assert rows(database, good) == DELIVERED
        assert alarms(logs) == (["object_refused"] if said == "refused" else [])
        for seconds in (10, 1000, 5000):
            queue.deliver_due(now=later(database, seconds))
    times = pacs.times[derived_uid(bad.key, "seg")]
    assert times == (2 if said == "pending" else 1)
    assert pacs.kept.items() >= made(spool, good).items()


@pytest.mark.fault("F5")
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0xB000, "B000: it altered elements"),
        (0xB006, "B006: it discarded elements"),
        (0xB007, "B007: it finds that the data set does not match the SOP class"),
    ],
    ids=lambda value: f"{value:04X}" if isinstance(value, int) else "",
)
def test_a_warning_is_a_delivery_and_is_kept(
    spool: Spool, database: Database, to: To, status: int, words: str
) -> None:
    job = ready(spool, database)
    with BadPacs(deeds=[answers(status)]).running() as pacs, told() as logs:
        queue = to(pacs)
        queue.deliver_due(now=database.now())
        assert queue.deliver_due(now=later(database)) == 0
    assert (rows(database, job), state(database, job)) == (DELIVERED, JobState.DONE)
    assert statuses(database, job) == [words, "0000"]
    (warned,) = (each for each in logs if each["log_level"] == "warning")
    assert (warned["event"], warned["status"]) == ("object_stored_with_warning", words)
    assert pacs.kept == made(spool, job)


@pytest.mark.fault("F7")
@pytest.mark.parametrize("deed", [ABORTS, BREAKS], ids=["abort", "broken off"])
@pytest.mark.parametrize("before", [0, 1])
def test_what_was_stored_before_an_association_ended_is_not_sent_again(
    spool: Spool, database: Database, to: To, deed: Deed, before: int
) -> None:
    """In the middle of the first object, or of the second."""
    job = ready(spool, database)
    with BadPacs(deeds=[KEEPS] * before + [deed]).running() as pacs:
        queue = to(pacs)
        queue.deliver_due(now=database.now())
        assert queue.deliver_due(now=later(database, 0.1)) == 1 - before  # nothing befell it
        queue.deliver_due(now=later(database))
    assert state(database, job) is JobState.DONE
    assert pacs.kept == made(spool, job)
    uid = derived_uid(job.key, "sr" if before else "seg")
    other = derived_uid(job.key, "seg" if before else "sr")
    assert (pacs.times[uid], pacs.times[other]) == (1 if deed is BREAKS else 2, 1)


@pytest.mark.fault("F14")
def test_an_answer_that_was_lost_is_no_second_object(
    spool: Spool, database: Database, to: To
) -> None:
    """The peer has it, and says so when it comes again under its UID."""
    job = ready(spool, database)
    with BadPacs(deeds=[KEEPS_AND_ABORTS, KEEPS, answers(0x0111)]).running() as pacs:
        queue = to(pacs)
        for seconds in (0.0, 0.1, 1000.0):
            queue.deliver_due(now=later(database, seconds))
    assert state(database, job) is JobState.DONE
    assert pacs.kept == made(spool, job)


@pytest.mark.fault("F11")
def test_a_peer_that_says_that_it_changed_an_object_is_told_of_and_is_not_sent_it_again(
    spool: Spool, database: Database, to: To
) -> None:
    job = ready(spool, database)
    with BadPacs(deeds=[renames("2.25.4711")]).running() as pacs, told() as logs:
        queue = to(pacs)
        queue.deliver_due(now=database.now())
        queue.deliver_due(now=later(database))
    assert (rows(database, job), state(database, job)) == (DELIVERED, JobState.DONE)
    assert set(pacs.times.values()) == {1}
    warned = [each["status"] for each in logs if each["log_level"] == "warning"]
    assert warned == ["B000: it altered elements"]


@pytest.mark.fault("F12")
@pytest.mark.parametrize("syntaxes", [None, [ImplicitVRLittleEndian]], ids=["both", "implicit"])
def test_short_pdus_and_implicit_vr_are_no_hindrance(
    spool: Spool, database: Database, to: To, syntaxes: list[UID] | None
) -> None:
    job = ready(spool, database)
    grow(spool, database, job, 50_000)  # many PDUs
    pacs = BadPacs(max_pdu=4096, **({"syntaxes": syntaxes} if syntaxes else {}))
    with pacs.running():
        to(pacs).deliver_due(now=database.now())
    assert state(database, job) is JobState.DONE
    assert set(pacs.times.values()) == {1}
    assert (pacs.kept == made(spool, job)) is (syntaxes is None)


@pytest.mark.fault("F12")
def test_of_a_peer_with_one_context_one_object_is_delivered_and_the_other_is_named(
    spool: Spool, database: Database, to: To
) -> None:
    job = ready(spool, database)
    with BadPacs(accepts_one_context=True).running() as pacs:
        to(pacs).deliver_due(now=database.now())
    assert sorted(said for _, said, _ in rows(database, job)) == ["refused", "stored"]
    assert state(database, job) is JobState.UNDELIVERED
    assert len(pacs.kept) == 1


@pytest.mark.fault("F13")
def test_results_for_a_peer_that_is_no_longer_configured_are_kept_and_named(
    spool: Spool, database: Database, to: To
) -> None:
    """When it is there again, they go out as they were made."""
    job = ready(spool, database)
    other = ready(spool, database, "cd" * 32, send_to=("archive",))
    with database.write() as connection:
        assert waiting.mark_orphans(connection, {"archive"}) == {"pacs": 2}
        assert waiting.peers_of(connection, [job.id, other.id]) == {
            job.id: {"pacs"},
            other.id: {"archive"},
        }
    assert rows(database, job) == [("seg", "pending", 0), ("sr", "pending", 0)]
    assert "pacs is no longer under peers:" in statuses(database, job)[0]
    assert statuses(database, other) == [None, None]
    with BadPacs().running() as pacs:
        to(pacs).deliver_due(now=later(database, 30 * 86_400))
    assert (rows(database, job), statuses(database, job)) == (DELIVERED, ["0000", "0000"])
    assert pacs.kept == made(spool, job)
