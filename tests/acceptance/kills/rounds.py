"""One node, struck once a round; each round ends when the PACS has every result of it."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dicom_ai_node.durable_steps import Step
from dicom_ai_node.spool import Spool
from tests.acceptance.bright import install_bright, route
from tests.acceptance.kills import books, studies
from tests.acceptance.kills.counting_pacs import CountingPacs
from tests.acceptance.kills.order_file import OrderFile
from tests.acceptance.kills.plan import SLICES, STUDIES, Strike
from tests.acceptance.kills.reckoning import (
    Disk,
    Kinds,
    Reckoning,
    kinds_of,
    reckon_copies,
    reckon_instances,
    reckon_results,
)
from tests.acceptance.kills.roles import Roles
from tests.acceptance.kills.sender import Sender, Study
from tests.acceptance.node_process import NodeProcess

SENDERS = 2
_ROUND_S = 300.0  # on a machine that is busy with other things
_NOT_REACHED_S = 3.0  # after all is done
SECTIONS: dict[str, dict[str, Any]] = {
    "study": {"quiet_s": 1, "incomplete_s": 600},
    "work": {"lease_s": 6, "threads": 1, "retry_after_s": 0.1},
    "delivery": {"backoff_max_s": 1},
    "limits": {"connections_per_s": 1000, "space_soft_mb": 64, "space_hard_mb": 32},
    "log": {"format": "json"},
}


class Uneven(AssertionError):
    """Something was lost, doubled or wrong; the text says what, and in which round (None: by the
    last look, at the end)."""

    def __init__(self, text: str, reckoning: Reckoning, number: int | None = None) -> None:
        super().__init__(text)
        self.reckoning = reckoning
        self.number = number


@dataclass(frozen=True, kw_only=True)
class RoundResult:
    number: int
    strikes: Sequence[Strike]
    struck: int  # so many of them
    seconds: float


@dataclass(kw_only=True)
class Struck:
    """What has become of the strikes of one round."""

    strikes: Sequence[Strike]
    at: int = 0
    wake_at: float | None = None  # what is paused

    @property
    def current(self) -> Strike | None:
        return self.strikes[self.at] if self.at < len(self.strikes) else None


@dataclass(eq=False)
class Rounds:
    """A node below `home`, and all that is around it."""

    home: Path
    pacs: CountingPacs = field(default_factory=CountingPacs)
    sent: list[Study] = field(default_factory=list, init=False)
    expected: dict[str | None, Kinds] = field(default_factory=dict, init=False)
    senders: list[Sender] = field(default_factory=list, init=False)

    def start(self) -> None:
        """And one study that nothing happens to, which shows what a run makes."""
        models = install_bright(self.home)
        self.pacs.start()
        node = NodeProcess(self.home / "node", models=models, peers={}, routes=[])
        pacs = {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": self.pacs.port}
        node.configure(
            models=models, peers={"pacs": pacs}, routes=[route("pacs")], sections=SECTIONS
        )
        self.log = node.home / "node.log"
        self.orders = OrderFile(self.home / "order")
        self.roles = Roles(node.config, self.log, self.orders.path)
        self.disk = Disk(Spool(node.home / "var"))
        self._url = f"sqlite:///{node.home}/var/node.db"
        self.senders = [Sender(node.port) for _ in range(SENDERS)]
        for sender in self.senders:
            sender.start()
        self.roles.start()
        self._undisturbed()

    def _undisturbed(self) -> None:
        study = studies.good(f"{self.home.name} undisturbed")
        self._give([study])
        self._wait(lambda: bool(self.pacs.of([study.uid])[study.uid]) and self._is_idle())
        kinds = kinds_of(self.pacs.of([study.uid])[study.uid])
        assert {"SEG", "SR"} <= set(kinds), kinds
        self.expected = {None: kinds, studies.CONFLICT: ()}

    def _give(self, some: Sequence[Study]) -> None:
        for k, study in enumerate(some):
            self.sent.append(study)
            self.senders[k % SENDERS].give(study)

    def run(self, number: int, strikes: Sequence[Strike]) -> RoundResult:
        """Raises Uneven."""
        began = time.monotonic()
        name = f"{self.home.name} {number}"
        some = [studies.good(f"{name} {k}", slices=SLICES) for k in range(STUDIES)]
        if any(each.order.step is Step.CONFLICT_RECORDED for each in strikes):
            some.append(studies.conflicting(f"{name} conflict", slices=SLICES))
        struck = Struck(strikes=strikes)
        self.orders.give(strikes[0].order)
        self._give(some)
        settled_at: float | None = None
        while struck.current is not None or settled_at is None:
            self._step(struck)
            if not self._is_settled(some):
                settled_at = None
            elif settled_at is None:
                settled_at = time.monotonic()
            elif time.monotonic() - settled_at > _NOT_REACHED_S:
                break
            if time.monotonic() - began > _ROUND_S:
                break
            time.sleep(0.02)
        self.orders.give(None)
        self._settle(some, struck, began)
        reckoning = self.reckon(some)
        if not reckoning.is_even:
            plan = ", ".join(map(str, strikes))
            text = f"round {number} ({plan}): {reckoning}; see {self.log}"
            raise Uneven(text, reckoning, number)
        return RoundResult(
            number=number,
            strikes=strikes,
            struck=struck.at,
            seconds=time.monotonic() - began,
        )

    def _settle(self, some: Sequence[Study], struck: Struck, began: float) -> None:
        """What was struck last is on its feet again, and has come to its end."""
        while not (self._is_settled(some) and self._is_idle()):
            self._step(struck)
            if time.monotonic() - began > _ROUND_S:
                return  # which the reckoning tells
            time.sleep(0.02)

    def _step(self, struck: Struck) -> None:
        """Do what is due to the processes, and start those that are gone."""
        current = struck.current
        if current is not None and self.orders.is_struck():
            if current.how == "node" and self.roles.stopped():
                self.roles.kill()
                self._next(struck)
            elif current.how == "pause" and struck.wake_at is None:
                struck.wake_at = time.monotonic() + current.pause_s
            elif current.how == "kill":
                self._next(struck)
        if struck.wake_at is not None and time.monotonic() > struck.wake_at:
            struck.wake_at = None
            for pid in self.roles.stopped():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            self._next(struck)
        self.roles.look_after()
        self.roles.start()

    def _next(self, struck: Struck) -> None:
        struck.at += 1
        current = struck.current
        self.orders.give(current.order if current is not None else None)

    def _is_settled(self, some: Sequence[Study]) -> bool:
        done = set().union(*(sender.done for sender in self.senders))
        found = self.pacs.of([each.uid for each in some])
        return all(
            each.uid in done and len(found[each.uid]) >= len(self.expected[each.wrong])
            for each in some
        )

    def _is_idle(self) -> bool:
        return books.read(self._url).is_idle

    def reckon(self, some: Sequence[Study], *, at_end: bool = False) -> Reckoning:
        reckoning = Reckoning()
        reckon_results(reckoning, some, self.pacs.of([each.uid for each in some]), self.expected)
        reckon_copies(reckoning, self.pacs.copies)
        if strangers := self.pacs.studies() - {each.uid for each in self.sent}:
            reckoning.wrong.append(f"results for {len(strangers)} studies that nobody sent")
        disk = self.disk.read(anew=at_end)
        reckon_instances(reckoning, [each.ledger for each in self.senders], disk)
        acknowledged = sum(len(each.ledger.acknowledged) for each in self.senders)
        known = books.read(self._url).instances
        if known != acknowledged:
            reckoning.wrong.append(f"the books have {known} instances of {acknowledged}")
        if at_end:
            reckoning.wrong += books.mistakes(self._url, acknowledged=acknowledged)
        return reckoning

    def _wait(self, test: Callable[[], bool], *, timeout_s: float = 300) -> None:
        deadline = time.monotonic() + timeout_s
        while not test():
            assert time.monotonic() < deadline, self.log.read_text()
            self.roles.look_after()
            time.sleep(0.05)

    def end(self) -> Reckoning:
        """All that was sent is there still, once; and the node stops in order. Raises Uneven."""
        try:
            for sender in self.senders:
                sender.end()
            self.roles.stop()
            reckoning = self.reckon(self.sent, at_end=True)
            if not reckoning.is_even:
                raise Uneven(f"at the end: {reckoning}; see {self.log}", reckoning)
            return reckoning
        finally:
            self.abandon()

    def abandon(self) -> None:
        self.roles.kill()
        self.pacs.stop()
