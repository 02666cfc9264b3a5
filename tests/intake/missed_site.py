"""A node and a PACS that has what nobody sent: real sockets, and time as the test says."""

import copy
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydicom import Dataset
from sqlalchemy import RowMapping

from dicom_ai_node.config.peers import CatchUpSettings
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import jobs, missed, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.fetches import Fetch
from dicom_ai_node.intake.catch_up import CatchUp
from dicom_ai_node.intake.intake import Intake
from dicom_ai_node.intake.missed import Found, Search
from dicom_ai_node.intake.priors import settle_fetched
from dicom_ai_node.job import Job
from dicom_ai_node.peers.source import DimseSource, Source
from dicom_ai_node.spool import Spool
from dicom_ai_node.uids import derived_uid
from tests.made import bright
from tests.peers.archive import Archive, study
from tests.receive.scu import association

EVERY_S = 3600.0


def a_day(back: int = 0) -> str:
    """Today, or so many days before, as DICOM writes it."""
    return f"{datetime.now().astimezone() - timedelta(days=back):%Y%m%d}"


def recent(name: str, *, back: int = 0, at: str = "101112", **what: Any) -> list[Dataset]:
    """A small study, by default of two CT images, that was made today."""
    made = [copy.deepcopy(ds) for ds in study(name, date=a_day(back), **what)]
    for ds in made:
        ds.StudyTime = at
    return made


def report_of(images: Sequence[Dataset]) -> Dataset:
    """As far as a PACS looks at one: a series of its own in the same study."""
    ds = copy.deepcopy(images[0])
    ds.Modality = "SR"
    ds.SeriesInstanceUID = derived_uid(images[0].StudyInstanceUID, "report", "series")
    ds.SOPInstanceUID = derived_uid(images[0].StudyInstanceUID, "report")
    return ds


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@dataclass
class Site:
    """`clock` is the monotonic one; the wall clock is as far from the real one."""

    archive: Archive
    config: Config
    spool: Spool
    database: Database
    models: Path
    settings: CatchUpSettings = field(default_factory=lambda: CatchUpSettings(wait_s=60))
    clock: float = 0.0
    has_room: bool = True
    source: Source | None = None  # instead of the archive

    def __post_init__(self) -> None:
        self.began_at = self.database.now()
        self.restart()
        self.intake = Intake(
            config=self.config,
            models={"bright": bright(self.models)},
            spool=self.spool,
            database=self.database,
        )

    @property
    def now(self) -> float:
        return self.began_at + self.clock

    @property
    def search(self) -> Search:
        return Search(
            peer="pacs",
            source=self.source
            or DimseSource(settings=self.archive.settings, node_ae_title="AI_NODE"),
            config=self.config,
            settings=self.settings,
            database=self.database,
        )

    def restart(self) -> None:
        """As the deliver role begins."""
        with self.database.write() as connection:
            missed.resume(connection, ["pacs"], now=self.now)
        self.catch_up = CatchUp(
            self.search,
            spool=self.spool,
            has_room=lambda: self.has_room,
            jitter=random.Random(1),  # noqa: S311
        )

    def step(self) -> bool:
        return self.catch_up.step(now=self.now, clock=self.clock)

    def catch_up_for(self, seconds: float) -> None:
        """Let so much time go by, and do all that is due in it."""
        end = self.clock + seconds
        while self.clock <= end:
            if not self.step():
                self.clock += 5.0

    def find(self) -> list[Found]:
        return self.search.find(now=self.now)

    def send(self, port: int, made: Iterable[Dataset]) -> None:
        with association(port) as assoc:
            assert {assoc.send_c_store(ds).Status for ds in made} == {0x0000}

    def row(self, of: Sequence[Dataset]) -> RowMapping | None:
        with self.database.read() as connection:
            return studies.find(connection, of[0].StudyInstanceUID)

    def state(self, of: Sequence[Dataset]) -> str:
        row = self.row(of)
        return "" if row is None else str(row["state"])

    def here(self, of: Sequence[Dataset]) -> int:
        with self.database.read() as connection:
            found = missed.here(connection, of[0].StudyInstanceUID)
        return found.instances if found else 0

    def asked(self, of: Sequence[Dataset]) -> Fetch:
        with self.database.read() as connection:
            (found,) = missed.of_study(connection, of[0].StudyInstanceUID)
        return found

    def settle(self) -> list[Job]:
        """Let every study grow quiet; all jobs, the oldest first."""
        self.intake.settle_quiet(now=self.now + 10_000)
        with self.database.read() as connection:
            return list(jobs.listing(connection))[::-1]

    def settle_priors(self) -> int:
        return settle_fetched(self.database, quiet_s=60, now=self.now + 10_000)

    def questions(self) -> int:
        """For the studies of today: one in each round."""
        return sum(each.get("StudyDate") == a_day() for each in self.archive.asked)

    def looks(self) -> int:
        """At the series of a study."""
        return sum(each.QueryRetrieveLevel == "SERIES" for each in self.archive.asked)
