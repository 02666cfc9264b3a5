"""A run from its beginning to its end: each tick looks how far it is, and waits for nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.uid import generate_uid
from sqlalchemy import Connection

from dicom_ai_node.config.alarms import ProbeSettings
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import probe_runs
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.probe_runs import STAGES, ProbeRun, Stage
from dicom_ai_node.probe.due import is_due
from dicom_ai_node.probe.ending import finish, remove_old
from dicom_ai_node.probe.steps import Failed, Steps
from dicom_ai_node.spool import Spool

_FAILS_AFTER = 2  # times `within_min`


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Of a node that is configured to try itself."""

    config: Config
    settings: ProbeSettings
    spool: Spool
    database: Database
    models: Mapping[str, InstalledModel]  # as Store.by_label()

    def tick(self, *, now: float) -> None:
        """Begin a run that is due, take the one under way as far as it goes, remove old ones."""
        with self.database.read() as connection:
            run = probe_runs.under_way(connection)
            last = probe_runs.last(connection)
        if run is None and is_due(self.settings, last.started_at if last else None, now=now):
            with self.database.write() as connection:
                run = begin(connection, self.settings, now=now)
        if run is not None:
            self._advance(run, now)
        remove_old(self.spool, self.database, now)

    def _advance(self, run: ProbeRun, now: float) -> None:
        steps = Steps(
            config=self.config,
            settings=self.settings,
            spool=self.spool,
            database=self.database,
            models=self.models,
        )
        for stage in STAGES[STAGES.index(run.stage) :]:
            try:
                waits_for = steps.of(stage)(run)
            except Failed as error:
                finish(self.database, run, stage, str(error), now)
                return
            if waits_for is not None:
                self._wait(run, stage, waits_for, now)
                return
            with self.database.write() as connection:
                probe_runs.note(connection, run, stage, waits_for=None, now=now)
        finish(self.database, run, STAGES[-1], None, now)

    def _wait(self, run: ProbeRun, stage: Stage, waits_for: str, now: float) -> None:
        """What the peer took and does not name within the time, it has lost."""
        limit_s = self.settings.within_min * 60 * (1 if stage is Stage.ASKING else _FAILS_AFTER)
        if now - run.started_at > limit_s:
            finish(self.database, run, stage, waits_for, now)
            return
        with self.database.write() as connection:
            probe_runs.note(connection, run, stage, waits_for=waits_for, now=now)


def begin(connection: Connection, settings: ProbeSettings, *, now: float) -> ProbeRun:
    """A new run, or the one that is under way."""
    return probe_runs.begin(
        connection,
        study_instance_uid=generate_uid(prefix=None),
        model=settings.model,
        peer=settings.peer,
        now=now,
    )
