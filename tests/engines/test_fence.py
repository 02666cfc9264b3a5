"""A fence that is required holds, or the worker does not start."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from dicom_ai_node.config.settings import WorkSettings
from dicom_ai_node.engines.attempt_main import Start
from dicom_ai_node.engines.costs import Limits
from dicom_ai_node.engines.fence import Fence
from dicom_ai_node.engines.local import LocalEngine
from dicom_ai_node.engines.slot import Slot
from dicom_ai_node.errors import ConfigError

HOLDS = {"network": "yes, own namespace", "files": "yes, Landlock 7"}
DOES_NOT = {**HOLDS, "files": "no: this kernel has no Landlock"}


def slot(fence: Fence) -> Slot:
    start = Start(
        parent=os.getpid(), fence=fence, threads=1, memory_mb=1, preload=(), log_settings={}
    )
    limits = Limits(memory_mb=1, scratch_mb=1, recycle_after=1)
    return Slot(start=start, home=Path(), environment={}, limits=limits)


@pytest.mark.parametrize(("mode", "said"), [("auto", DOES_NOT), ("required", HOLDS)])
def test_what_is_not_required_may_be_missing(mode: str, said: Mapping[str, str]) -> None:
    made = slot(Fence(mode=mode))  # type: ignore[arg-type]
    made.hear({"fence": said})
    assert made.fenced == said


def test_what_is_required_and_does_not_hold_is_a_mistake_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match=r"do not hold: files \(no: this kernel has no Landlock"):
        slot(Fence(mode="required")).hear({"fence": DOES_NOT})


@pytest.mark.parametrize("said", [DOES_NOT, 5, None])
def test_after_its_first_word_a_process_says_nothing_of_its_fence(said: object) -> None:
    """By then code of a model may be there, which could stop the node by such a word."""
    made = slot(Fence(mode="required"))
    made.hear({"fence": HOLDS})
    made.hear({"fence": said})
    assert made.fenced == HOLDS


def test_a_user_that_is_not_there_is_said_before_anything_starts() -> None:
    settings = WorkSettings(user="nobody-of-this-name")
    with pytest.raises(ConfigError, match="there is no user nobody-of-this-name here"):
        LocalEngine(settings, readable=[])
