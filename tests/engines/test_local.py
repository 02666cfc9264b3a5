"""Attempts in real processes: whatever a model does, its attempt ends, and the next one works."""

import itertools
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.settings import WorkSettings
from dicom_ai_node.engines import landlock
from dicom_ai_node.engines.engine import Failure, Room
from dicom_ai_node.engines.local import LocalEngine
from dicom_ai_node.engines.local_attempt import LocalAttempt
from dicom_ai_node.job import Outcome
from dicom_ai_node.report import Report
from dicom_ai_node.request import Request
from dicom_ai_node.study import IMAGE
from tests.dicom_factory import write
from tests.engines import misbehaving as told
from tests.made import stored

LONG_S = 120.0  # machines that test are busy

Found = Report | Failure


class Bench:
    """One engine, and requests for it."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.spool = folder / "spool"
        self.home = self.spool / "incoming"
        self.home.mkdir(parents=True)
        (self.spool / "instances").mkdir()
        (self.spool / "node.db").write_bytes(b"rows")
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.model = told.told(folder / "packages", self.store, places=self._places())
        values = {"threads": 1, "memory_mb": 1500, "scratch_mb": 64, **settings}
        self.engine = LocalEngine(
            WorkSettings.model_validate(values),
            readable=[self.store, self.spool / "instances"],
            home=self.home,
        )
        self._numbers = itertools.count()

    def close(self) -> None:
        self.engine.close()
        self.listening.close()

    def submit(
        self,
        act: int = told.GOOD,
        *,
        timeout_s: float = LONG_S,
        alone: bool = False,
        model: InstalledModel | None = None,
        refusal: str | None = None,
    ) -> LocalAttempt:
        name = f"study-{next(self._numbers)}"
        paths = write(told.study(act, name=name), self.spool / "instances" / name)
        chosen = model or self.model
        package = chosen.package.model_copy(update={"timeout_s": timeout_s})
        request = Request(
            job_key=name,
            model=chosen.model_copy(update={"package": package}),
            inputs={IMAGE: tuple(stored(paths))},
            folder=self.home / f"attempt-{name}",
            refusal=refusal,
        )
        return self.engine.submit(request, alone=alone)

    def run(self, act: int = told.GOOD, **changes: object) -> Found:
        return self.ended(self.submit(act, **changes))  # type: ignore[arg-type]

    def ended(self, attempt: LocalAttempt) -> Found:
        found = attempt.poll(LONG_S)
        assert found is not None, "the attempt did not end"
        return found

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LONG_S
        while not condition():
            assert time.monotonic() < deadline
            self.engine.wait(0.05)

    def is_well(self) -> None:
        found = self.run()
        assert isinstance(found, Report), found
        assert found.outcome is Outcome.FINDINGS

    def _places(self) -> str:
        instances = self.spool / "instances"
        write_to = {"spool": instances / "new", "store": self.store / "new", "etc": "/etc/new"}
        read = {"database": self.spool / "node.db", "shadow": "/etc/shadow"}
        port = self.listening.getsockname()[1]
        parts = [
            "write: {" + ", ".join(f"{k}: '{v}'" for k, v in write_to.items()) + "}",
            "read: {" + ", ".join(f"{k}: '{v}'" for k, v in read.items()) + "}",
            f"port: {port}",
        ]
        return "{" + ", ".join(parts) + "}"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Fenced and warm: a first study has been analysed."""
    os.environ["A_SECRET"] = "SECRET"  # noqa: S105 - it is none
    made = Bench(tmp_path_factory.mktemp("bench"))
    try:
        made.engine.start()
        made.is_well()
        yield made
    finally:
        made.close()
        del os.environ["A_SECRET"]


def failure(found: Found) -> Failure:
    assert isinstance(found, Failure), found
    return found


@pytest.mark.fault("E1")
def test_a_model_that_raises_ends_its_attempt_alone(bench: Bench) -> None:
    """The process lives on: its models are still warm."""
    before = bench.engine.pids()
    found = failure(bench.run(told.RAISES))
    assert (found.kind, found.text.split()[0]) == ("error", "ValueError")
    bench.is_well()
    assert bench.engine.pids() == before


@pytest.mark.fault("E2")
@pytest.mark.parametrize("act", [told.SLEEPS, told.HOLDS_THE_GIL, told.DEADLOCKS])
def test_a_model_that_hangs_is_killed_at_its_limit(bench: Bench, act: int) -> None:
    found = failure(bench.run(act, timeout_s=1))
    assert found.kind == "timeout"


@pytest.mark.fault("E3", "E5")
@pytest.mark.parametrize("act", [told.WRONG_SHAPE, told.NOT_A_NUMBER, told.WRONG_CLASS])
def test_an_answer_that_breaks_the_contract_is_reported_as_failed(bench: Bench, act: int) -> None:
    found = bench.run(act)
    assert isinstance(found, Report), found
    assert found.outcome is Outcome.FAILED
    assert [each.kind for each in found.objects] == ["sr", "summary"]


@pytest.mark.fault("E8")
@pytest.mark.parametrize(
    ("act", "kind", "how"),
    [
        (told.CRASHES, "crash", "by SIGSEGV"),
        (told.IS_KILLED, "crash", "by SIGKILL"),
        (told.EXITS, "no_output", "with exit status 0"),
    ],
)
def test_a_process_that_ends_takes_its_own_attempt_alone(
    bench: Bench, act: int, kind: str, how: str
) -> None:
    found = failure(bench.run(act))
    assert (found.kind, found.text) == (kind, f"the attempt process ended {how}")


@pytest.mark.fault("E8")
def test_the_kernel_would_rather_take_the_attempt_than_the_worker(bench: Bench) -> None:
    bench.is_well()
    (process,) = bench.engine.pids()
    scores = [int(Path(f"/proc/{p}/oom_score_adj").read_text()) for p in (process, "self")]
    assert scores[0] > scores[1]


@pytest.mark.fault("E8", "E15")
def test_a_model_that_takes_all_memory_is_ended(bench: Bench) -> None:
    found = failure(bench.run(told.HOGS))
    assert found.kind == "memory"
    assert found.text.endswith("1500 allowed")


@pytest.mark.fault("E1")
def test_a_failure_of_our_own_words_is_told_in_them(bench: Bench) -> None:
    """An administrator reads the program's status, and not where our code stood."""
    found = failure(bench.run(told.FAILS_AS_A_PROGRAM))
    assert (found.kind, found.text) == ("error", "the program of x ended badly (status 2)")


@pytest.mark.fault("E10")
def test_a_model_that_multiplies_is_ended_with_all_of_them(bench: Bench) -> None:
    found = failure(bench.run(told.MULTIPLIES))
    assert found.kind == "processes"
    assert bench.run(told.GOOD).outcome is Outcome.FINDINGS


@pytest.mark.fault("E10")
def test_a_model_that_fills_the_disk_is_ended_and_its_files_go(bench: Bench) -> None:
    found = failure(bench.run(told.FILLS))
    assert found.kind == "scratch"
    assert not list(bench.home.rglob("full"))


@pytest.mark.fault("E10")
@pytest.mark.parametrize("act", [told.HIDES, told.MAKES_MANY_FILES])
def test_files_that_are_hidden_or_empty_count_as_well(bench: Bench, act: int) -> None:
    assert failure(bench.run(act)).kind == "scratch"
    bench.is_well()
    assert not list(bench.home.rglob("hidden"))


@pytest.mark.fault("E10")
def test_what_one_study_leaves_on_the_disk_is_not_charged_to_the_next(bench: Bench) -> None:
    bench.is_well()
    before = bench.engine.pids()
    assert isinstance(bench.run(told.LEAVES_FILES), Report)
    assert bench.engine.pids() != before
    bench.is_well()


@pytest.mark.fault("E2")
@pytest.mark.parametrize("act", [told.LIES, told.NEVER_STOPS_TALKING])
def test_what_a_model_says_in_the_name_of_its_process_changes_nothing(
    bench: Bench, act: int
) -> None:
    """Neither the clock, nor the fence, nor the worker that listens."""
    assert failure(bench.run(act, timeout_s=2)).kind == "timeout"
    bench.is_well()


@pytest.mark.fault("E10")
@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_a_model_cannot_break_out(bench: Bench) -> None:
    """Neither files nor network nor processes of others, nor secrets."""
    found = bench.run(told.BREAKS_OUT)
    assert isinstance(found, Report), found
    assert found.reason is not None
    said = dict(part.split(" ", 1) for part in found.reason.split("; "))
    denied = "Permission denied"
    refused = {"spool", "store", "etc", "database", "shadow"}
    assert {name: said[name] for name in refused} == dict.fromkeys(refused, denied)
    assert said["tcp"] != "done"
    assert said["udp"] != "done"
    assert said["signal"] == "Operation not permitted"
    assert said["secrets"] == "0"


@pytest.mark.fault("E2")
def test_what_a_model_has_started_ends_with_it(bench: Bench) -> None:
    attempt = bench.submit(told.HAS_CHILDREN, timeout_s=3)
    (process,) = bench.engine.pids()
    bench.until(lambda: bool(_children(process)))
    children = _children(process)
    assert failure(bench.ended(attempt)).kind == "timeout"
    bench.until(lambda: not any(_lives(child) for child in children))


@pytest.mark.fault("E6")
def test_a_process_whose_gpu_is_of_no_more_use_is_replaced(bench: Bench) -> None:
    bench.is_well()
    before = bench.engine.pids()
    assert failure(bench.run(told.LOSES_THE_GPU)).kind == "error"
    assert bench.engine.pids() != before


@pytest.mark.fault("E7")
def test_a_model_for_a_gpu_waits_where_there_is_none(bench: Bench) -> None:
    package = bench.model.package.model_copy(update={"device": "cuda"})
    found = failure(bench.run(model=bench.model.model_copy(update={"package": package})))
    assert found.kind == "no_device"
    assert "told 1.0 needs a cuda device" in found.text


def test_the_next_study_is_loaded_while_this_one_is_predicted(bench: Bench) -> None:
    """And the seconds behind another one do not count for its own limit."""
    first = bench.submit(told.TAKES_A_SECOND)
    bench.until(lambda: bench.engine.room() is Room.BESIDE)
    second = bench.submit()
    assert bench.engine.room() is Room.NONE
    bench.until(lambda: second.stage in ("loaded", "finishing") or second.found is not None)
    assert first.found is None
    assert isinstance(bench.ended(first), Report)
    assert isinstance(bench.ended(second), Report)
    waited = second.spent_s
    assert waited < 60


@pytest.mark.fault("E18")
def test_a_model_that_writes_into_the_results_of_another_study_is_found_out(bench: Bench) -> None:
    """Hashes, report and all; and what it writes as its own result is compared like any other."""
    first = bench.submit(told.TAKES_A_SECOND)
    bench.until(lambda: bench.engine.room() is Room.BESIDE)
    second = bench.submit(told.MEDDLES)
    deadline = time.monotonic() + LONG_S
    while not list(bench.home.glob("attempt-process-*/out/meddled")):  # nobody takes the first over
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found = failure(bench.ended(first))
    assert (found.kind, found.text) == (
        "mismatch",
        "the report was altered after the attempt had ended",
    )
    assert isinstance(bench.ended(second), Report)


def test_a_crash_counts_for_every_job_in_the_process(bench: Bench) -> None:
    """Whose it was, nobody can know; who was tried before, is alone from then on."""
    first = bench.submit(told.SLEEPS, timeout_s=4)
    bench.until(lambda: bench.engine.room() is Room.BESIDE)
    second = bench.submit()
    found = [failure(bench.ended(each)) for each in (first, second)]
    assert [each.kind for each in found] == ["timeout", "timeout"]
    assert found[0].text.endswith("(it or another job beside it)")
    alone = bench.submit(told.TAKES_A_SECOND, alone=True)
    bench.until(lambda: alone.stage == "finishing")
    assert bench.engine.room() is Room.NONE
    assert isinstance(bench.ended(alone), Report)


def test_who_is_withdrawn_does_not_harm_the_other(bench: Bench) -> None:
    first = bench.submit(told.SLEEPS)
    bench.until(lambda: bench.engine.room() is Room.BESIDE)
    second = bench.submit()
    first.kill()
    assert isinstance(bench.ended(second), Report)


@pytest.mark.fault("E12")
def test_a_warm_model_whose_file_was_changed_is_not_used(bench: Bench, tmp_path: Path) -> None:
    other = told.told(tmp_path, bench.store, name="changing", places="{}")
    assert isinstance(bench.run(model=other), Report)
    weights = other.folder / "weights.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + b"\x01")
    found = failure(bench.run(model=other))
    assert found.kind == "model_changed"
    assert "weights.safetensors of changing 1.0 is not the one that was installed" in found.text
    weights.write_bytes(content)
    assert isinstance(bench.run(model=other), Report)  # the same bytes, at another time


def test_a_refused_study_is_reported_without_a_model(bench: Bench) -> None:
    found = bench.run(told.CRASHES, refusal="No route takes it.")
    assert isinstance(found, Report)
    assert (found.outcome, found.reason) == (Outcome.NOT_SUITABLE, "No route takes it.")


@pytest.mark.fault("E15")
def test_a_process_is_replaced_after_its_number_of_attempts(tmp_path: Path) -> None:
    """Before what it leaks with each has become much."""
    bench = Bench(tmp_path, recycle_after=2)
    try:
        pids = []
        for _ in range(3):
            assert isinstance(bench.run(told.LEAKS), Report)
            pids += bench.engine.pids()
    finally:
        bench.close()
    assert pids[0] != pids[1]
    assert pids[1] == pids[2]


@pytest.mark.fault("E1")
def test_an_attempt_that_fails_says_nothing_of_the_patient(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its traceback, and what libraries warn of odd headers, would quote them. Without a fence."""
    model = told.told(tmp_path / "packages", tmp_path / "store")
    instances = told.study(told.RAISES)
    for ds in instances:
        ds.PatientName, ds.PatientID = "SECRET^NAME", "SECRET-ID"
        ds.AccessionNumber = "SECRET-ACCESSION-THAT-IS-TOO-LONG"
    request = Request(
        job_key="k",
        model=model,
        inputs={IMAGE: tuple(stored(write(instances, tmp_path / "images")))},
        folder=tmp_path / "result",
    )
    (tmp_path / "home").mkdir()
    engine = LocalEngine(threads=1, home=tmp_path / "home")
    try:
        found = failure(engine.submit(request).poll(LONG_S))  # type: ignore[arg-type]
    finally:
        engine.close()
    assert found.text.startswith("ValueError at ")
    said = capfd.readouterr()
    assert "attempt_failed" in said.err
    assert "SECRET" not in (said.err + said.out).upper() + found.text
    assert list((tmp_path / "home").iterdir()) == []


def _children(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
