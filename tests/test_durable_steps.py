"""A process can be told at which step to die, and how often it may come there before."""

import os
import signal
import subprocess
import sys
import timeit
from pathlib import Path

import pytest

from dicom_ai_node.durable_steps import VARIABLE, Step, armed, reached

PACKAGE = Path(__file__).parents[1] / "dicom_ai_node"
ROAD = """
from dicom_ai_node.durable_steps import Step, reached
for _ in range(5):
    reached(Step.INSTANCE_WRITTEN)
    print("written", flush=True)
    reached(Step.INSTANCE_SYNCED)
    print("synced", flush=True)
"""


def start(ask: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", ROAD],
        env={**os.environ, VARIABLE: ask},
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: "subprocess.Popen[str]") -> list[str]:
    return process.communicate(timeout=30)[0].split()


def test_killed_at_the_nth_time_and_not_one_instruction_later() -> None:
    process = start("instance_synced:2:kill")
    assert said(process) == ["written", "synced", "written"]
    assert process.returncode == -signal.SIGKILL


def test_with_a_file_the_times_of_all_processes_count_and_one_dies(tmp_path: Path) -> None:
    file = tmp_path / "order"
    file.write_text("instance_synced:7:kill\n")
    assert said(start(str(file))).count("synced") == 5
    assert said(start(str(file))).count("synced") == 1
    assert said(start(str(file))).count("synced") == 5
    assert file.read_text() == "instance_synced:7:kill\n" + 12 * "."


def test_what_the_file_says_may_change_while_the_process_runs(tmp_path: Path) -> None:
    file = tmp_path / "order"
    file.write_text("instance_synced:2:stop\n")
    process = start(str(file))
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    file.write_text("instance_written:1:kill\n")
    process.send_signal(signal.SIGCONT)
    assert said(process) == ["written", "synced", "written", "synced"]
    assert process.returncode == -signal.SIGKILL


def test_stopped_there_until_somebody_wakes_it() -> None:
    process = start("instance_synced:1:stop")
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    process.send_signal(signal.SIGCONT)
    assert said(process).count("synced") == 5


def test_failing_as_a_disk_does() -> None:
    step = armed("rows_written:1:fail")
    with pytest.raises(OSError, match="asked for"):
        step(Step.ROWS_WRITTEN)
    step(Step.ROWS_WRITTEN)


@pytest.mark.parametrize("ask", ["nowhere:1:kill", "rows_written:often:kill", "rows_written:1:be"])
def test_what_is_no_step_or_action_is_an_error(ask: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - Python's own texts
        armed(ask)


def test_every_step_is_on_the_road() -> None:
    code = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert [step for step in Step if f"reached(Step.{step.name})" not in code] == []


def test_without_the_variable_a_step_costs_nothing() -> None:
    """Against some 700 microseconds that an instance costs."""
    each_s = min(timeit.repeat(lambda: reached(Step.INSTANCE_SYNCED), number=10_000)) / 10_000
    assert each_s < 5e-6
