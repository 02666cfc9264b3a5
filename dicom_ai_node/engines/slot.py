"""One slot: a process in which one attempt predicts and perhaps another one loads."""

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from dicom_ai_node import metrics
from dicom_ai_node.engines.attempt_main import Start
from dicom_ai_node.engines.child import Child
from dicom_ai_node.engines.costs import Costs, Limits
from dicom_ai_node.engines.engine import NOT_STARTED, Failure, Room
from dicom_ai_node.engines.handed_over import take_result
from dicom_ai_node.engines.local_attempt import LocalAttempt
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.log import get_logger
from dicom_ai_node.report import Report
from dicom_ai_node.request import Request

log = get_logger(__name__)

START_S = 300.0  # for imports, and the models that are loaded ahead
_STARTS = 3  # that may fail, one after another
_LOOK_EVERY_S = 0.25


@dataclass(slots=True, kw_only=True)
class Slot:
    """`start` is for a process whose models are warmed ahead; after a death none is, lest a model
    that brings down its process did so at every start."""

    start: Start
    home: Path
    environment: Mapping[str, str]
    limits: Limits
    fenced: Mapping[str, str] | None = None  # what the process says of its fence
    child: Child | None = None
    attempts: list[LocalAttempt] = field(default_factory=list)  # the first one predicts
    _has_begun: bool = False
    _has_spoken: bool = False
    _is_ready: bool = False
    _started_at: float = 0.0
    _failed_starts: int = 0
    _ended: int = 0  # attempts of this process
    _number: int = 0
    _costs: Costs = field(init=False)

    def __post_init__(self) -> None:
        self._costs = Costs(limits=self.limits)

    def begin(self, *, preload: bool = True) -> None:
        start = self.start if preload else replace(self.start, preload=())
        self.child = None  # so it stays, if there is no room for another one
        self.child = Child(start, home=self.home, environment=self.environment)
        metrics.ATTEMPT_PROCESSES.labels("again" if self._has_begun else "first").inc()
        self._has_begun = True
        self._has_spoken = self._is_ready = False
        self._started_at = time.monotonic()
        self._ended = 0

    def room(self) -> Room:
        if not self.attempts:
            return Room.FREE
        (*_, last) = self.attempts
        is_due = self._ended + len(self.attempts) >= self.limits.recycle_after
        busy = len(self.attempts) > 1 or last.alone or last.stage != "finishing" or is_due
        return Room.NONE if busy else Room.BESIDE

    def submit(self, request: Request, *, alone: bool) -> LocalAttempt:
        room = self.room()
        if room is Room.NONE or (alone and room is not Room.FREE):
            raise RuntimeError("the slot is taken")
        if self.child is None:
            self.begin(preload=False)
        self._number += 1
        made = LocalAttempt(slot=self, number=self._number, request=request, alone=alone)
        self._send(made)
        self.attempts.append(made)
        return made

    def step(self, wait_s: float) -> None:
        """Hear what the process has said, look whether it lives, and what it costs."""
        if self.child is None:
            return
        if wait_s > 0:
            wait([self.child.fileno()], min(wait_s, _LOOK_EVERY_S))
        child = self.child
        for words in child.said():
            self.hear(words)
            if self.child is not child:
                return
        self._keep_time(time.monotonic())
        status = child.ended()
        if status is not None:
            self._died(status)
        else:
            self._look(child, time.monotonic())

    def withdraw(self, attempt: LocalAttempt) -> None:
        """End one from outside; it is no fault of another one in the process, which begins anew."""
        if attempt not in self.attempts:
            return
        self.attempts.remove(attempt)
        self._replace(preload=True)

    def close(self) -> None:
        if self.child is not None:
            self.child.close()
            self.child = None
        self.attempts.clear()

    def _send(self, attempt: LocalAttempt) -> None:
        assert self.child is not None  # noqa: S101 - who calls has seen to it
        attempt.stage, attempt.spent_s, attempt.working_since = "sent", 0.0, None
        self.child.send(attempt.number, attempt.request)

    def _replace(self, *, preload: bool) -> None:
        """Another process, in which the attempts that are left begin anew."""
        if self.child is not None:
            self.child.close()
        self.begin(preload=preload)
        for each in self.attempts:
            self._send(each)

    def _keep_time(self, now: float) -> None:
        """The first attempt works, whatever its process says or does not say; the second one only
        while it loads."""
        for place, each in enumerate(self.attempts):
            each.keep_time(now, works=self._is_ready and (place == 0 or each.stage == "loading"))

    def hear(self, words: Mapping[str, Any]) -> None:
        """One line of the process; raises ConfigError where a required fence does not hold."""
        is_first, self._has_spoken = not self._has_spoken, True
        if is_first and isinstance(said := words.get("fence"), dict):  # before any model's code
            self.fenced = {str(part): str(text) for part, text in said.items()}
            self._must_be_fenced()
        elif words.get("is_ready"):
            self._is_ready, self._failed_starts = True, 0
        attempt = next((a for a in self.attempts if a.number == words.get("number")), None)
        if attempt is None:
            return
        stage = str(words.get("stage", ""))
        if "failure" in words:
            kind, text = str(words["failure"])[:32], str(words.get("text", ""))
            self._end(attempt, Failure(kind=kind, text=text))
        elif stage == "done":
            assert self.child is not None  # noqa: S101 - it has just spoken
            sha256 = str(words.get("sha256", ""))
            folder = self.child.out / str(attempt.number)
            self._end(attempt, take_result(folder, attempt.request.folder, sha256=sha256))
        else:
            attempt.stage = stage
            return
        self._after_attempt(is_unfit=bool(words.get("is_unfit")))

    def _end(self, attempt: LocalAttempt, found: Report | Failure) -> None:
        assert self.child is not None  # noqa: S101 - it has just spoken
        self.child.forget(attempt.number)
        attempt.found = found
        self.attempts.remove(attempt)
        self._ended += 1

    def _after_attempt(self, *, is_unfit: bool) -> None:
        if is_unfit:
            log.warning("attempt_process_replaced", why="its device is of no more use")
            self._replace(preload=False)
        elif not self.attempts and (why := self._worn_out()):
            log.info("attempt_process_replaced", why=why)
            self._replace(preload=True)

    def _worn_out(self) -> str | None:
        assert self.child is not None  # noqa: S101 - it has just spoken
        if self._ended >= self.limits.recycle_after:
            return f"it has made {self._ended} attempts"
        return self._costs.kept(self.child)

    def _look(self, child: Child, now: float) -> None:
        for each in self.attempts:
            if each.spent_s > each.request.model.package.timeout_s:
                text = "the attempt ran longer than the model's timeout_s"
                self._fail(Failure(kind="timeout", text=text))
                return
        if not self._is_ready and now - self._started_at > START_S:
            child.kill()
            self._died(None)
            return
        requests = [each.request for each in self.attempts]
        if failure := self._costs.too_much(child, requests, now):
            self._fail(failure)

    def _fail(self, failure: Failure) -> None:
        """Every attempt in the process is charged: whose fault it was, nobody can know for sure,
        and the next time each runs alone."""
        if len(self.attempts) > 1:
            failure = replace(failure, text=f"{failure.text} (it or another job beside it)")
        for each in self.attempts:
            each.found = failure
        self.attempts.clear()
        self._replace(preload=False)

    def _died(self, status: int | None) -> None:
        how = "by START_S" if status is None else _name_of(status)
        if self._is_ready:
            kind = "no_output" if status == 0 else "crash"
            self._fail(Failure(kind=kind, text=f"the attempt process ended {how}"))
            return
        self._must_be_fenced()
        self._failed_starts += 1
        log.error("attempt_process_not_started", how=how)
        if self._failed_starts < _STARTS:
            self._replace(preload=False)
        else:  # no study has reached it, so none is charged; the next attempt starts another one
            self._failed_starts = 0
            text = f"the attempt process did not start: {how}"
            for each in self.attempts:
                each.found = Failure(kind=NOT_STARTED, text=text)
            self.close()

    def _must_be_fenced(self) -> None:
        fence = self.start.fence
        if fence is None or fence.mode != "required" or self.fenced is None:
            return
        missing = [f"{part} ({t})" for part, t in self.fenced.items() if not t.startswith("yes")]
        if missing:
            raise ConfigError(
                f"work.fence is required, and these parts do not hold: {', '.join(missing)}; "
                "see docs/fence.md, or set work.fence: auto"
            )


def _name_of(status: int) -> str:
    return f"by {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"
