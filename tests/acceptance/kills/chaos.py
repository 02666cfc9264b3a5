"""What befalls a node by chance: one thing at a time, from a seed."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.acceptance.kills.counting_pacs import AnyPacs
from tests.acceptance.kills.disk import SmallDisk
from tests.acceptance.node_process import NodeProcess

GAVE_UP = "the node gave up, and was started again"
_KILLED = ("receive", "work", "deliver", "attempt")
_PAUSE_S = (0.5, 9.0)  # leases run out after six
_OUTAGE_S = (2.0, 10.0)
_FULL_S = (2.0, 6.0)
_BETWEEN_S = (1.5, 5.0)


@dataclass(kw_only=True)
class Chaos:
    """`done` counts what was done, by name."""

    node: NodeProcess
    pacs: AnyPacs
    disk: SmallDisk
    dice: random.Random
    done: Counter[str] = field(default_factory=Counter)

    def once(self) -> None:
        """Something, and then a moment of peace, in which the node gets on its feet again."""
        happenings: dict[Callable[[], None], int] = {
            self._kill_one: 60,
            self._kill_supervisor: 8,
            self._kill_all: 8,
            self._pause_one: 8,
            self._stop_pacs: 8,
            self._fill_disk: 8 if self.disk.is_small else 0,
        }
        (what,) = self.dice.choices(list(happenings), list(happenings.values()))
        what()
        time.sleep(self.dice.uniform(*_BETWEEN_S))
        self.must_run()

    def must_run(self) -> None:
        """As a service manager has it: who has ended is started."""
        process = self.node.process
        if process is not None and process.poll() is None:
            return
        if process is not None:
            self.done[GAVE_UP] += 1
        self.node.begin()

    def _kill_one(self) -> None:
        role = self.dice.choice(_KILLED)
        pid = self.node.pid_of(role)
        if pid is not None:
            self._signal(pid, signal.SIGKILL)
            self.done[f"kill -9 of `{role}`"] += 1

    def _kill_supervisor(self) -> None:
        """Its children notice, and end; what comes next waits for them."""
        process = self.node.process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
            self.node.process = None
            self.done["kill -9 of `run` alone"] += 1

    def _kill_all(self) -> None:
        process = self.node.process
        if process is not None and process.poll() is None:
            self.node.kill()
            self.done["kill -9 of everything at once"] += 1

    def _pause_one(self) -> None:
        role = self.dice.choice(_KILLED)
        pid = self.node.pid_of(role)
        if pid is not None:
            self._signal(pid, signal.SIGSTOP)
            time.sleep(self.dice.uniform(*_PAUSE_S))
            self._signal(pid, signal.SIGCONT)
            self.done[f"SIGSTOP of `{role}`"] += 1

    def _stop_pacs(self) -> None:
        self.pacs.stop()
        time.sleep(self.dice.uniform(*_OUTAGE_S))
        self.pacs.start()
        self.done["PACS down"] += 1

    def _fill_disk(self) -> None:
        """Below the hard limit, or to the last byte."""
        self.disk.fill(but_mb=self.dice.choice((0, 4)))
        time.sleep(self.dice.uniform(*_FULL_S))
        self.disk.empty()
        self.done["disk full"] += 1

    @staticmethod
    def _signal(pid: int, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
