"""A whole node in operation while one thing after another befalls it, and the reckoning."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from dicom_ai_node.spool import Spool
from tests.acceptance.bright import install_bright, route
from tests.acceptance.kills import books, studies
from tests.acceptance.kills.chaos import Chaos
from tests.acceptance.kills.counting_pacs import AnyPacs, CountingPacs
from tests.acceptance.kills.disk import SmallDisk
from tests.acceptance.kills.orthanc_pacs import OrthancPacs
from tests.acceptance.kills.reckoning import (
    Disk,
    Kinds,
    Reckoning,
    kinds_of,
    reckon_copies,
    reckon_instances,
    reckon_results,
)
from tests.acceptance.kills.sender import Sender, Study
from tests.acceptance.node_process import NodeProcess

SENDERS = 3
_WRONG = 0.05  # of the studies
_AHEAD = 12  # studies that are sent, and whose results are not there
_PEACE_AFTER = 4  # happenings
_PEACE_S = 60.0
_DISK_MB = 512
_DRAIN_S = 600.0
SECTIONS: dict[str, dict[str, Any]] = {
    "study": {"quiet_s": 1, "incomplete_s": 600},
    # a study that is struck again and again by chance is not to blame
    "work": {"lease_s": 6, "threads": 1, "retry_after_s": 0.1, "max_attempts": 50},
    "delivery": {"backoff_max_s": 2},
    "limits": {"connections_per_s": 1000, "space_soft_mb": 32, "space_hard_mb": 16},
    "log": {"format": "json"},
}


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What came of it."""

    seconds: float
    drain_s: float
    senders: int
    pacs: str
    sent: int  # studies
    wrong: int
    acknowledged: int
    refused: int
    sent_again: int
    objects: int
    expected: int
    happened: dict[str, int]
    reckoning: Reckoning


@dataclass(eq=False, kw_only=True)
class Soak:
    """`say` hears of the progress."""

    home: Path
    seed: int
    with_orthanc: bool
    say: Callable[[str], None]
    sent: list[Study] = field(default_factory=list, init=False)
    expected: dict[str | None, Kinds] = field(default_factory=dict, init=False)

    @contextmanager
    def running(self) -> Iterator["Soak"]:
        """The node, its PACS and its senders, from the start to the end."""
        models = install_bright(self.home)
        self.small = SmallDisk(self.home / "disk", size_mb=_DISK_MB)
        self.node = NodeProcess(self.home / "node", models=models, peers={}, routes=[])
        self.pacs: AnyPacs = (
            OrthancPacs(self.home / "pacs", node_port=self.node.port)
            if self.with_orthanc
            else CountingPacs()
        )
        self.senders = [Sender(self.node.port) for _ in range(SENDERS)]
        try:
            self.pacs.start()
            self._configure(models)
            self.node.start(timeout_s=300)
            for sender in self.senders:
                sender.start()
            self._undisturbed()
            yield self
        finally:
            if self.node.process is not None:
                self.node.kill()
            self.pacs.stop()
            self.small.unmount()

    def _configure(self, models: Path) -> None:
        peer = {"kind": "dimse", "ae_title": self.pacs.ae_title, "host": "127.0.0.1"}
        self._url = f"sqlite:///{self.small.folder}/node.db"
        self.node.configure(
            models=models,
            peers={"pacs": {**peer, "port": self.pacs.port, "timeout_s": 5}},
            routes=[route("pacs")],
            sections=SECTIONS,
            spool=str(self.small.folder),
            database=self._url,
        )

    def _undisturbed(self) -> None:
        """One study of each kind, to which nothing happens: what a run makes of it."""
        some = [studies.good(f"{self.home.name} good")]
        some += [studies.wrong(f"{self.home.name} {what}", what) for what in studies.WRONG]
        self._give(some)
        assert self._drained(), self.node.log()
        found = self.pacs.of([each.uid for each in some])
        self.expected = {each.wrong: kinds_of(found[each.uid]) for each in some}
        assert {"SEG", "SR"} <= set(self.expected[None])
        assert self.expected["two patients"] == self.expected["another modality"] == ()
        assert self.expected["a missing slice"] == self.expected["another body part"] != ()
        self.say(f"undisturbed: {self.expected}")

    def _give(self, some: list[Study]) -> None:
        for study in some:
            self.senders[len(self.sent) % SENDERS].give(study)
            self.sent.append(study)

    def run(self, seconds: float) -> Figures:
        dice = random.Random(self.seed)  # noqa: S311 - no secret
        chaos = Chaos(node=self.node, pacs=self.pacs, disk=self.small, dice=dice)
        began, said_at = time.monotonic(), 0.0
        happenings = count(1)
        fresh = self._fresh(random.Random(f"{self.seed} studies"))  # noqa: S311
        while (now := time.monotonic()) - began < seconds:
            for _ in range(_AHEAD - self._under_way()):
                self._give([next(fresh)])
            chaos.once()
            if not next(happenings) % _PEACE_AFTER:
                self._peace(chaos)
            if now - said_at > 30:
                said_at = now
                self.say(f"{now - began:5.0f} s: {len(self.sent)} studies, {dict(chaos.done)}")
        return self._reckoned(chaos, time.monotonic() - began)

    def _fresh(self, dice: random.Random) -> Iterator[Study]:
        for number in count():
            name = f"{self.home.name} {self.seed} {number}"
            if dice.random() < _WRONG:
                yield studies.wrong(name, dice.choice(list(studies.WRONG)))
            else:
                yield studies.good(name, slices=dice.randint(3, 6))

    def _peace(self, chaos: Chaos) -> None:
        """Until a result has come through: on a slow machine a node would only ever start."""
        before, until = self._under_way(), time.monotonic() + _PEACE_S
        while self._under_way() >= before > 0 and time.monotonic() < until:
            chaos.must_run()
            time.sleep(0.2)

    def _under_way(self) -> int:
        """Studies whose results are not at the PACS."""
        there = self.pacs.studies()
        return sum(each.uid not in there and bool(self.expected[each.wrong]) for each in self.sent)

    def _through(self) -> int:
        """How many studies have been sent to their end."""
        return sum(len(sender.done) for sender in self.senders)

    def _reckoned(self, chaos: Chaos, seconds: float) -> Figures:
        drain_began = time.monotonic()
        self.disk_read = Disk(Spool(self.small.folder))
        drained = self._drained(chaos)
        drain_s = time.monotonic() - drain_began
        reckoning = self._reckoning()
        if not drained:
            reckoning.wrong.append(f"the node did not come to rest in {_DRAIN_S:.0f} s")
        ledgers = [sender.ledger for sender in self.senders]
        found = self.pacs.of([each.uid for each in self.sent])
        for sender in self.senders:
            sender.end()
        status = self.node.stop()
        if status != 0:
            reckoning.wrong.append(f"SIGTERM ended the node with {status}")
        return Figures(
            seconds=seconds,
            drain_s=drain_s,
            senders=SENDERS,
            pacs="Orthanc" if self.with_orthanc else "a counting SCP of pynetdicom",
            sent=len(self.sent),
            wrong=sum(each.wrong is not None for each in self.sent),
            acknowledged=sum(len(each.acknowledged) for each in ledgers),
            refused=sum(len(each.refused) for each in ledgers),
            sent_again=sum(each.sent_again for each in ledgers),
            objects=sum(map(len, found.values())),
            expected=sum(len(self.expected[each.wrong]) for each in self.sent),
            happened=dict(sorted(chaos.done.items())),
            reckoning=reckoning,
        )

    def _drained(self, chaos: Chaos | None = None) -> bool:
        """Everything was sent, and has come to its end: the books only say when to look."""
        deadline = time.monotonic() + _DRAIN_S
        while time.monotonic() < deadline:
            if chaos is not None:
                chaos.must_run()
            if self._through() == len(self.sent) and self._is_idle():
                return True
            time.sleep(0.2)
        return False

    def _is_idle(self) -> bool:
        with suppress(OperationalError):  # locked for long, or on a full disk
            found = books.read(self._url)
            # the rows of what was acknowledged last may be on their way
            return sum(found.studies.values()) == len(self.sent) and found.is_idle
        return False

    def _reckoning(self) -> Reckoning:
        reckoning = Reckoning()
        found = self.pacs.of([each.uid for each in self.sent])
        reckon_results(reckoning, self.sent, found, self.expected)
        reckon_copies(reckoning, self.pacs.copies)
        if strangers := self.pacs.studies() - {each.uid for each in self.sent}:
            reckoning.wrong.append(f"results for {len(strangers)} studies that nobody sent")
        ledgers = [sender.ledger for sender in self.senders]
        reckon_instances(reckoning, ledgers, self.disk_read.read())
        acknowledged = sum(len(each.acknowledged) for each in ledgers)
        found_books = books.read(self._url)
        if found_books.instances != acknowledged:
            reckoning.wrong.append(f"the books have {found_books.instances} of {acknowledged}")
        reckoning.wrong += books.mistakes(self._url, acknowledged=acknowledged)
        for state in ("undelivered", "quarantined"):
            if number := found_books.jobs.get(state):
                reckoning.wrong.append(f"{number} jobs are {state}")
        return reckoning
