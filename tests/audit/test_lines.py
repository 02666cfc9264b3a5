"""The file of the trail: nothing is lost by a kill, and nothing is changed without a trace."""

import multiprocessing
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dicom_ai_node.audit.expire import expire, expired
from dicom_ai_node.audit.lines import HEAD, Head, append, day_files
from dicom_ai_node.audit.read import every_line
from dicom_ai_node.audit.trail import Actor, Trail
from dicom_ai_node.audit.verify import verify
from tests.audit.schema import assert_valid

DAY = "2026-01-02"


def write(folder: Path, *bodies: str, day: str = DAY) -> None:
    for body in bodies:
        append(folder, body.encode(), day=day, sync=False)


def bodies(folder: Path) -> list[str]:
    return [line.body.decode() for line in every_line(folder)]


def test_lines_are_numbered_chained_and_nobody_elses(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    write(folder, "<a/>", "<b/>", "<c/>")
    assert [line.number for line in every_line(folder)] == [1, 2, 3]
    found = verify(folder)
    assert (found.first, found.last, found.faults) == (1, 3, ())
    for path in (folder, *folder.iterdir()):
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def _write_many(folder: Path, name: str) -> None:
    for number in range(200):
        append(folder, f"<{name}{number}/>".encode(), day=DAY, sync=False)


def test_processes_that_write_at_once_keep_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(tmp_path, name)) for name in "abc"]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    found = verify(tmp_path)
    assert (found.last, found.faults) == (600, ())
    assert [each for each in bodies(tmp_path) if each.startswith("<a")] == [
        f"<a{number}/>" for number in range(200)
    ]


def _change(content: bytes) -> bytes:
    return content.replace(b"<b/>", b"<x/>")


def _take_out_the_second(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join(lines[:1] + lines[2:])


def _take_out_and_renumber(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return lines[0] + b"2" + lines[2][1:]


def _exchange(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join((lines[1], lines[0], lines[2]))


def _cut_the_last(content: bytes) -> bytes:
    return b"".join(content.splitlines(keepends=True)[:2])


def _insert(content: bytes) -> bytes:
    return b"4 " + b"0" * 64 + b" <evil/>\n" + content


def _spoil(content: bytes) -> bytes:
    return content.replace(b"<b/>", b"<b\n/>")


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        (_change, f"{DAY}.log: line 2 was changed"),
        (_take_out_the_second, f"{DAY}.log: line 2 is missing"),
        (_take_out_and_renumber, f"{DAY}.log: line 2 was changed"),
        (_exchange, f"{DAY}.log: line 1 is missing"),
        (_cut_the_last, "lines 3 to 3 are missing at the end"),
        (_insert, f"{DAY}.log: lines 1 to 3 are missing"),
        (_spoil, "this is no line of the trail"),
    ],
)
def test_what_was_done_to_the_file_is_said(
    tmp_path: Path, deed: Callable[[bytes], bytes], said: str
) -> None:
    write(tmp_path, "<a/>", "<b/>", "<c/>")
    file = tmp_path / f"{DAY}.log"
    file.write_bytes(deed(file.read_bytes()))
    assert any(said in fault for fault in verify(tmp_path).faults), verify(tmp_path)
    write(tmp_path, "<d/>")  # and what comes later does not hide it
    assert any("d/" in body for body in bodies(tmp_path))
    assert verify(tmp_path).faults


def test_a_trail_that_was_emptied_is_no_new_one(tmp_path: Path) -> None:
    write(tmp_path, "<a/>", "<b/>")
    (tmp_path / f"{DAY}.log").unlink()
    assert verify(tmp_path).faults
    write(tmp_path, "<c/>")
    assert "lines 1 to 2 are missing" in verify(tmp_path).faults[0]


def test_without_its_head_a_trail_goes_on_where_its_lines_end(tmp_path: Path) -> None:
    write(tmp_path, "<a/>", "<b/>")
    (tmp_path / HEAD).unlink()
    assert "head is missing" in verify(tmp_path).faults[-1]
    write(tmp_path, "<c/>")
    assert verify(tmp_path).last == 3


def _take_out_the_end(folder: Path) -> None:
    path = day_files(folder)[-1]
    path.write_bytes(_cut_the_last(path.read_bytes()))


def _take_out_the_beginning(folder: Path) -> None:
    day_files(folder)[0].unlink()


def _empty(folder: Path) -> None:
    for path in day_files(folder):
        path.write_bytes(b"")


@pytest.mark.parametrize("deed", [_take_out_the_end, _take_out_the_beginning, _empty])
@pytest.mark.parametrize("head", [None, b"spoilt"])
def test_that_the_head_was_lost_is_said_for_ever(
    tmp_path: Path, deed: Callable[[Path], None], head: bytes | None
) -> None:
    """It knew what is missing: who takes both away has left a trace all the same."""
    folder = tmp_path / "audit"
    write(folder, "<a/>", day="2026-01-01")
    write(folder, "<b/>", "<c/>", "<d/>")
    deed(folder)
    (folder / HEAD).unlink() if head is None else (folder / HEAD).write_bytes(head)
    trail = Trail(folder)
    for _ in range(2):
        trail.acted(Actor(name="anna", through="command line"), "jobs retry")
    (said,) = (fault for fault in verify(folder).faults if "head was missing" in fault)
    assert "whether lines are missing before it cannot be said" in said
    (body,) = (each for each in bodies(folder) if "head-lost" in each)
    assert_valid([body.encode()], tmp_path)


def test_a_new_trail_has_lost_nothing(tmp_path: Path) -> None:
    """Also where the first process was killed between its first line and the head of that."""
    trail = Trail(tmp_path / "audit")
    trail.acted(Actor(name="anna", through="command line"), "jobs retry")
    (trail.folder / HEAD).write_bytes(Head().encode())
    trail.acted(Actor(name="anna", through="command line"), "jobs retry")
    found = verify(trail.folder)
    assert (found.last, found.faults) == (2, ())


@pytest.mark.parametrize("half", [b"", b"4 0123"], ids=["between line and head", "within a line"])
@pytest.mark.parametrize("day", ["2026-01-03", "2026-01-04"])
def test_a_kill_at_the_first_line_of_a_day_is_no_fault(
    tmp_path: Path, half: bytes, day: str
) -> None:
    write(tmp_path, "<a/>", "<b/>")
    head = (tmp_path / HEAD).read_bytes()
    write(tmp_path, "<c/>", day="2026-01-03")
    (tmp_path / HEAD).write_bytes(head)
    with (tmp_path / "2026-01-03.log").open("ab") as file:
        file.write(half)
    write(tmp_path, "<d/>", day=day)
    assert bodies(tmp_path) == ["<a/>", "<b/>", "<c/>", "<d/>"]
    assert verify(tmp_path).faults == ()


def test_a_kill_at_the_last_line_of_a_day_is_no_fault(tmp_path: Path) -> None:
    write(tmp_path, "<a/>")
    head = (tmp_path / HEAD).read_bytes()
    write(tmp_path, "<b/>")
    (tmp_path / HEAD).write_bytes(head)
    write(tmp_path, "<c/>", day="2026-01-03")
    assert bodies(tmp_path) == ["<a/>", "<b/>", "<c/>"]
    assert verify(tmp_path).faults == ()


@pytest.mark.parametrize("half", [b"", b"4 0123"], ids=["between line and head", "within a line"])
def test_what_a_killed_process_left_is_no_fault(tmp_path: Path, half: bytes) -> None:
    """A whole line counts, though its head was not written; half of one was promised to nobody."""
    write(tmp_path, "<a/>", "<b/>")
    head = (tmp_path / HEAD).read_bytes()
    write(tmp_path, "<c/>")
    (tmp_path / HEAD).write_bytes(head)
    with (tmp_path / f"{DAY}.log").open("ab") as file:
        file.write(half)
    write(tmp_path, "<d/>")
    assert bodies(tmp_path) == ["<a/>", "<b/>", "<c/>", "<d/>"]
    assert verify(tmp_path).faults == ()


_WRITER = """
import sys
from pathlib import Path
from dicom_ai_node.audit.lines import append
number = 0
while True:
    number += 1
    body = b"<m>%d %s</m>" % (number, b"x" * 20_000)
    append(Path(sys.argv[1]), body, day="2026-01-02", sync=True)
    print(number, flush=True)
"""


def test_a_line_is_on_record_once_it_is_written_whenever_the_process_is_killed(
    tmp_path: Path,
) -> None:
    acknowledged = 0
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            for _ in range(20):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().splitlines()
            acknowledged += 20 + len([each for each in rest if each])
    write(tmp_path, "<end/>")
    found = verify(tmp_path)
    assert found.faults == ()
    assert found.last > acknowledged


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """The process may write no further than its limit: as the disk, the system takes a part."""
    write(tmp_path, "<a/>")
    size = (tmp_path / f"{DAY}.log").stat().st_size
    child = os.fork()
    if not child:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, size + 40))
        try:
            append(tmp_path, b"<b/>" * 100, day=DAY, sync=True)
        except OSError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    write(tmp_path, "<c/>")
    assert bodies(tmp_path) == ["<a/>", "<c/>"]
    assert verify(tmp_path).faults == ()


def test_each_day_has_a_file_and_a_clock_that_was_put_back_opens_none(tmp_path: Path) -> None:
    write(tmp_path, "<a/>", day="2026-01-02")
    write(tmp_path, "<b/>", day="2026-01-03")
    write(tmp_path, "<c/>", day="2025-12-31")
    assert [path.name for path in day_files(tmp_path)] == ["2026-01-02.log", "2026-01-03.log"]
    assert bodies(tmp_path) == ["<a/>", "<b/>", "<c/>"]
    assert verify(tmp_path).faults == ()


def test_old_files_go_whole_once_they_are_sent_and_are_not_missed(tmp_path: Path) -> None:
    for day in range(1, 6):
        write(tmp_path, "<a/>", "<b/>", day=f"2026-01-0{day}")
    unsent = expired(tmp_path, before="2026-01-04", unsent_from="2026-01-02.log")
    assert [path.name for path in unsent] == ["2026-01-01.log"]
    every = expired(tmp_path, before="2027-01-01", unsent_from=None)
    assert len(every) == 4  # the latest stays, whatever its age
    expire(tmp_path, expired(tmp_path, before="2026-01-04", unsent_from=None))
    found = verify(tmp_path)
    assert (found.first, found.last, found.faults) == (7, 10, ())
    (tmp_path / "2026-01-04.log").unlink()  # by somebody else
    assert verify(tmp_path).faults == ("2026-01-05.log: lines 7 to 8 are missing",)


def test_a_trail_of_a_hundred_thousand_lines_is_verified_in_seconds(tmp_path: Path) -> None:
    body = "<m>" + "x" * 1000 + "</m>"
    for _ in range(3000):
        append(tmp_path, body.encode(), day=DAY, sync=False)
    began = time.monotonic()
    assert verify(tmp_path).last == 3000
    assert (time.monotonic() - began) * 100_000 / 3000 < 60
