"""A job in several forms: a peer is sent the first that it takes, and never anything of two."""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pytest
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom.sop_class import LabelMapSegmentationStorage  # type: ignore[attr-defined]

from dicom_ai_node.config.result_forms import ResultForms
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries
from dicom_ai_node.database.engine import Database
from dicom_ai_node.deliver import PeerQueue
from dicom_ai_node.job import DeliveryState, Job, JobState, OutboxObject
from dicom_ai_node.peers.open import open_peer
from dicom_ai_node.peers.peer import NOT_SENT, Offer, StoreOutcome
from dicom_ai_node.spool import Spool
from tests.database.made import again, claimed, enqueued
from tests.peers.pacs import Pacs, an_object

KEY = "ab" * 32
CLASSES: Mapping[str, UID] = {
    "labelmap": LabelMapSegmentationStorage,
    "seg": SegmentationStorage,
    "sr of the labelmap": Comprehensive3DSRStorage,
    "sr": Comprehensive3DSRStorage,
    "flat sr": ComprehensiveSRStorage,
    "summary": SecondaryCaptureImageStorage,
}
NAMES = tuple(CLASSES)
EVERYTHING = tuple(CLASSES.values())
# those of the forms in which each of them is
FORMS: Mapping[str, tuple[str, ...]] = {
    "labelmap": ("labelmap+comprehensive_3d+summary",),
    "seg": ("binary+comprehensive_3d+summary", "binary+comprehensive+summary"),
    "sr of the labelmap": ("labelmap+comprehensive_3d+summary",),
    "sr": ("binary+comprehensive_3d+summary",),
    "flat sr": ("binary+comprehensive+summary",),
    "summary": (
        "labelmap+comprehensive_3d+summary",
        "binary+comprehensive_3d+summary",
        "binary+comprehensive+summary",
    ),
}
LABELMAP_FIRST = ResultForms(segmentation=("labelmap", "binary"))
BINARY = ResultForms()
FLAT_AT_LAST = ResultForms(report=("comprehensive_3d", "comprehensive"))


def uid_of(name: str) -> str:
    return f"2.25.{1000 + NAMES.index(name)}"


def names(pacs: Pacs) -> list[str]:
    """What came, in its order."""
    by_uid = {uid_of(name): name for name in NAMES}
    return [by_uid[uid] for uid, _, _ in pacs.received]


def without(*sop_classes: UID) -> list[UID]:
    return [each for each in EVERYTHING if each not in sop_classes]


def refusing(*sop_classes: UID) -> Callable[[UID], int]:
    """A PACS that takes every context, and looks at the SOP class only then."""
    return lambda sop_class: 0x0122 if sop_class in sop_classes else 0x0000


def ready(
    spool: Spool,
    database: Database,
    ladders: Mapping[str, ResultForms],
    *,
    syntaxes: Mapping[str, UID] | None = None,
    left_out: Collection[str] = (),
    **sizes: int,
) -> Job:
    """A job for these peers with all that its forms need; `sizes` are those of the SEG."""
    objects = []
    for number, name in enumerate((each for each in NAMES if each not in left_out), start=1):
        kind = "sr" if "sr" in name else name
        path = spool.outbox_path(KEY) / f"{number}-{kind}.dcm"
        syntax = (syntaxes or {}).get(name, ExplicitVRLittleEndian)
        an_object(path, CLASSES[name], uid_of(name), syntax)
        written = OutboxObject(
            kind=kind,
            sop_class_uid=CLASSES[name],
            sop_instance_uid=uid_of(name),
            series_instance_uid=f"{uid_of(name)}.1",
            file=path.name,
            forms=FORMS[name],
            **(sizes if name in ("seg", "labelmap") else {}),
        )
        objects.append(written)
    now = database.now()
    with database.write() as connection:
        enqueued(connection, KEY, now=now, send_to=tuple(ladders))
        job = claimed(connection, now=now)
        deliveries.publish(
            connection,
            job,
            objects,
            outcome="findings",
            reason=None,
            timings={},
            now=now,
            forms=ladders,
        )
        return again(connection, job)


def states(database: Database, job: Job, peer: str = "pacs") -> dict[str, str]:
    by_uid = {uid_of(name): name for name in NAMES}
    with database.read() as connection:
        rows = deliveries.of_job(connection, job.id)
    return {by_uid[row["sop_instance_uid"]]: row["state"] for row in rows if row["peer"] == peer}


def state(database: Database, job: Job) -> JobState:
    with database.read() as connection:
        return again(connection, job).state


@pytest.fixture
def to(config: Config, spool: Spool, database: Database) -> Callable[..., PeerQueue]:
    def queue(pacs: Pacs, name: str = "pacs") -> PeerQueue:
        return PeerQueue(
            name=name,
            peer=open_peer(pacs.settings, config.node),
            spool=spool,
            database=database,
            settings=config.delivery,
            jitter=random.Random(1),  # noqa: S311 - jitter
        )

    return queue


def drained(queue: PeerQueue, database: Database, *, after_s: float = 0) -> int:
    """Associations until nothing is due any more."""
    number = 0
    while queue.deliver_due(now=database.now() + after_s):
        number += 1
        assert number < 10
    return number


def test_the_first_form_is_sent_and_the_others_stay_here(
    spool: Spool, database: Database, to: Any
) -> None:
    job = ready(spool, database, {"pacs": LABELMAP_FIRST})
    with Pacs(sop_classes=EVERYTHING).running() as pacs:
        assert drained(to(pacs), database) == 1
    assert names(pacs) == ["labelmap", "sr of the labelmap", "summary"]
    assert states(database, job) == {
        "labelmap": "stored",
        "seg": "spare",
        "sr of the labelmap": "stored",
        "sr": "spare",
        "summary": "stored",
    }
    assert state(database, job) is JobState.DONE


@pytest.mark.result_rule(26)
@pytest.mark.parametrize(
    "pacs",
    [
        Pacs(sop_classes=without(LabelMapSegmentationStorage)),
        Pacs(sop_classes=EVERYTHING, answer=refusing(LabelMapSegmentationStorage)),
    ],
    ids=["no context", "status 0122"],
)
def test_a_form_that_is_not_taken_is_left_for_the_next_with_its_own_report(
    pacs: Pacs, spool: Spool, database: Database, to: Any
) -> None:
    job = ready(spool, database, {"pacs": LABELMAP_FIRST})
    with pacs.running():
        assert drained(to(pacs), database) == 2
    stored = [name for name in names(pacs) if name != "labelmap"]  # 0122: seen, and not kept
    assert sorted(stored) == ["seg", "sr", "summary"]
    assert states(database, job) == {
        "labelmap": "passed",
        "seg": "stored",
        "sr of the labelmap": "passed",
        "sr": "stored",
        "summary": "stored",
    }
    assert state(database, job) is JobState.DONE


@pytest.mark.result_rule(26)
def test_a_syntax_that_is_not_taken_counts_like_a_class(
    spool: Spool, database: Database, to: Any
) -> None:
    ladders = {"pacs": LABELMAP_FIRST}
    job = ready(spool, database, ladders, syntaxes={"labelmap": RLELossless})
    with Pacs(sop_classes=EVERYTHING).running() as pacs:
        drained(to(pacs), database)
    assert sorted(names(pacs)) == ["seg", "sr", "summary"]
    with database.read() as connection:
        (labelmap, *_) = deliveries.of_job(connection, job.id)
    takes_none = "the peer takes no Label Map Segmentation Storage in this transfer syntax"
    assert (labelmap["state"], labelmap["status"]) == ("passed", takes_none)


@pytest.mark.result_rule(26)
@pytest.mark.parametrize(
    "pacs",
    [
        Pacs(sop_classes=without(Comprehensive3DSRStorage)),
        Pacs(sop_classes=EVERYTHING, answer=refusing(Comprehensive3DSRStorage)),
    ],
    ids=["no context", "status 0122"],
)
def test_a_pacs_for_flat_reports_gets_one_and_the_segmentation_once(
    pacs: Pacs, spool: Spool, database: Database, to: Any
) -> None:
    job = ready(spool, database, {"pacs": FLAT_AT_LAST})
    with pacs.running():
        drained(to(pacs), database)
    assert sorted(name for name in names(pacs) if name != "sr") == ["flat sr", "seg", "summary"]
    assert states(database, job)["sr"] == "passed"
    assert state(database, job) is JobState.DONE


def test_on_the_last_rung_the_rest_is_sent(spool: Spool, database: Database, to: Any) -> None:
    job = ready(spool, database, {"pacs": LABELMAP_FIRST})
    refused = (LabelMapSegmentationStorage, SegmentationStorage)
    with Pacs(sop_classes=without(*refused)).running() as pacs:
        drained(to(pacs), database)
    assert sorted(names(pacs)) == ["sr", "summary"]
    assert states(database, job)["seg"] == "refused"
    assert state(database, job) is JobState.UNDELIVERED


def test_what_the_other_forms_have_as_well_is_no_reason_to_offer_them(
    spool: Spool, database: Database, to: Any
) -> None:
    job = ready(spool, database, {"pacs": FLAT_AT_LAST})
    with Pacs(sop_classes=without(SegmentationStorage)).running() as pacs:
        drained(to(pacs), database, after_s=1000)
    assert sorted(names(pacs)) == ["sr", "summary"]
    assert states(database, job) == {
        "seg": "refused",
        "sr": "stored",
        "flat sr": "spare",
        "summary": "stored",
    }


def test_who_takes_no_form_is_offered_the_first_again_by_a_retry(
    spool: Spool, database: Database, to: Any
) -> None:
    """Such a peer does not know this node yet; when it does, it is due the best."""
    job = ready(spool, database, {"pacs": LABELMAP_FIRST}, left_out=["summary"])
    with Pacs(sop_classes=[]).running() as pacs:
        drained(to(pacs), database)
    assert state(database, job) is JobState.UNDELIVERED
    assert states(database, job) == {
        "labelmap": "refused",
        "seg": "spare",
        "sr of the labelmap": "refused",
        "sr": "spare",
    }
    pacs.sop_classes = EVERYTHING
    with database.write() as connection:
        assert deliveries.retry(connection, again(connection, job), now=database.now()) == 2
    with pacs.running():
        drained(to(pacs), database)
    assert names(pacs) == ["labelmap", "sr of the labelmap"]
    assert state(database, job) is JobState.DONE


def test_each_peer_has_its_own_ladder_of_one_job(spool: Spool, database: Database, to: Any) -> None:
    job = ready(spool, database, {"pacs": LABELMAP_FIRST, "old": FLAT_AT_LAST, "ohif": BINARY})
    with Pacs(sop_classes=EVERYTHING).running() as pacs:
        drained(to(pacs), database)
    with Pacs(sop_classes=without(Comprehensive3DSRStorage)).running() as old:
        drained(to(old, "old"), database)
    with Pacs(sop_classes=EVERYTHING).running() as ohif:
        drained(to(ohif, "ohif"), database)
    assert names(pacs) == ["labelmap", "sr of the labelmap", "summary"]
    assert sorted(names(old)) == ["flat sr", "seg", "summary"]
    assert names(ohif) == ["seg", "sr", "summary"]
    assert state(database, job) is JobState.DONE


def test_what_was_begun_in_one_form_is_finished_in_it(
    spool: Spool, database: Database, to: Any
) -> None:
    """Though the node was killed in between, and the peer no longer takes label maps."""
    job = ready(spool, database, {"pacs": LABELMAP_FIRST}, left_out=["summary"])
    with Pacs(sop_classes=EVERYTHING, abort_after=1).running() as pacs:
        to(pacs).deliver_due(now=database.now())
    assert states(database, job)["sr of the labelmap"] == "pending"
    pacs.abort_after, pacs.sop_classes = None, without(LabelMapSegmentationStorage)
    with pacs.running():
        drained(to(pacs), database, after_s=1000)  # a new queue
    assert names(pacs) == ["labelmap", "sr of the labelmap"]
    assert state(database, job) is JobState.DONE


def test_a_killed_node_offers_the_form_that_it_had_come_to(
    spool: Spool, database: Database, to: Any
) -> None:
    ready(spool, database, {"pacs": LABELMAP_FIRST}, left_out=["summary"])
    with Pacs(sop_classes=without(LabelMapSegmentationStorage)).running() as pacs:
        to(pacs).deliver_due(now=database.now())
    assert names(pacs) == []
    pacs.sop_classes = EVERYTHING
    with pacs.running():
        drained(to(pacs), database)
    assert names(pacs) == ["seg", "sr"]


def test_a_full_pacs_is_not_sent_another_form(spool: Spool, database: Database, to: Any) -> None:
    job = ready(spool, database, {"pacs": LABELMAP_FIRST}, left_out=["summary"])
    answers = iter([0xA700, 0xA700, 0x0000, 0x0000])
    with Pacs(sop_classes=EVERYTHING, answer=lambda _: next(answers)).running() as pacs:
        drained(to(pacs), database)
        assert set(states(database, job).values()) == {"pending", "spare"}
        drained(to(pacs), database, after_s=1000)
    assert names(pacs) == ["labelmap", "sr of the labelmap"] * 2


def test_what_is_due_again_is_offered_whole(spool: Spool, database: Database, to: Any) -> None:
    """A report whose turn comes a moment before that of its segmentation is not sent alone."""
    job = ready(spool, database, {"pacs": LABELMAP_FIRST}, left_out=["summary"])
    answers = iter([0xA700] * 2)
    with Pacs(sop_classes=EVERYTHING, answer=lambda _: next(answers)).running() as pacs:
        drained(to(pacs), database)
    assert states(database, job)["labelmap"] == "pending"
    with database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE delivery SET next_try_at = next_try_at + 100 WHERE kind = 'labelmap'"
        )
    pacs.answer, pacs.sop_classes = lambda _: 0, without(LabelMapSegmentationStorage)
    pacs.received.clear()
    with pacs.running():
        to(pacs).deliver_due(now=database.now() + 50)
        drained(to(pacs), database, after_s=50)
    assert names(pacs) == ["seg", "sr"]


@pytest.mark.result_rule(11)
@pytest.mark.parametrize(
    ("limits", "sizes"),
    [
        ({"max_frames": 400}, {"frames": 401}),
        ({"max_segments": 20}, {"segments": 22}),
        ({"max_mb": 1}, {"size": 1_000_001}),
    ],
    ids=["frames", "segments", "megabytes"],
)
def test_what_is_beyond_a_limit_is_not_sent_and_its_report_neither(
    limits: dict[str, int], sizes: dict[str, int], spool: Spool, database: Database, to: Any
) -> None:
    """The form that is left is the report alone; here nobody has made it."""
    job = ready(spool, database, {"pacs": ResultForms(**limits)}, **sizes)
    with Pacs(sop_classes=EVERYTHING).running() as pacs:
        drained(to(pacs), database)
    assert names(pacs) == ["summary"]
    assert states(database, job) == {"summary": "stored"}


class Picky:
    """Takes the first of each offer, and then says that it does not take its class."""

    def store(self, offers: Sequence[Offer]) -> Sequence[Sequence[StoreOutcome]]:
        return [self._answer(len(offer.paths)) for offer in offers]

    def _answer(self, number: int) -> list[StoreOutcome]:
        taken = StoreOutcome(state=DeliveryState.STORED, status="0000")
        refused = StoreOutcome(state=DeliveryState.REFUSED, status="0122", form_refused=True)
        return [taken, refused, *[NOT_SENT] * number][:number]


def test_a_class_that_is_refused_too_late_is_refused_for_good(
    spool: Spool, database: Database, config: Config
) -> None:
    job = ready(spool, database, {"pacs": LABELMAP_FIRST}, left_out=["summary"])
    queue = PeerQueue(
        name="pacs", peer=Picky(), spool=spool, database=database, settings=config.delivery
    )
    queue.deliver_due(now=database.now())
    assert states(database, job) == {
        "labelmap": "stored",
        "sr of the labelmap": "refused",
        "seg": "spare",
        "sr": "spare",
    }
    assert state(database, job) is JobState.UNDELIVERED
