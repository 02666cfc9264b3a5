"""Ready means that studies can come, and will be worked on and delivered."""

from dataclasses import replace

import pytest

from dicom_ai_node.config.settings import Config, LimitsSettings
from dicom_ai_node.observe.observed import Observed
from dicom_ai_node.observe.ready import not_ready

NOW = 1_700_000_000.0
ALL = {
    ("receive", "node.port"): NOW - 1,
    ("work", "jobs"): NOW - 1,
    ("deliver", "settle"): NOW - 1,
    ("deliver", "reap"): NOW - 1,
    ("deliver", "peer pacs"): NOW - 1,
}


def problems(observed: Observed, **changes: object) -> dict[str, str]:
    asked = {"beats": ALL, "database_answers": True, "now": NOW, **changes}
    found = not_ready(observed, **asked)  # type: ignore[arg-type]
    return {part: problem for part, problem in found.items() if problem}


def test_a_node_whose_loops_go_round_is_ready(observed: Observed) -> None:
    assert problems(observed) == {}


@pytest.mark.parametrize(
    ("role", "loop"),
    [("receive", "node.port"), ("work", "jobs"), ("deliver", "settle"), ("deliver", "reap")],
)
def test_one_loop_that_stands_still_is_enough(observed: Observed, role: str, loop: str) -> None:
    found = problems(observed, beats={**ALL, (role, loop): NOW - 61})
    assert found == {role: f"{role} is silent: its loop {loop} has not gone round for 61 s"}


@pytest.mark.parametrize("config", [{"metrics": {"silent_s": 120}}], indirect=True)
def test_how_long_a_role_may_be_silent_is_configured(observed: Observed) -> None:
    assert problems(observed, beats={**ALL, ("work", "jobs"): NOW - 119}) == {}
    assert "work" in problems(observed, beats={**ALL, ("work", "jobs"): NOW - 121})


def test_a_peer_that_holds_its_thread_makes_no_node_unready(observed: Observed) -> None:
    """It may be slow to take a large object, and studies can come all the same."""
    assert problems(observed, beats={**ALL, ("deliver", "peer pacs"): NOW - 3600}) == {}


def test_a_beat_of_the_future_is_of_a_clock_that_was_set_back(observed: Observed) -> None:
    assert "work" in problems(observed, beats={**ALL, ("work", "jobs"): NOW + 3600})


def test_a_role_that_was_never_there(observed: Observed) -> None:
    beats = {key: at for key, at in ALL.items() if key[0] != "work"}
    assert problems(observed, beats=beats) == {"work": "work has not started"}


def test_a_disk_below_the_soft_mark_is_no_room_for_studies(
    observed: Observed, config: Config
) -> None:
    full = LimitsSettings(space_soft_mb=10**9)
    low = replace(observed, config=config.model_copy(update={"limits": full}))
    assert "below limits.space_soft_mb (1000000000)" in problems(low)["disk"]
