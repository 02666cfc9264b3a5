"""Send now: by a marker in the spool."""

import os
import pwd

import pytest

from dicom_ai_node import send_now
from dicom_ai_node.spool import Spool


def test_a_marker_that_cannot_be_taken_away_stops_no_delivery(spool: Spool) -> None:
    (spool.root / "send-now" / "pacs").mkdir(parents=True)  # no unlink removes a folder
    assert not send_now.take(spool, "pacs")
    assert not send_now.take(spool, "pacs")
    (spool.root / "send-now" / "pacs").rmdir()
    send_now.ask(spool, "pacs")
    assert send_now.take(spool, "pacs")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_asks_the_account_of_the_node_can_take_away(spool: Spool) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(spool.root, nobody, -1)
    send_now.ask(spool, "pacs")
    assert (spool.root / "send-now").stat().st_uid == nobody
