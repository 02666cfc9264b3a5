"""The trail at a repository: in order, whole, and complete, whoever goes down meanwhile."""

import itertools
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dicom_ai_node.audit.cursor import read_position, unsent_since, write_position
from dicom_ai_node.audit.events import study_deleted
from dicom_ai_node.audit.message import Party
from dicom_ai_node.audit.read import every_line, moment_of
from dicom_ai_node.audit.study import StudyInstances
from dicom_ai_node.audit.trail import Trail
from dicom_ai_node.audit_sender import Sender
from dicom_ai_node.config.audit import SyslogSettings
from tests.audit.repository import Repository, repository

HEADER = re.compile(
    rb"<85>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ai-node dicom_ai_node - DICOM\+RFC3881 - "
    rb"\xef\xbb\xbf<\?xml "
)


_numbers = itertools.count(1)


def fill(folder: Path, number: int) -> list[bytes]:
    """So many messages more, and all that there are by now; no two are equal."""
    trail = Trail(folder)
    for _ in range(number):
        what = StudyInstances(study_instance_uid=f"1.2.{next(_numbers)}")
        trail.note(study_deleted(Party(user_id="1"), what, at=time.time()), sync=False)
    return [line.body for line in every_line(folder)]


def sender(folder: Path, port: int, tls: dict[str, str] | None, **changes: Any) -> Sender:
    settings = {"host": "127.0.0.1", "port": port, "timeout_s": 5}
    more = {"allow_plaintext": True} if tls is None else {"tls": tls}
    return Sender(
        settings=SyslogSettings.model_validate(settings | more),
        folder=folder,
        host="ai-node",
        **changes,
    )


@contextmanager
def sending(each: Sender) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=each.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def wait(test: Callable[[], object], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not test():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def in_order(found: Sequence[bytes], wanted: Sequence[bytes]) -> None:
    """Every one is there; what came twice came as a whole run again, never out of order."""
    assert list(dict.fromkeys(found)) == list(wanted)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def made(tmp_path: Path) -> tuple[Repository, dict[str, str]]:
    return repository(tmp_path / "ca")


def test_each_message_comes_once_in_the_frame_that_dicom_wants(folder: Path, made: Any) -> None:
    there, tls = made
    with there.running():
        wanted = fill(folder, 5)
        with sending(sender(folder, there.port, tls)):
            wait(lambda: len(there.received) == 5)
            wanted = fill(folder, 2)
            wait(lambda: len(there.received) == 7)
    assert there.bodies() == wanted
    assert all(HEADER.match(content) for content in there.received)
    assert "node.test" in there.shown[0]
    assert unsent_since(folder) is None  # closed in agreement: all of it is sent


def test_a_message_of_more_than_32_kib_is_sent_whole(folder: Path, made: Any) -> None:
    there, tls = made
    trail = Trail(folder)
    what = StudyInstances(
        study_instance_uid="1.2.3", sop_classes={f"1.2.3.{number}": 1 for number in range(2000)}
    )
    trail.note(study_deleted(Party(user_id="1"), what, at=time.time()))
    with there.running(), sending(sender(folder, there.port, tls)):
        wait(lambda: there.received)
    assert len(there.received[0]) > 65_536
    assert there.bodies() == [line.body for line in every_line(folder)]


def test_while_it_is_down_messages_wait_and_their_age_is_known(folder: Path, made: Any) -> None:
    there, tls = made
    with there.running():
        pass  # it has a port, and is gone
    wanted = fill(folder, 3)
    with sending(sender(folder, there.port, tls)):
        assert unsent_since(folder) == moment_of(wanted[0])
        with there.running():
            wait(lambda: len(there.received) >= 3)
    in_order(there.bodies(), wanted)


@pytest.mark.parametrize("fails_after", [1, 7, 19])
def test_nothing_is_lost_when_it_fails_with_messages_under_way(
    folder: Path, made: Any, fails_after: int
) -> None:
    """What its system had taken, and it had not read, is sent again."""
    there, tls = made
    wanted = fill(folder, 20)
    there.fails_after = fails_after
    with there.running():
        each = sender(folder, there.port, tls)
        with sending(each):
            wait(lambda: len(there.received) >= fails_after)
            wanted = fill(folder, 5)
            wait(lambda: each._was_down)
            there.fails_after = None
            wait(lambda: set(there.bodies()) >= set(wanted))
    in_order(there.bodies(), wanted)


def test_what_lived_on_is_not_sent_again(folder: Path, made: Any) -> None:
    there, tls = made
    wanted = fill(folder, 4)
    with there.running():
        each = sender(folder, there.port, tls, confirm_s=0.0)
        each.send_some()
        wait(lambda: len(there.received) == 4)
        each.send_some()
        each._close()  # as a killed process would
        assert read_position(folder).file
        wanted = fill(folder, 1)
        again = sender(folder, there.port, tls)
        again.send_some()
        wait(lambda: len(there.received) == 5)
        again.finish()
    assert there.bodies() == wanted


_NODE = """
import json, sys, threading
from pathlib import Path
from tests.audit.test_sender import sender
sender(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])).run(threading.Event())
"""


def test_a_killed_sender_goes_on_without_a_gap(folder: Path, made: Any) -> None:
    there, tls = made
    wanted = fill(folder, 300)
    with there.running():
        for number in (20, 60):
            before = len(there.received)
            arguments = [sys.executable, "-c", _NODE, str(folder), str(there.port), json.dumps(tls)]
            with subprocess.Popen(arguments) as process:
                wait(lambda goal=before + number: len(there.received) >= goal)
                process.send_signal(signal.SIGKILL)
            wanted = fill(folder, 10)
        with sending(sender(folder, there.port, tls)):
            wait(lambda: set(there.bodies()) >= set(wanted))
    in_order(there.bodies(), wanted)


def test_a_stranger_in_the_repositorys_place_gets_nothing(
    folder: Path, made: Any, tmp_path: Path
) -> None:
    _, tls = made
    stranger, _ = repository(tmp_path / "others")
    fill(folder, 2)
    with stranger.running():
        each = sender(folder, stranger.port, tls)
        with sending(each):
            wait(lambda: each._was_down)
    assert stranger.received == []
    assert read_position(folder).offset == 0


def test_over_udp_each_is_a_datagram(folder: Path) -> None:
    wanted = fill(folder, 3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.bind(("127.0.0.1", 0))
        there.settimeout(10)
        with sending(sender(folder, there.getsockname()[1], None)):
            found = [there.recv(65_536) for _ in wanted]
    assert [each.partition(b"\xef\xbb\xbf")[2] for each in found] == wanted


def test_a_spoilt_position_sends_everything_again(folder: Path, made: Any) -> None:
    there, tls = made
    wanted = fill(folder, 3)
    write_position(folder, read_position(folder))
    (folder / "sent").write_text("nonsense")
    with there.running(), sending(sender(folder, there.port, tls)):
        wait(lambda: len(there.received) == 3)
    assert there.bodies() == wanted


def test_patients_cross_no_network_unprotected_by_mistake() -> None:
    with pytest.raises(ValidationError, match="set tls, or set allow_plaintext"):
        SyslogSettings.model_validate({"host": "repository"})
    with pytest.raises(ValidationError, match="exclude each other"):
        SyslogSettings.model_validate({"host": "r", "tls": {}, "allow_plaintext": True})
