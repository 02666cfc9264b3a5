"""Child processes: restarted when they die, stopped together, gone with their parent."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import pytest

from dicom_ai_node.errors import NotStartable
from dicom_ai_node.processes import Reload, supervise

SLEEP = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
NOTE = "import os, sys; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); "
SUPERVISOR = """
import sys
from dicom_ai_node.processes import stop_on_signals, supervise
supervise({"role": [sys.executable, "-c", sys.argv[1], sys.argv[2]]}, stop_on_signals(), drain_s=5)
"""
CHILD = """
import os, sys, threading
from dicom_ai_node.processes import stop_with_parent
stop = threading.Event()
stop_with_parent(stop)
open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
stop.wait()
"""


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pids(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def alive(pid: int) -> bool:
    """A zombie whose parent is gone counts as dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def supervised(*commands: Sequence[str], drain_s: float = 10) -> Iterator[None]:
    stop = threading.Event()
    named = {f"role {number}": command for number, command in enumerate(commands)}
    thread = threading.Thread(target=supervise, args=(named, stop), kwargs={"drain_s": drain_s})
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def test_a_role_that_dies_is_started_again(tmp_path: Path) -> None:
    notes, steady = tmp_path / "notes", tmp_path / "steady"
    with supervised(python(NOTE + SLEEP, notes), python(NOTE + SLEEP, steady)):
        until(lambda: pids(notes) and pids(steady))
        os.kill(pids(notes)[0], signal.SIGKILL)
        until(lambda: len(pids(notes)) == 2)
        assert alive(pids(notes)[1])
        assert alive(pids(steady)[0])
    assert not any(map(alive, pids(notes) + pids(steady)))
    assert len(pids(steady)) == 1


def test_a_role_that_keeps_dying_is_started_ever_more_slowly(tmp_path: Path) -> None:
    with supervised(python(NOTE, tmp_path / "notes")):
        until(lambda: len(pids(tmp_path / "notes")) >= 2)
        time.sleep(0.5)
    assert len(pids(tmp_path / "notes")) <= 3


def test_a_role_that_cannot_be_started_now_is_started_later(tmp_path: Path) -> None:
    """As where the machine has no memory for it: the others go on, and so does the supervisor."""
    program, notes, steady = tmp_path / "program", tmp_path / "notes", tmp_path / "steady"
    with supervised([str(program)], python(NOTE + SLEEP, steady)):
        until(lambda: pids(steady))  # which is looked after later than the other
        program.write_text(f"#!/bin/sh\necho $$ >> {notes}\nexec sleep 60\n")
        program.chmod(0o700)
        until(lambda: pids(notes))
        assert alive(pids(steady)[0])
    assert len(pids(steady)) == 1


def test_a_role_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    began = time.monotonic()
    with supervised(python(DEAF + NOTE + SLEEP, tmp_path / "notes"), drain_s=0.3):
        until(lambda: pids(tmp_path / "notes"))
    assert time.monotonic() - began < 20
    assert not alive(pids(tmp_path / "notes")[0])


def test_sigterm_stops_the_children_first(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with subprocess.Popen(python(SUPERVISOR, CHILD, notes)) as supervisor:
        until(lambda: pids(notes))
        supervisor.terminate()
        assert supervisor.wait(timeout=20) == 0
    assert not alive(pids(notes)[0])


def test_children_of_a_killed_supervisor_end_themselves(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with subprocess.Popen(python(SUPERVISOR, CHILD, notes)) as supervisor:
        until(lambda: pids(notes))
        supervisor.kill()
    until(lambda: not alive(pids(notes)[0]))


@pytest.mark.parametrize("status", [2, 3])
def test_what_no_restart_cures_ends_the_node_with_its_status(status: int) -> None:
    command = [sys.executable, "-c", f"raise SystemExit({status})"]
    with pytest.raises(NotStartable, match="receive cannot run here") as caught:
        supervise({"receive": command}, threading.Event(), drain_s=1)
    assert caught.value.exit_status == status


RELOADS = """
import os, sys, time
time.sleep(float(sys.argv[2]))
from dicom_ai_node.processes import hangups
come = hangups()
open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
come.get()
"""
PICKY = """
import os, sys
from dicom_ai_node.processes import hangups
come = hangups()
open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
if open(sys.argv[2]).read() == "bad":
    sys.exit(2)
come.get()
"""


@contextmanager
def reloaded(
    *commands: Sequence[str],
    take: Callable[[], bool] = lambda: True,
    take_back: Callable[[], bool] = lambda: False,
) -> Iterator["SimpleQueue[None]"]:
    """Under a supervisor, which is asked to reload by the queue."""
    stop, asked = threading.Event(), SimpleQueue[None]()
    named = {f"role {number}": command for number, command in enumerate(commands)}
    reload = Reload(asked=asked, take=take, take_back=take_back)
    keywords = {"drain_s": 10, "reload": reload}
    thread = threading.Thread(target=supervise, args=(named, stop), kwargs=keywords)
    thread.start()
    try:
        yield asked
    finally:
        stop.set()
        thread.join()


def test_who_ends_to_reload_is_started_again_at_once(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with reloaded(python(RELOADS, notes, 0)) as asked:
        for number in range(1, 4):
            until(lambda n=number: len(pids(notes)) == n)
            asked.put(None)
        until(lambda: len(pids(notes)) == 4)


def test_a_reload_that_is_refused_reaches_nobody(tmp_path: Path) -> None:
    notes, answers = tmp_path / "notes", [False, True]
    with reloaded(python(RELOADS, notes, 0), take=lambda: answers.pop(0)) as asked:
        until(lambda: pids(notes))
        asked.put(None)
        until(lambda: len(answers) == 1)
        with pytest.raises(AssertionError):
            until(lambda: len(pids(notes)) > 1, seconds=1)
        asked.put(None)
        until(lambda: len(pids(notes)) == 2)


def test_a_hangup_that_comes_before_the_child_listens_is_kept(tmp_path: Path) -> None:
    """Else it would end it, or be lost."""
    notes = tmp_path / "notes"
    with reloaded(python(RELOADS, notes, 0.7), python(RELOADS, tmp_path / "others", 0)) as asked:
        until(lambda: pids(tmp_path / "others"))
        asked.put(None)
        until(lambda: len(pids(notes)) == 2)


def test_what_a_child_cannot_run_with_is_taken_back_for_all(tmp_path: Path) -> None:
    notes, steady, said = tmp_path / "notes", tmp_path / "steady", tmp_path / "said"
    said.write_text("good")

    def take() -> bool:
        said.write_text("bad")
        return True

    def take_back() -> bool:
        said.write_text("good")
        return True

    both = [python(PICKY, notes, said), python(RELOADS, steady, 0)]
    with reloaded(*both, take=take, take_back=take_back) as asked:
        until(lambda: pids(notes) and pids(steady))
        asked.put(None)
        until(lambda: len(pids(notes)) == 3 and len(pids(steady)) >= 2)
        until(lambda: alive(pids(notes)[2]))
        assert said.read_text() == "good"


def test_a_first_start_that_fails_is_nothing_to_go_back_from(tmp_path: Path) -> None:
    said = tmp_path / "said"
    said.write_text("bad")
    reload = Reload(asked=SimpleQueue(), take=lambda: True, take_back=lambda: True)
    with pytest.raises(NotStartable):
        supervise(
            {"picky": python(PICKY, tmp_path / "notes", said)},
            threading.Event(),
            drain_s=1,
            reload=reload,
        )
