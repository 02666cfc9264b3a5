"""Reports on what we asked peers to commit to, as they come to our port."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from sqlalchemy import text

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import JobState
from dicom_ai_node.spool import Spool
from tests.confirming import COMMITTED, PENDING, STORED, Site, site
from tests.made import configuration
from tests.peers.committing import CommittingPacs, event_information, report

SUCCESS, INVALID = 0x0000, 0x0115
ELSE = "2.25.777"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """PACS is the peer that is asked; OTHER is one, too; SENDER may store alone."""
    peer = {"kind": "dimse", "host": "127.0.0.1", "port": 104}
    here = ["127.0.0.1/32"]
    return configuration(
        tmp_path,
        peers={"pacs": {**peer, "ae_title": "PACS"}, "other": {**peer, "ae_title": "OTHER"}},
        routes=[],
        accept=[
            {"ae_title": "PACS", "from": here},
            {"ae_title": "OTHER", "from": here},
            {"ae_title": "STRANGER", "from": here},
            {"ae_title": "SENDER", "from": here, "may": ["store"]},
        ],
    )


@pytest.fixture
def asked(config: Config, spool: Spool, database: Database) -> Callable[..., Site]:
    """A job whose two objects the PACS was asked for, without a report."""

    def make(pacs: CommittingPacs) -> Site:
        here = site(config, spool, database, pacs, stay_s=0)
        here.ready()
        here.send()
        assert here.ask() == 2
        return here

    return make


def states(database: Database) -> dict[str, str]:
    with database.read() as connection:
        found = connection.execute(text("SELECT kind, state FROM delivery"))
        return {row.kind: row.state for row in found}


def state(database: Database) -> str:
    with database.read() as connection:
        return str(connection.scalar(text("SELECT state FROM job")))


def uids(pacs: CommittingPacs) -> tuple[str, str]:
    """Of the SEG and the SR."""
    seg, sr = (uid for uid, _ in pacs.came[:2])
    return seg, sr


def test_a_report_on_an_association_of_the_peer_commits(
    receiver: int, database: Database, asked: Callable[..., Site]
) -> None:
    """It asks for the association, and is the SCP: roles are negotiated (PS3.7 D.3.3.4)."""
    with CommittingPacs(silent=True).running() as pacs:
        asked(pacs)
        assert pacs.report(receiver) == SUCCESS
    assert set(states(database).values()) == {COMMITTED}
    assert state(database) == JobState.DONE


def test_the_association_of_the_request_ends_as_soon_as_a_report_came_elsewhere(
    receiver: int, config: Config, spool: Spool, database: Database
) -> None:
    with CommittingPacs(node_port=receiver).running() as pacs:
        here = site(config, spool, database, pacs, stay_s=600)
        here.ready()
        here.send()
        here.ask()
        assert pacs.reported.acquire(timeout=20)
    assert pacs.statuses == [SUCCESS]
    assert state(database) == JobState.DONE


def test_a_report_that_comes_twice_is_answered_twice(
    receiver: int, database: Database, asked: Callable[..., Site]
) -> None:
    with CommittingPacs(silent=True).running() as pacs:
        asked(pacs)
        assert [pacs.report(receiver), pacs.report(receiver)] == [SUCCESS, SUCCESS]
        pacs.held.clear()  # and it has changed its mind: what was committed stays so
        assert pacs.report(receiver) == SUCCESS
    assert set(states(database).values()) == {COMMITTED}
    assert state(database) == JobState.DONE


def test_some_are_committed_and_some_are_sent_again(
    receiver: int, database: Database, asked: Callable[..., Site]
) -> None:
    with CommittingPacs(silent=True).running() as pacs:
        here = asked(pacs)
        seg, sr = uids(pacs)
        assert pacs.report(receiver, reasons={seg: 0x0110, sr: 0}) == SUCCESS
        assert states(database) == {"seg": PENDING, "sr": COMMITTED}
        assert here.send(after=60) == 1
        here.ask(after=60)
        assert [*pacs.requests[-1][1]] == [seg]
        assert pacs.report(receiver) == SUCCESS
    assert state(database) == JobState.DONE


def test_what_a_report_does_not_mention_stays_asked(
    receiver: int, database: Database, asked: Callable[..., Site]
) -> None:
    with CommittingPacs(silent=True).running() as pacs:
        here = asked(pacs)
        seg, sr = uids(pacs)
        assert pacs.report(receiver, reasons={seg: 0, ELSE: 0, "2.25.778": 0x0112}) == SUCCESS
        assert states(database) == {"seg": COMMITTED, "sr": STORED}
        assert here.ask(after=10) == 0
        assert pacs.report(receiver, reasons={sr: 0}) == SUCCESS
    assert state(database) == JobState.DONE


def test_a_late_report_counts_though_it_was_asked_anew(
    receiver: int, database: Database, asked: Callable[..., Site]
) -> None:
    with CommittingPacs(silent=True).running() as pacs:
        here = asked(pacs)
        (first, _) = pacs.requests[0]
        assert here.ask(after=3601) == 2
        assert pacs.requests[1][0] != first
        assert pacs.report(receiver, transaction=first) == SUCCESS
    assert state(database) == JobState.DONE


def test_an_old_success_says_nothing_of_what_was_forgotten_and_sent_again(
    receiver: int, database: Database, asked: Callable[..., Site]
) -> None:
    with CommittingPacs(silent=True).running() as pacs:
        here = asked(pacs)
        (first, _) = pacs.requests[0]
        here.ask(after=3601)
        seg, sr = uids(pacs)
        assert pacs.report(receiver, reasons={seg: 0x0112, sr: 0}) == SUCCESS
        assert here.send(after=3700) == 1
        assert pacs.report(receiver, transaction=first) == SUCCESS
    assert states(database) == {"seg": STORED, "sr": COMMITTED}
    assert state(database) == JobState.READY


@pytest.mark.parametrize("who", ["OTHER", "STRANGER"])
def test_nobody_reports_for_another_peer(
    receiver: int, database: Database, asked: Callable[..., Site], who: str
) -> None:
    with CommittingPacs(silent=True).running() as pacs:
        asked(pacs)
        assert pacs.report(receiver, ae_title=who) == INVALID
        assert set(states(database).values()) == {STORED}
        assert pacs.report(receiver) == SUCCESS


def test_an_unknown_transaction_is_refused_and_harms_nothing(
    receiver: int, database: Database, asked: Callable[..., Site]
) -> None:
    with CommittingPacs(silent=True).running() as pacs:
        asked(pacs)
        assert pacs.report(receiver, transaction=ELSE) == INVALID
        assert set(states(database).values()) == {STORED}
        assert pacs.report(receiver) == SUCCESS


def test_who_may_not_is_told_so(
    receiver: int, database: Database, asked: Callable[..., Site]
) -> None:
    with CommittingPacs(silent=True).running() as pacs:
        asked(pacs)
        assert pacs.report(receiver, ae_title="SENDER") == 0x0124
    assert set(states(database).values()) == {STORED}


def test_implicit_vr_is_read_as_well(
    receiver: int, database: Database, asked: Callable[..., Site]
) -> None:
    with CommittingPacs(silent=True).running() as pacs:
        asked(pacs)
        transaction, classes = pacs.requests[0]
        ds = event_information(transaction, classes, dict.fromkeys(classes, 0))
        assert report(receiver, ds, syntax=ImplicitVRLittleEndian) == SUCCESS
    assert state(database) == JobState.DONE


def broken(what: str) -> Dataset:
    ds = event_information(ELSE, {}, {"2.25.1": 0, "2.25.2": 0x0112})
    if what == "nothing":
        return event_information(ELSE, {}, {})
    if what == "no transaction":
        del ds.TransactionUID
    elif what == "no reason":
        del ds.FailedSOPSequence[0].FailureReason
    elif what == "no instance":
        del ds.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    else:
        ds.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "../../etc"
    return ds


@pytest.mark.parametrize(
    "what", ["nothing", "no transaction", "no reason", "no instance", "no UID"]
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_what_cannot_be_read_is_refused_and_the_next_is_taken(
    receiver: int, database: Database, asked: Callable[..., Site], what: str
) -> None:
    with CommittingPacs(silent=True).running() as pacs:
        asked(pacs)
        assert report(receiver, broken(what)) == INVALID
        assert pacs.report(receiver) == SUCCESS
    assert state(database) == JobState.DONE


def test_other_events_and_other_instances_are_refused(
    receiver: int, database: Database, asked: Callable[..., Site]
) -> None:
    with CommittingPacs(silent=True).running() as pacs:
        asked(pacs)
        transaction, classes = pacs.requests[0]
        ds = event_information(transaction, classes, dict.fromkeys(classes, 0))
        assert report(receiver, ds, event_type=3) == 0x0113
        assert report(receiver, ds, instance="1.2.3") == 0x0112
        assert set(states(database).values()) == {STORED}


def test_a_report_is_refused_for_now_while_the_database_is_away(
    receiver: int, database: Database, asked: Callable[..., Site]
) -> None:
    with CommittingPacs(silent=True).running() as pacs:
        asked(pacs)
        with database.write() as connection:
            connection.execute(text("ALTER TABLE commitment_request RENAME TO gone"))
        assert pacs.report(receiver) == 0x0110
        with database.write() as connection:
            connection.execute(text("ALTER TABLE gone RENAME TO commitment_request"))
        assert pacs.report(receiver) == SUCCESS
    assert state(database) == JobState.DONE
