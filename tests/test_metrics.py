"""Numbers in files that outlive their process; each role has its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicom_ai_node import metrics
from dicom_ai_node.kept_values import SIZES
from dicom_ai_node.observe.kept import heartbeats, kept
from tests.observe.scraped import kept_in

COUNT = """
import sys, time
from pathlib import Path
from dicom_ai_node import metrics
metrics.keep(Path(sys.argv[1]), sys.argv[2])
metrics.ASSOCIATIONS.labels("PACS").inc(3)
metrics.ASSOCIATIONS_OPEN.labels("PACS").inc()
metrics.LAST_CONTACT.labels("pacs").set(1e9)
metrics.STORE_SECONDS.labels("PACS").observe(0.02)
metrics.beat("receive", "node.port")()
print("counted", flush=True)
time.sleep(60)
"""


@contextmanager
def counting(folder: Path, role: str = "receive") -> Iterator["subprocess.Popen[str]"]:
    """A process of that role, which has counted and goes on; in the end it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", COUNT, str(folder), role], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "counted\n"
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def samples(folder: Path) -> dict[str, float]:
    return {
        each.name.removeprefix("dicom_ai_node_"): each.value
        for metric in kept(folder)
        for each in metric.samples
        if not each.name.endswith("_bucket")
    }


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_role_that_was_killed_goes_on_with_its_own_numbers(tmp_path: Path) -> None:
    """Counters never fall, what was open is not, and files do not pile up."""
    with counting(tmp_path):
        first = files(tmp_path)
        assert samples(tmp_path)["associations_open"] == 1
    with counting(tmp_path):
        found = samples(tmp_path)
        assert found["associations_accepted_total"] == 6
        assert found["store_seconds_count"] == 2
        assert found["associations_open"] == 1
        assert files(tmp_path) == first


def test_two_processes_of_a_role_share_no_file(tmp_path: Path) -> None:
    with counting(tmp_path), counting(tmp_path):
        found = samples(tmp_path)
        assert found["associations_accepted_total"] == 6
        assert found["associations_open"] == 2
    assert {"counter_receive-1.db", "counter_receive-2.db"} <= set(files(tmp_path))


def test_who_has_ended_has_nothing_open_and_does_not_live(tmp_path: Path) -> None:
    """Before it starts again; when a peer was last there, is still known."""
    with counting(tmp_path):
        pass
    assert heartbeats(tmp_path)
    metrics.forget_gauges(tmp_path, "receive")
    found = samples(tmp_path)
    assert heartbeats(tmp_path) == {}
    assert "associations_open" not in found
    assert found["peer_last_contact_timestamp_seconds"] == 1e9
    assert found["associations_accepted_total"] == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"\xff" * len(content),
        lambda content: content[:100],
        lambda content: content[:8] + b"\xff" * (len(content) - 8),
        lambda content: b"\xff\xff\xff\x7f" + content[4:],
        lambda content: b"",
    ],
    ids=["noise", "cut off", "noise behind its length", "a wrong length", "empty"],
)
def test_a_file_that_a_power_cut_left_is_left_out_and_begun_anew(
    tmp_path: Path, damage: object
) -> None:
    with counting(tmp_path), counting(tmp_path):
        pass
    path = tmp_path / "counter_receive-1.db"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert samples(tmp_path)["associations_accepted_total"] == 3  # the other one's
    with counting(tmp_path):
        assert samples(tmp_path)["associations_accepted_total"] == 6


def test_a_disk_without_room_keeps_nobody_from_counting(tmp_path: Path) -> None:
    """It may write a few bytes, and no file of the size that is needed."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        + COUNT.replace("time.sleep(60)", "")
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), "receive"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "counted"), done.stderr
    assert "metrics_not_kept" in done.stdout + done.stderr
    assert samples(tmp_path) == {}


def test_a_file_that_is_full_grows_no_further(tmp_path: Path) -> None:
    """Its space was taken when it was made: a page for which there is none ends the process."""
    with kept_in(tmp_path, "receive"):
        for number in range(5000):
            metrics.ASSOCIATIONS_REFUSED.labels(f"reason {number}").inc()
        last = metrics.ASSOCIATIONS_REFUSED.labels("reason 4999")
        last.inc()
        path = tmp_path / "counter_receive-1.db"
        assert path.stat().st_size == SIZES["counter"]
        assert path.stat().st_blocks * 512 >= SIZES["counter"]
        assert 1000 < len(next(m for m in kept(tmp_path) if "refused" in m.name).samples) < 5000


def test_a_loop_that_goes_round_often_is_written_down_once_a_second(tmp_path: Path) -> None:
    with kept_in(tmp_path, "work"):
        beat = metrics.beat("work", "jobs")
        beat()
        first = heartbeats(tmp_path)["work", "jobs"]
        assert time.time() - first < 5
        for _ in range(1000):
            beat()
        assert heartbeats(tmp_path)["work", "jobs"] - first < 1


def test_what_another_version_counted_under_another_name_is_left_out(tmp_path: Path) -> None:
    from prometheus_client import Counter

    with kept_in(tmp_path, "work"):
        Counter("dicom_ai_node_old", "x", ["a"], registry=None).labels("b").inc()
        metrics.JOBS_FINISHED.labels("m", "1", "none").inc()
        names = {metric.name for metric in kept(tmp_path)}
    assert "dicom_ai_node_old" not in names
    assert names == {each.name for d in metrics.DECLARED for each in d.describe()}


def test_child_processes_inherit_no_place_to_count(tmp_path: Path) -> None:
    """A model's process must not write into the spool."""
    with kept_in(tmp_path, "work"):
        assert not [name for name in os.environ if "MULTIPROC" in name.upper()]
