"""C-MOVE: a PACS sends a study to the node's own port, or says why not."""

import pytest

from dicom_ai_node.database import studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import PeerUnreachable
from dicom_ai_node.peers.move import Moved, move
from tests.peers.archive import Archive, study, uids


def ask(archive: Archive, uid: str, **more: str) -> Moved:
    with archive.running():
        return move(
            archive.settings,
            uid,
            destination_ae=more.pop("destination_ae", "AI_NODE"),
            calling_ae_title="AI_NODE",
            **more,
        )


def here(database: Database, study_instance_uid: str) -> set[str]:
    with database.read() as connection:
        row = studies.find(connection, study_instance_uid)
        found = studies.instance_rows(connection, row["id"]) if row else []
        return {each["sop_instance_uid"] for each in found}


def test_a_study_comes_by_c_store(receiver: int, database: Database) -> None:
    made = study("one", date="20250101", number=3)
    other = study("two", date="20250101")
    uid = made[0].StudyInstanceUID
    moved = ask(Archive(instances=made + other, node_port=receiver), uid)
    assert (moved.completed, moved.failed, moved.warning, moved.problem) == (3, 0, 0, None)
    assert moved.sent == 3
    assert here(database, uid) == uids(made)
    assert here(database, other[0].StudyInstanceUID) == set()


def test_a_series_alone(receiver: int, database: Database) -> None:
    made = study("one", date="20250101", study="s") + study("two", date="20250101", study="s")
    archive = Archive(instances=made, node_port=receiver)
    uid = made[0].StudyInstanceUID
    assert ask(archive, uid, series_instance_uid=made[0].SeriesInstanceUID).sent == 2
    assert here(database, uid) == uids(made[:2])


def test_a_study_that_the_peer_does_not_have(receiver: int) -> None:
    moved = ask(Archive(node_port=receiver), "1.2.3")
    assert (moved.sent, moved.failed, moved.problem) == (0, 0, None)


def test_an_unknown_destination_is_for_good_and_says_what_to_do(receiver: int) -> None:
    moved = ask(Archive(node_port=receiver), "1.2.3", destination_ae="OTHER")
    assert moved.problem is not None
    assert "does not know OTHER as a destination: enter this node's AE title" in moved.problem
    assert not moved.is_transient


@pytest.mark.parametrize(
    ("status", "is_transient"), [(0xA702, True), (0xA900, False), (0xC001, False)]
)
def test_a_status_is_said_and_tried_again_where_that_can_help(
    receiver: int, status: int, is_transient: bool
) -> None:
    moved = ask(Archive(node_port=receiver, statuses=[status]), "1.2.3")
    assert moved.problem is not None
    assert f"status {status:04X}" in moved.problem
    assert moved.is_transient is is_transient


@pytest.mark.parametrize("config", [{"limits": {"study_instances": 2}}], indirect=True)
def test_what_the_node_refused_is_counted(receiver: int) -> None:
    made = study("one", date="20250101", number=3)
    moved = ask(Archive(instances=made, node_port=receiver), made[0].StudyInstanceUID)
    assert (moved.completed, moved.failed, moved.problem) == (2, 1, None)


@pytest.mark.parametrize("config", [{"limits": {"object_bytes": 10}}], indirect=True)
def test_where_nothing_came_it_is_tried_again(receiver: int) -> None:
    made = study("one", date="20250101")
    moved = ask(Archive(instances=made, node_port=receiver), made[0].StudyInstanceUID)
    assert (moved.sent, moved.is_transient) == (0, True)
    assert moved.problem is not None
    assert (
        "could send none of 2 instances (status A702): is it named under `accept`" in moved.problem
    )


def test_a_peer_without_the_service() -> None:
    archive = Archive(models=["1.2.840.10008.1.1"])
    with pytest.raises(PeerUnreachable, match="does not take Study Root"):
        ask(archive, "1.2.3")
