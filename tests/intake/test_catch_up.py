"""What a PACS did not send is looked for, fetched within limits, and analysed once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dicom_ai_node import draining
from dicom_ai_node.config.peers import CatchUpSettings
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import fetched, fetches, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.fetches import FetchState
from dicom_ai_node.database.tables import fetch
from dicom_ai_node.erasure.erase import erase
from dicom_ai_node.intake.catch_up import MAX_TRIES
from dicom_ai_node.job import Priority
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import StudyState
from tests.intake.missed_site import EVERY_S, Site, recent, report_of, until
from tests.made import arrive
from tests.peers.archive import Archive


@pytest.fixture
def archive(receiver: int) -> Iterator[Archive]:
    """An empty PACS; it sends to the node's own port."""
    with Archive(node_port=receiver).running() as running:
        yield running


@pytest.fixture
def site(
    archive: Archive, config: Config, spool: Spool, database: Database, tmp_path: Path
) -> Site:
    return Site(archive=archive, config=config, spool=spool, database=database, models=tmp_path)


def test_what_never_came_is_fetched_and_analysed_once(site: Site, archive: Archive) -> None:
    """As if the PACS had sent it; behind what comes live; and once, however often it is asked."""
    missed = recent("missed")
    archive.instances = list(missed)
    site.catch_up_for(120)
    until(lambda: site.here(missed) == 2)
    row = site.row(missed)
    assert row is not None
    assert (row["calling_ae_title"], row["called_ae_title"]) == ("PACS", "AI_NODE")
    (job,) = site.settle()
    assert job.priority is Priority.BACKGROUND
    assert site.state(missed) == StudyState.ROUTED

    site.catch_up_for(3 * EVERY_S)
    site.send(archive.node_port, missed)
    site.restart()
    site.catch_up_for(120)
    assert archive.moved == [missed[0].StudyInstanceUID]
    assert site.settle() == [job]


def test_what_a_person_had_deleted_is_not_fetched_again(site: Site, archive: Archive) -> None:
    """The PACS has it still; who sends it, has it analysed."""
    missed = recent("deleted")
    archive.instances = list(missed)
    site.catch_up_for(120)
    until(lambda: site.here(missed) == 2)
    assert len(site.settle()) == 1
    with site.database.write() as connection:  # a minute later, by the clock of who deletes
        connection.execute(fetch.update().values(finished_at=fetch.c.started_at - 120))
    erase(site.spool, site.database, str(missed[0].StudyInstanceUID))
    site.restart()
    site.catch_up_for(3 * EVERY_S)
    assert archive.moved == [missed[0].StudyInstanceUID]
    assert site.row(missed) is None

    site.send(archive.node_port, missed)
    assert site.here(missed) == 2


def test_a_peer_is_asked_after_each_start_and_every_so_often(site: Site) -> None:
    site.step()
    asked = site.questions()
    assert asked > 0
    site.catch_up_for(EVERY_S - 30)
    assert site.questions() == asked
    site.catch_up_for(60)
    assert site.questions() == 2 * asked
    site.restart()
    site.step()
    assert site.questions() == 3 * asked


def test_what_is_here_is_not_fetched_and_its_series_are_looked_at_once(
    site: Site, archive: Archive
) -> None:
    """The PACS has more than the node: the results, which the node sent there itself."""
    sent = recent("sent")
    archive.instances = [*sent, report_of(sent)]
    site.send(archive.node_port, sent)
    until(lambda: site.here(sent) == 2)
    site.settle()
    site.catch_up_for(3 * EVERY_S)
    assert archive.moved == []
    assert site.looks() == 1
    (found,) = site.find()
    assert (found.call, found.reason) == ("leave", "all that a route can take is here")

    archive.instances += recent("late", study="sent")  # one more series
    site.catch_up_for(EVERY_S + 120)
    until(lambda: site.here(sent) == 4)
    assert len(archive.moved) == 1


def test_a_study_that_came_in_part_is_completed(site: Site, archive: Archive) -> None:
    """Of one series a part came, the other came whole: only what is short is asked for."""
    whole, part = recent("whole", study="one"), recent("part", study="one", number=4)
    archive.instances = [*whole, *part, report_of(whole)]
    site.send(archive.node_port, [*whole, *part[:1]])
    until(lambda: site.here(whole) == 3)
    assert len(site.settle()) == 2
    site.clock += 100
    site.catch_up_for(120)
    until(lambda: site.here(whole) == 6)
    assert archive.moved == [part[0].StudyInstanceUID]
    subjects = [job.subject for job in site.settle()]
    assert subjects == [
        *sorted({whole[0].SeriesInstanceUID, part[0].SeriesInstanceUID}),
        part[0].SeriesInstanceUID,
    ]


def test_only_series_that_a_route_could_take_are_fetched(site: Site, archive: Archive) -> None:
    """CT is routed: no study of MR, none of reports alone, and no report of a CT study."""
    ct, mr, papers = recent("ct"), recent("mr", modality="MR"), recent("papers")
    archive.instances = [*ct, report_of(ct), *mr, report_of(papers)]
    site.catch_up_for(120)
    assert archive.moved == [ct[0].StudyInstanceUID]
    until(lambda: site.here(ct) == 2)
    assert (site.here(mr), site.here(papers)) == (0, 0)
    reasons = {each.reason for each in site.find()}
    assert reasons == {
        "it was fetched from pacs",
        "no route takes it (MR)",
        "it has no images (SR)",
    }


def test_a_study_whose_modalities_are_not_told_is_judged_by_its_series(
    site: Site, archive: Archive
) -> None:
    def say_less(answer: object) -> None:
        if "ModalitiesInStudy" in answer:  # type: ignore[operator]
            del answer.ModalitiesInStudy  # type: ignore[attr-defined]

    archive.change = say_less
    ct, mr = recent("ct"), recent("mr", modality="MR")
    archive.instances = [*ct, *mr]
    site.catch_up_for(120)
    assert archive.moved == [ct[0].StudyInstanceUID]
    assert site.asked(mr).reason == "no series that a route can take"
    site.catch_up_for(2 * EVERY_S)
    assert archive.moved == [ct[0].StudyInstanceUID]


@pytest.mark.parametrize("matches_all", [False, True], ids=["a good PACS", "one that ignores keys"])
def test_only_the_last_hours_are_looked_at(site: Site, archive: Archive, matches_all: bool) -> None:
    archive.matches_all = matches_all
    archive.counts = not matches_all
    new, old = recent("new"), recent("old", back=4)
    archive.instances = [*new, *old]
    assert [each.study.study_instance_uid for each in site.find()] == [new[0].StudyInstanceUID]


def test_the_newest_come_first_and_not_too_many(site: Site, archive: Archive) -> None:
    site.settings = CatchUpSettings(wait_s=60, most_studies=2)
    site.restart()
    old, newer, new = (
        recent(name, at=at) for name, at in (("a", "080000"), ("b", "090000"), ("c", "100000"))
    )
    archive.instances = [*newer, *old, *new]
    site.catch_up_for(120)
    assert archive.moved == [new[0].StudyInstanceUID, newer[0].StudyInstanceUID]
    site.catch_up_for(EVERY_S)
    assert archive.moved[2:] == [old[0].StudyInstanceUID]


def test_a_drained_node_fetches_nothing_until_it_goes_on(site: Site, archive: Archive) -> None:
    archive.instances = recent("missed")
    site.step()
    draining.begin(site.spool)
    site.catch_up_for(2 * EVERY_S)
    assert (archive.moved, site.looks()) == ([], 0)
    draining.end(site.spool)
    site.catch_up_for(120)
    assert len(archive.moved) == 1


def test_nothing_is_fetched_while_the_node_is_full(site: Site, archive: Archive) -> None:
    archive.instances = recent("missed")
    site.has_room = False
    site.catch_up_for(300)
    assert archive.moved == []
    site.has_room = True
    site.catch_up_for(30)
    assert len(archive.moved) == 1


def test_a_clock_that_is_set_back_puts_off_no_fetch(site: Site, archive: Archive) -> None:
    archive.instances = recent("missed")
    site.step()
    site.began_at -= 86_400
    site.catch_up_for(10)
    assert len(archive.moved) == 1


def test_a_pacs_is_asked_until_it_answers(site: Site, archive: Archive) -> None:
    archive.instances = recent("missed")
    archive.find_status = 0xA700
    site.step()
    site.catch_up_for(1800)
    assert 8 < len(archive.asked) < 20, "every five minutes at last"
    archive.find_status = 0x0000
    site.catch_up_for(400)
    assert len(archive.moved) == 1


def test_a_pacs_that_is_not_there_ends_nothing(site: Site, archive: Archive) -> None:
    port, archive.port = archive.port, 1
    archive.instances = recent("missed")
    site.restart()
    assert not site.step()
    archive.port = port
    site.restart()
    site.catch_up_for(120)
    assert len(archive.moved) == 1


def test_a_pacs_that_goes_down_costs_no_study_its_tries(site: Site, archive: Archive) -> None:
    missed = recent("missed")
    archive.instances = list(missed)
    site.step()
    archive.find_status = 0xA700  # it answers, and not with what was asked for
    site.clock += 61
    before = site.looks()
    site.catch_up_for(3600)
    asked = site.looks() - before
    assert 12 < asked < 30, "every five minutes at last"
    assert (site.asked(missed).state, site.asked(missed).tries) == (FetchState.PENDING, 0)
    archive.find_status = 0x0000
    site.catch_up_for(600)
    assert len(archive.moved) == 1


def test_a_study_whose_series_cannot_be_listed_holds_up_no_other(
    site: Site, archive: Archive
) -> None:
    """It never came; another came in part, and cannot be listed either: the question goes on."""
    bad, short, good = recent("bad", at="12"), recent("short", at="11"), recent("good", at="10")
    archive.instances = [*bad, *short, *good]
    site.send(archive.node_port, short[:1])
    until(lambda: site.here(short) == 1)
    archive.unlisted = {bad[0].StudyInstanceUID, short[0].StudyInstanceUID}
    site.clock += 100
    site.catch_up_for(1800)
    assert archive.moved == [good[0].StudyInstanceUID]
    assert {site.asked(each).state for each in (bad, short)} == {FetchState.PENDING}
    assert "C-FIND" in str(site.asked(bad).reason)
    assert site.looks() < 20, "every five minutes at last"
    archive.unlisted = set()
    site.catch_up_for(600)
    assert {site.asked(each).state for each in (bad, short)} == {FetchState.MOVED}


def test_a_pacs_that_lists_no_series_at_all_is_not_asked_on(site: Site, archive: Archive) -> None:
    parts = [recent(name) for name in "abcde"]
    archive.instances = [ds for each in parts for ds in each]
    site.send(archive.node_port, [each[0] for each in parts])
    until(lambda: all(site.here(each) == 1 for each in parts))
    archive.unlisted = {each[0].StudyInstanceUID for each in parts}
    site.clock += 100
    site.step()
    assert site.looks() == 3
    assert {site.asked(each).state for each in parts} == {FetchState.PENDING}


def test_what_nobody_could_list_or_fetch_for_a_month_is_given_up(
    site: Site, archive: Archive
) -> None:
    bad = recent("bad")
    archive.instances = list(bad)
    archive.unlisted = {bad[0].StudyInstanceUID}
    site.catch_up_for(120)
    archive.instances = []
    site.clock += 33 * 24 * EVERY_S
    site.catch_up_for(600)
    assert site.asked(bad).state is FetchState.FAILED
    assert str(site.asked(bad).reason).startswith("given up after a month: ")


def test_a_pacs_that_does_not_know_this_node_keeps_its_queue(site: Site, archive: Archive) -> None:
    """Once it is entered there, all of them are fetched, and nobody has to ask for it."""
    one, other = recent("one"), recent("other")
    archive.instances = [*one, *other]
    port, archive.node_port = archive.node_port, 0
    site.catch_up_for(1200)
    assert {site.asked(each).state for each in (one, other)} == {FetchState.PENDING}
    assert any("enter this node's AE title" in str(site.asked(e).reason) for e in (one, other))
    archive.node_port = port
    site.catch_up_for(400)
    assert {site.asked(each).state for each in (one, other)} == {FetchState.MOVED}


def test_a_study_that_is_refused_is_not_asked_for_for_ever(site: Site, archive: Archive) -> None:
    """It is listed, and begins anew when the PACS has more of it."""
    missed = recent("missed")
    archive.instances = list(missed)
    archive.statuses = [0xC001] * 100
    site.catch_up_for(3 * EVERY_S)
    assert (len(archive.statuses), site.asked(missed).state) == (99, FetchState.FAILED)
    (found,) = site.find()
    assert found.call == "failed"
    assert found.reason.startswith("it could not be fetched: PACS at ")
    archive.statuses = []
    archive.instances += recent("missed", number=3)[2:]
    site.catch_up_for(EVERY_S + 120)
    assert site.asked(missed).state is FetchState.MOVED
    until(lambda: site.here(missed) == 3)


def test_a_study_that_does_not_come_is_tried_for_some_hours(site: Site, archive: Archive) -> None:
    missed = recent("missed")
    archive.instances = list(missed)
    archive.statuses = [0xA702] * 100
    site.settings = CatchUpSettings(wait_s=60, every_s=1_000_000)
    site.restart()
    site.catch_up_for(3600)
    assert 3 < site.asked(missed).tries < 12
    site.catch_up_for(9 * 3600)
    assert (site.asked(missed).state, site.asked(missed).tries) == (FetchState.FAILED, MAX_TRIES)
    assert str(site.asked(missed).reason).startswith(f"given up after {MAX_TRIES} tries: ")


def test_what_a_pacs_is_still_receiving_is_left_to_it(site: Site, archive: Archive) -> None:
    missed = recent("missed", number=6)
    archive.instances = missed[:2]
    site.step()
    for number in (4, 6):
        archive.instances = missed[:number]
        site.catch_up_for(60)
        assert archive.moved == []
    site.catch_up_for(60)
    assert archive.moved == [missed[0].StudyInstanceUID]


def test_what_is_coming_by_itself_is_not_fetched(site: Site, archive: Archive) -> None:
    live = recent("live", number=4)
    archive.instances = list(live)
    site.step()
    arrive(site.spool, site.database, live[:2], now=site.now + 30)
    site.clock = 61.0
    assert site.step()
    assert (archive.moved, site.asked(live).reason) == ([], "it is coming now")
    arrive(site.spool, site.database, live[2:], now=site.now + 30)
    site.catch_up_for(200)
    assert archive.moved == []
    assert site.asked(live).reason == "all that a route can take is here"
    assert [job.priority for job in site.settle()] == [Priority.ROUTINE]


@pytest.mark.parametrize("state", [StudyState.PURGED, StudyState.NEEDS_REVIEW])
def test_what_was_deleted_or_waits_for_a_person_is_left_alone(
    site: Site, archive: Archive, state: StudyState
) -> None:
    known = recent("known", number=3)
    archive.instances = list(known)
    arrive(site.spool, site.database, known[:1], now=site.now - 1000)
    row = site.row(known)
    assert row is not None
    with site.database.write() as connection:
        if state is StudyState.PURGED:
            studies.purge(connection, row["id"])
        else:
            studies.settle(connection, row, state, reason="x", verdicts=[], now=site.now)
    site.catch_up_for(120)
    assert archive.moved == []
    (found,) = site.find()
    assert found.reason == f"it was here, and is {state.replace('_', ' ')}"


def test_what_was_being_fetched_when_the_node_was_killed_is_fetched(
    site: Site, archive: Archive
) -> None:
    missed = recent("missed")
    archive.instances = list(missed)
    site.step()
    with site.database.write() as connection:
        assert fetches.begin(connection, site.asked(missed), now=site.now)
    site.restart()
    site.catch_up_for(120)
    assert archive.moved == [missed[0].StudyInstanceUID]
    assert site.asked(missed).state is FetchState.MOVED


def test_a_missed_study_that_came_as_a_prior_is_analysed_after_all(
    site: Site, archive: Archive
) -> None:
    """It is complete already: nothing has to be sent again."""
    missed = recent("missed", back=1)
    archive.instances = list(missed)
    arrive(site.spool, site.database, missed, now=site.now - 1000)
    row = site.row(missed)
    assert row is not None
    with site.database.write() as connection:
        studies.settle(connection, row, StudyState.PRIOR, reason="x", verdicts=[], now=site.now)
    site.catch_up_for(120)
    assert archive.moved == []
    assert site.state(missed) == StudyState.RECEIVING
    (job,) = site.settle()
    assert job.study_id == row["id"]


def test_what_is_fetched_as_missed_and_as_a_prior_is_no_prior(site: Site, archive: Archive) -> None:
    """Another study waits for it, while it is fetched for its own sake."""
    main, missed = recent("main"), recent("missed", back=1)
    archive.instances = list(missed)
    arrive(site.spool, site.database, main, now=site.now)
    row = site.row(main)
    assert row is not None
    with site.database.write() as connection:
        fetches.ask(connection, row["id"], peer="pacs", within_days=30, now=site.now)
        (question,) = fetches.of_study(connection, row["id"])
        uid = missed[0].StudyInstanceUID
        fetches.want(connection, question, uid, is_here=False, now=site.now)
        prior = fetches.of_study(connection, row["id"])[1]
        assert fetches.begin(connection, prior, now=site.now)
    site.catch_up_for(120)
    until(lambda: site.here(missed) == 2)
    with site.database.read() as connection:
        assert not fetched.came_by_fetch(connection, site.row(missed) or row)
    assert site.settle_priors() == 0
    assert len(site.settle()) == 2


def test_nothing_of_a_patient_is_asked_for_or_logged(site: Site, archive: Archive) -> None:
    missed = recent("missed", patient_name="Doe^Jane", patient_id="SECRET-9")
    archive.instances = list(missed)
    with capture_logs() as lines:
        site.catch_up_for(120)
    assert archive.moved
    keywords = {element.keyword for query in archive.asked for element in query}
    assert {word for word in keywords if word.startswith("Patient") or "Name" in word} == set()
    assert [line["event"] for line in lines if "study" in line] == ["missed_study_fetched"]
    for word in ("Doe", "SECRET", missed[0].StudyInstanceUID):
        assert word not in str(lines)
