"""A recall at an awkward moment: half of it sent, all of it deleted, or the model back again."""

from collections.abc import Iterator

import pytest
from sqlalchemy import update

from dicom_ai_node.database import deliveries, jobs_of_study, studies
from dicom_ai_node.database.produced import GIVEN_UP
from dicom_ai_node.database.tables import delivery
from dicom_ai_node.errors import NodeError
from dicom_ai_node.job import DeliveryState, JobState
from dicom_ai_node.purge import purge_expired
from tests.peers.archive import Archive
from tests.retraction.site import MODEL, Site, is_of, key, named, notes, received, write_config

YEAR_S = 365 * 86_400


def test_what_was_not_sent_is_never_sent_and_no_note_speaks_of_it(here: Site) -> None:
    here.come("one")
    done = here.retract()
    assert (done["notes"], done["retracted_jobs"]) == ([], 1)
    here.deliver(after=1000)
    assert {is_of(ds, MODEL) for ds in received(here.pacs)} == {False}
    (stopped,) = here.jobs()
    assert stopped.state is JobState.CANCELLED


def test_what_is_perhaps_there_is_in_a_note_of_its_own(here: Site) -> None:
    """An archive may refuse a note over an object that it does not have: the sure ones are safe."""
    here.pacs.abort_after = 1
    here.come("one")
    here.deliver("pacs")
    here.pacs.abort_after = None
    (first, *_) = received(here.pacs)
    told = [each for each in here.retract()["notes"] if each["peer"] == "pacs"]
    assert {each["is_sure"]: len(each["sop_instance_uids"]) for each in told} == {
        True: 1,
        False: 1,
    }
    here.deliver("pacs", after=1000)
    both = [named(note) for note in notes(here.pacs)]
    assert {key(first)} in both
    assert len(both) == 2


def test_what_is_on_its_way_while_the_recall_begins_is_rejected(here: Site) -> None:
    """Another process holds the role of the sender: it may have read the queue just before."""
    here.come("one")
    with here.road.spool.lock("deliver"):
        done = here.retract()
    assert [each["is_sure"] for each in done["notes"]] == [False, False]


def test_an_object_that_was_given_up_may_be_there(here: Site) -> None:
    """Its age ended the tries, and no word of the peer's."""
    here.come("one")
    here.pacs.answer = lambda _: 0xA700
    with here.road.database.write() as connection:
        connection.execute(update(delivery).values(created_at=0.0))
    here.deliver("pacs")
    (made,) = here.jobs()
    with here.road.database.read() as connection:
        rows = [each for each in deliveries.of_job(connection, made.id) if each["peer"] == "pacs"]
    assert {each["state"] for each in rows} == {DeliveryState.REFUSED}
    assert all(each["status"].startswith(GIVEN_UP) for each in rows)
    told = here.retract()["notes"]
    assert [(each["peer"], each["is_sure"]) for each in told] == [("pacs", False)]


def test_what_was_refused_for_good_is_not_rejected(here: Site) -> None:
    here.come("one")
    here.pacs.answer = lambda _: 0xC000
    here.deliver("pacs")
    assert here.retract()["notes"] == []


def test_refused_results_of_a_recalled_model_are_not_sent_after_all(here: Site) -> None:
    here.come("one")
    here.pacs.answer = lambda _: 0xC000
    here.deliver()
    here.retract()
    (made, *_) = here.jobs()
    done = here.say("jobs", "retry", str(made.id))
    assert isinstance(done.exception, NodeError)
    assert "retracted" in str(done.exception)


def test_the_model_comes_back_and_its_results_are_new_objects(here: Site) -> None:
    """The same work of the same model: what a PACS hides under its UID must not be sent again."""
    (image, *_) = here.come("one")
    here.deliver()
    before = {key(ds) for ds in received(here.pacs) if is_of(ds, MODEL)}
    here.retract()
    here.must("models", "enable", MODEL)
    here.must("studies", "judge", image.StudyInstanceUID)
    here.road.intake.settle_quiet(now=here.road.database.now())
    here.road.work()
    here.deliver()
    after = {key(ds) for ds in received(here.pacs) if is_of(ds, MODEL)}
    assert len(after) == 2 * len(before)
    first, note, _, second = here.jobs()
    assert (second.supersedes, second.state) == (first.id, JobState.DONE)
    assert note.subject.startswith("retraction")
    here.retract()
    here.deliver()
    assert named(notes(here.pacs)[-1]) == after - before


def test_judging_a_study_again_takes_no_note_for_a_result(here: Site) -> None:
    (image, *_) = here.come("one")
    here.deliver()
    here.retract()
    with here.road.database.read() as connection:
        row = studies.find(connection, image.StudyInstanceUID)
        assert row is not None
        standing = jobs_of_study.standing_results(connection, row["id"])
    assert {each.model for each in standing} == {"bright"}


def test_a_conflict_in_the_study_does_not_stop_its_note(here: Site) -> None:
    here.come("one")
    here.deliver()
    here.retract()
    (made, *_) = here.jobs()
    with here.road.database.write() as connection:
        jobs_of_study.cancel_of_study(connection, made.study_id, why="conflict", now=0)
    here.deliver()
    assert len(notes(here.pacs)) == 1


def test_a_note_that_was_cancelled_is_made_again(here: Site) -> None:
    here.come("one")
    here.deliver()
    for each in here.retract()["notes"]:
        here.must("jobs", "cancel", str(each["job"]))
    assert len(here.retract()["notes"]) == 2
    here.deliver()
    assert len(notes(here.pacs)) == 1


def purge(here: Site, *, years: int = 1) -> None:
    now = here.road.database.now() + years * YEAR_S
    purge_expired(here.road.config, here.road.spool, here.road.database, now=now)


@pytest.fixture
def purged(here: Site) -> Iterator[tuple[Site, Archive]]:
    """A study, delivered and deleted here and in the folder; and its PACS, which can be asked."""
    made = here.come("one", patient_name="Zoë^山田")
    here.deliver()
    purge(here)
    assert not list((here.home / "spool").glob("outbox/*/*/*.dcm"))
    for path in (here.home / "results").iterdir():
        path.unlink()
    archive = Archive(instances=made)
    with archive.running():
        write_config(here.home, archive.port)
        yield here, archive


def test_after_a_purge_the_peer_says_whose_study_it_is(
    purged: tuple[Site, Archive],
) -> None:
    here, archive = purged
    first = archive.instances[0]
    sent = {key(ds) for ds in received(here.pacs) if is_of(ds, MODEL)}
    here.retract(status=1)  # of the folder nobody knows anything
    here.deliver()
    (note,) = notes(here.pacs)
    assert named(note) == sent
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "StudyID"):
        assert note[keyword].value == first[keyword].value
    assert [query.StudyInstanceUID for query in archive.asked] == [first.StudyInstanceUID]


def test_after_a_purge_a_folder_says_it_as_well(here: Site) -> None:
    """Nobody need be asked: what was delivered there is of the same study."""
    here.come("one")
    here.deliver()
    purge(here)
    done = here.retract()
    assert sorted(each["peer"] for each in done["notes"]) == ["archive", "pacs"]
    here.deliver()
    assert len(notes(here.pacs)) == 1


def test_where_nobody_knows_the_study_any_more_it_is_left_to_the_administrator(
    purged: tuple[Site, Archive],
) -> None:
    here, archive = purged
    archive.instances.clear()
    left = here.retract(status=1)["by_hand"]
    assert sorted(each["peer"] for each in left) == ["archive", "pacs"]
    assert all("deleted here" in each["why"] for each in left)
    assert here.retract(status=1)["notes"] == []


def test_a_peer_that_is_down_is_asked_again_at_the_next_run(purged: tuple[Site, Archive]) -> None:
    here, archive = purged
    write_config(here.home, 1)
    left = here.retract(status=1)["by_hand"][-1]
    assert left["peer"] == "pacs"
    assert "run this again when it answers C-FIND" in left["why"]
    write_config(here.home, archive.port)
    assert [each["peer"] for each in here.retract(status=1)["notes"]] == ["pacs"]


def test_the_note_of_a_purged_study_is_purged_in_its_turn(purged: tuple[Site, Archive]) -> None:
    here, _ = purged
    here.retract(status=1)
    purge(here, years=2)
    assert len(list((here.home / "spool").glob("outbox/*/*/*.dcm"))) == 1  # not sent yet
    here.deliver()
    purge(here, years=2)
    assert not list((here.home / "spool").glob("outbox/*/*/*.dcm"))


def test_what_cannot_be_named_is_left_to_the_administrator(purged: tuple[Site, Archive]) -> None:
    """Rows of a version that did not write down class and series, and their files are gone."""
    here, _ = purged
    with here.road.database.write() as connection:
        connection.execute(update(delivery).values(sop_class_uid="", series_instance_uid=""))
    done = here.retract(status=1)
    assert done["notes"] == []
    assert all("by hand" in each["why"] for each in done["by_hand"])
    assert sum(len(each["sop_instance_uids"]) for each in done["by_hand"]) == 4


def test_rows_of_before_are_named_by_their_files(here: Site) -> None:
    here.come("one")
    here.deliver()
    with here.road.database.write() as connection:
        connection.execute(update(delivery).values(sop_class_uid="", series_instance_uid=""))
    here.retract()
    here.deliver()
    (note,) = notes(here.pacs)
    assert named(note) == {key(ds) for ds in received(here.pacs) if is_of(ds, MODEL)}


@pytest.mark.parametrize(
    ("state", "is_sure"), [(DeliveryState.COMMITTED, True), (DeliveryState.REFUSED, False)]
)
def test_what_was_stored_is_rejected_whatever_became_of_its_commitment(
    here: Site, state: DeliveryState, is_sure: bool
) -> None:
    """A peer that has not committed to it may have it all the same."""
    here.come("one")
    here.deliver("pacs")
    with here.road.database.write() as connection:
        at_pacs = update(delivery).where(delivery.c.peer == "pacs")
        connection.execute(at_pacs.values(state=state, wants_commitment=True))
    told = here.retract()["notes"]
    assert [(each["peer"], each["is_sure"]) for each in told] == [("pacs", is_sure)]
