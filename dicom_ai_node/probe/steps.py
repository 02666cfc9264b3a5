"""The stages of a run, each by what is in the database, on the disk, and at the peer.

A step returns None where its stage is behind the run, and else why it waits; it raises Failed where
waiting is no use.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import pydicom
from pydicom.errors import InvalidDicomError
from sqlalchemy import Connection

from dicom_ai_node.config.alarms import ProbeSettings
from dicom_ai_node.config.disabled import read_disabled
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.peers import DimsePeer
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import deliveries, jobs, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.database.probe_runs import ProbeRun, Stage
from dicom_ai_node.errors import ConfigError, PeerUnreachable
from dicom_ai_node.job import AT_PEER, DeliveryState, Job, JobState
from dicom_ai_node.peers.held import held
from dicom_ai_node.probe.answer import differences
from dicom_ai_node.probe.case import Case, case_for
from dicom_ai_node.probe.send import send
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import StudyState

_COMING = frozenset({StudyState.RECEIVING, StudyState.INCOMPLETE})
_REPORT = "sr"


class Failed(Exception):
    """The run has failed, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    config: Config
    settings: ProbeSettings
    spool: Spool
    database: Database
    models: Mapping[str, InstalledModel]  # as Store.by_label()

    def of(self, stage: Stage) -> Callable[[ProbeRun], str | None]:
        return {
            Stage.SENDING: self._send,
            Stage.JUDGING: self._judged,
            Stage.WORKING: self._worked,
            Stage.DELIVERING: self._delivered,
            Stage.ASKING: self._ask,
            Stage.COMPARING: self._compare,
        }[stage]

    def _send(self, run: ProbeRun) -> str | None:
        case = self._case(run)
        return send(case.instances, self.settings, self.config.node, self.spool.incoming)

    def _case(self, run: ProbeRun) -> Case:
        installed = self.models.get(run.model)
        if installed is None:
            raise Failed(f"{run.model} is not installed: run `dicom-ai-node models install`")
        at = datetime.fromtimestamp(run.started_at).astimezone()
        try:
            return case_for(installed, run.study_instance_uid, at)
        except ConfigError as error:
            raise Failed(str(error)) from None
        except (OSError, InvalidDicomError) as error:
            raise Failed(f"the case of {run.model} cannot be read ({_kind(error)})") from None

    def _judged(self, run: ProbeRun) -> str | None:
        with self.database.read() as connection:
            row = studies.find(connection, run.study_instance_uid)
        if row is None:
            return "the study was taken, and has no row yet"
        state = StudyState(row["state"])
        if state in _COMING:
            return "the study is not known to be complete yet"
        if state is not StudyState.ROUTED:
            why = row["reason"] or "its routes say why: `studies explain`"
            raise Failed(f"its study is {state}: {why}")
        return None

    def _worked(self, run: ProbeRun) -> str | None:
        with self.database.read() as connection:
            job = _job(connection, run)
        if job.state is JobState.QUARANTINED:
            raise Failed(f"job {job.id} is quarantined: {job.error_text or job.error_kind}")
        if job.state is JobState.CANCELLED:
            raise Failed(f"job {job.id} was cancelled")
        if job.state not in (JobState.QUEUED, JobState.RUNNING):
            return None
        try:
            disabled = read_disabled(self.config.node.models).get((job.model, job.version))
        except ConfigError as error:
            return str(error)
        if disabled is not None:
            raise Failed(disabled.sentence)
        why = f" ({job.error_text})" if job.error_text else ""
        return f"job {job.id} is {job.state}{why}"

    def _delivered(self, run: ProbeRun) -> str | None:
        with self.database.read() as connection:
            job = _job(connection, run)
            rows = [
                each for each in deliveries.of_job(connection, job.id) if each["peer"] == run.peer
            ]
        refused = [each for each in rows if each["state"] == DeliveryState.REFUSED]
        if refused:
            raise Failed(f"{run.peer} refused a {refused[0]['kind']}: {refused[0]['status']}")
        waiting = [each for each in rows if each["state"] == DeliveryState.PENDING]
        if waiting:
            status = waiting[0]["status"] or "it was not sent yet"
            return f"{len(waiting)} objects wait for {run.peer}: {status}"
        if any(each["wants_commitment"] and each["state"] == "stored" for each in rows):
            return f"{run.peer} has not committed to it yet"
        return None

    def _ask(self, run: ProbeRun) -> str | None:
        """Missing objects may be in no index yet."""
        peer = self.config.peers.get(run.peer)
        if not isinstance(peer, DimsePeer):
            raise Failed(f"{run.peer} is no peer of kind dimse any more")
        with self.database.read() as connection:
            job = _job(connection, run)
            rows = deliveries.of_job(connection, job.id)
        sent = [e for e in rows if e["peer"] == run.peer and e["state"] in AT_PEER]
        series = {each["series_instance_uid"] for each in sent}
        title = self.config.node.ae_title[0]
        try:
            there = held(peer, run.study_instance_uid, series, calling_ae_title=title)
        except PeerUnreachable as error:
            return str(error)
        missing = [each["kind"] for each in sent if each["sop_instance_uid"] not in there]
        if missing:
            kinds = ", ".join(sorted(missing))
            return (
                f"{run.peer} took {len(sent)} objects, and does not name {len(missing)} of them "
                f"when it is asked: {kinds}"
            )
        return None

    def _compare(self, run: ProbeRun) -> str | None:
        with self.database.read() as connection:
            job = _job(connection, run)
            rows = deliveries.of_job(connection, job.id)
        folder = self.spool.outbox_path(job.key)
        try:
            reports = [
                pydicom.dcmread(folder / each["file"])
                for each in rows
                if each["kind"] == _REPORT and each["peer"] == run.peer and each["state"] in AT_PEER
            ]
        except (OSError, InvalidDicomError) as error:
            raise Failed(f"the report in the outbox cannot be read ({_kind(error)})") from None
        wrong = differences(job.outcome, reports, self._case(run).expected)
        if wrong:
            raise Failed(f"the answer is wrong: {'; '.join(wrong)}")
        return None


def _kind(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def _job(connection: Connection, run: ProbeRun) -> Job:
    """Of the probe's model: the newest one."""
    found = jobs.listing(connection, study_instance_uid=run.study_instance_uid)
    for each in found:
        if each.model == run.model and not each.is_note:
            return each
    raise Failed("its study has no job")
