"""A database that is older than the spool, or newer: reconciled, and no result gets another UID."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import update

from dicom_ai_node.database import deliveries
from dicom_ai_node.database.lost import RESULTS_GONE
from dicom_ai_node.database.tables import study
from dicom_ai_node.job import JobState
from dicom_ai_node.outbox_rescan import FoundOutbox, rescan_outbox
from dicom_ai_node.receive.answer import Answer, Status
from dicom_ai_node.receive.rescan import Found, rescan
from tests.dicom_factory import series
from tests.intake.in_process import Road
from tests.receive.scu import store
from tests.retraction.site import LONG_AGO, MODEL, Site, is_of, notes, received, site

pytestmark = pytest.mark.fault("G16")


@pytest.fixture
def here(tmp_path: Path, empty_database: Path) -> Iterator[Site]:
    with site(tmp_path, empty_database) as made:
        yield made


def saved(here: Site) -> Path:
    """The database as it is now."""
    here.road.database.close()
    return Path(shutil.copy(here.road.database.path, here.home / "yesterday.db"))


def restore(here: Site, before: Path) -> tuple[Found, FoundOutbox]:
    here.road.database.close()
    shutil.copy(before, here.road.database.path)
    old = here.road
    here.road = Road(old.config, old.spool, old.database, old.models)  # other processes
    return start(here)


def start(here: Site) -> tuple[Found, FoundOutbox]:
    """What every start of the node does."""
    spool, database = here.road.spool, here.road.database
    return rescan(spool, database), rescan_outbox(spool, database)


def come(here: Site, *, work: bool = True) -> None:
    """A study as reception stores it: its files speak for themselves."""
    for ds in series(name="one", shape=(6, 8, 8)):
        assert store(here.road.spool, here.road.database, ds) == Answer(Status.SUCCESS)
    for path in here.road.spool.instance_files():
        os.utime(path, (LONG_AGO, LONG_AGO))
    with here.road.database.write() as connection:
        connection.execute(update(study).values(last_received_at=LONG_AGO))
    judge(here)
    if work:
        assert here.road.work() == 2


def judge(here: Site) -> None:
    here.road.intake.settle_quiet(now=here.road.database.now())


def at_peers(here: Site) -> tuple[list[tuple[str, str, bytes]], Mapping[str, bytes]]:
    """What the PACS was sent, sorted, and what lies in the archive."""
    files = (here.home / "results").glob("*.dcm")
    return sorted(here.pacs.received), {path.name: path.read_bytes() for path in files}


@pytest.mark.parametrize("backup", ["before the study came", "while its jobs were waiting"])
def test_results_that_the_database_forgot_are_sent_again_as_they_were(
    here: Site, backup: str
) -> None:
    """Not one is made anew: the same objects, byte for byte, which a PACS knows already."""
    if backup == "before the study came":
        before = saved(here)
        come(here)
    else:
        come(here, work=False)
        before = saved(here)
        here.road.work()
    here.deliver()
    sent, filed = at_peers(here)
    assert {job.state for job in here.road.jobs()} == {JobState.DONE}

    found, outbox = restore(here, before)
    in_the_table = backup != "before the study came"
    assert outbox == FoundOutbox(without_job=0 if in_the_table else 2)
    assert (found.adopted > 0, found.lost) == (not in_the_table, 0)
    judge(here)
    assert here.road.work() == 0  # no attempt: what lies in the outbox is published
    here.deliver()
    assert {job.state for job in here.road.jobs()} == {JobState.DONE}
    again, filed_again = at_peers(here)
    assert again == sorted(2 * sent)
    assert filed_again == filed
    assert rescan_outbox(here.road.spool, here.road.database) == FoundOutbox()


def test_what_the_database_knows_as_ready_is_sent_again(here: Site) -> None:
    come(here)
    before = saved(here)
    here.deliver()
    sent, _ = at_peers(here)
    assert restore(here, before) == (Found(), FoundOutbox())
    here.deliver()
    assert at_peers(here)[0] == sorted(2 * sent)


def test_results_that_are_gone_before_anything_was_sent_are_made_again_under_their_uids(
    here: Site,
) -> None:
    """The database is newer than the spool."""
    come(here)
    uids = {uid for uid, *_ in rows(here)}
    for job in here.road.jobs():
        shutil.rmtree(here.road.spool.outbox_path(job.key))
    assert start(here)[1] == FoundOutbox(run_again=2)
    assert here.road.work() == 2
    here.deliver()
    assert {job.state for job in here.road.jobs()} == {JobState.DONE}
    assert {uid for uid, *_ in rows(here)} == {uid for uid, *_ in here.pacs.received} == uids


def test_results_that_are_gone_after_some_were_sent_wait_for_a_person(here: Site) -> None:
    """A second run might say something else under the UIDs that one peer has already."""
    come(here)
    here.deliver("archive")
    (job, *_) = here.jobs()
    folder = here.road.spool.outbox_path(job.key)
    aside = folder.rename(here.home / "aside")
    assert start(here)[1] == FoundOutbox(gone=1)
    (found, *_) = here.jobs()
    assert (found.state, found.error_text) == (JobState.UNDELIVERED, RESULTS_GONE)

    aside.rename(folder)  # from a backup
    here.must("jobs", "retry", str(job.id))
    here.deliver()
    assert {job.state for job in here.road.jobs()} == {JobState.DONE}


@pytest.mark.parametrize("backup", ["before the study came", "before it was delivered"])
def test_a_result_that_was_retracted_meanwhile_is_not_sent_again(here: Site, backup: str) -> None:
    before = saved(here)
    come(here)
    before = before if backup == "before the study came" else saved(here)
    here.deliver()
    here.retract("--reason", "it marks the table")
    here.deliver()
    assert len(notes(here.pacs)) == 1
    here.pacs.received.clear()
    here.must("models", "enable", MODEL)

    _, outbox = restore(here, before)
    assert outbox.forgotten_notes == 2
    judge(here)
    here.road.work()
    here.deliver()
    assert {job.state for job in here.jobs()} == {JobState.CANCELLED}
    assert {job.state for job in here.jobs("bright")} == {JobState.DONE}
    sent = received(here.pacs)
    assert sent
    assert not any(is_of(ds, MODEL) for ds in sent)


def rows(here: Site) -> set[tuple[str, str]]:
    """SOP Instance UIDs of what is to be delivered, and the peer's name."""
    with here.road.database.read() as connection:
        found = [row for job in here.road.jobs() for row in deliveries.of_job(connection, job.id)]
    return {(row["sop_instance_uid"], row["peer"]) for row in found}
