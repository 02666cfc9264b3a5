"""A slot whose process does not come up."""

import os
from pathlib import Path

from dicom_ai_node.engines.attempt_main import Start
from dicom_ai_node.engines.costs import Limits
from dicom_ai_node.engines.engine import Failure, Room
from dicom_ai_node.engines.slot import Slot
from dicom_ai_node.request import Request
from dicom_ai_node.study import IMAGE
from tests.made import bright

LONG_S = 120.0


def test_a_process_that_does_not_start_is_charged_to_no_study(tmp_path: Path) -> None:
    """And is not tried again and again while there is nothing to do."""
    start = Start(
        parent=os.getpid(), fence=None, threads=1, memory_mb=9999, preload=(), log_settings={}
    )
    limits = Limits(memory_mb=9999, scratch_mb=99, recycle_after=9)
    slot = Slot(start=start, home=tmp_path, environment={"PYTHONHOME": "/nowhere"}, limits=limits)
    request = Request(
        job_key="k", model=bright(tmp_path), inputs={IMAGE: ()}, folder=tmp_path / "result"
    )
    found = slot.submit(request, alone=False).poll(LONG_S)
    assert isinstance(found, Failure)
    assert (found.kind, found.text) == (
        "not_started",
        "the attempt process did not start: with exit status 1",
    )
    assert (slot.room(), slot.child) == (Room.FREE, None)
    assert list(tmp_path.iterdir()) == []
