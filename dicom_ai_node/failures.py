"""What becomes of a job whose attempt has failed."""

from collections.abc import Mapping
from dataclasses import dataclass

from dicom_ai_node import metrics
from dicom_ai_node.config.disabled import disable
from dicom_ai_node.config.installed import InstalledModel, model_label
from dicom_ai_node.config.settings import Config
from dicom_ai_node.damage import take_out_damaged
from dicom_ai_node.database import studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.endings import Endings
from dicom_ai_node.engines.engine import (
    MISMATCH,
    MODEL_CHANGED,
    NOT_COUNTED,
    Failure,
    kind_in_words,
)
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.job import DAMAGED, LOST, Job
from dicom_ai_node.log import get_logger
from dicom_ai_node.spool import Spool

log = get_logger(__name__)

NOT_COUNTED_AGAIN_S = 60.0  # after an attempt that was no fault of its study
LOST_TEXT = (
    "images of this job are gone from the node's disk or damaged there: it is queued again as soon "
    "as they are sent again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """By their kind: whose fault it was, and whether another try may end better."""

    config: Config
    models: Mapping[str, InstalledModel]
    spool: Spool
    database: Database
    endings: Endings

    def settle(self, job: Job, failure: Failure) -> None:
        """Tried again, put off, or quarantined; raises LeaseLost."""
        metrics.ATTEMPTS_FAILED.labels(kind_in_words(failure)).inc()
        is_disabled = False
        if failure.kind == MODEL_CHANGED:
            model = model_of(job, self.models)
            if model is None or not model.folder.exists():  # removed while the job was waiting
                failure = no_model(job)
            else:
                is_disabled = self._disable(model, failure)
        if failure.kind in NOT_COUNTED:
            log.error(
                "job_waits", job=job.id, model=job.model, kind=failure.kind, text=failure.text
            )
            # who is disabled is not run until somebody enables it, and then at once
            backoff_s = 0 if is_disabled else NOT_COUNTED_AGAIN_S
            self.endings.hand_over(job, f"{failure.kind}: {failure.text}", backoff_s)
            return
        if failure.kind == MISMATCH:
            self.endings.quarantine(job, failure)
            return
        if failure.kind in (LOST, DAMAGED) and self._is_short_of_instances(job):
            lost = Failure(kind=failure.kind, text=LOST_TEXT)
            self.endings.quarantine(job, lost, event="job_without_instances")
            return
        log.warning("attempt_without_result", job=job.id, kind=failure.kind, text=failure.text)
        self.endings.give_back(job, failure, self.config.work.retry_after_s * job.attempts)

    def _is_short_of_instances(self, job: Job) -> bool:
        """All of them are read: an attempt says that one is damaged, and not which."""
        uids = [uid for several in job.inputs.values() for uid in several]
        with self.database.read() as connection:
            there = studies.instances_named(connection, self.spool, uids)
        return take_out_damaged(there, self.spool, self.database) > 0 or len(there) < len(uids)

    def _disable(self, model: InstalledModel, failure: Failure) -> bool:
        """P26: no result of a model that is not the one that was installed. False where the store
        cannot be written to; then each job finds out for itself."""
        try:
            now = self.database.now()
            disable(self.config.node.models, model, why=failure.text, now=now, by_itself=True)
        except ConfigError as error:
            log.exception("model_not_disabled", model=model.label, text=str(error))
            return False
        log.error("model_disabled", model=model.label, text=failure.text)
        return True


def model_of(job: Job, models: Mapping[str, InstalledModel]) -> InstalledModel | None:
    label = model_label(job.model, job.version)
    return next((each for each in models.values() if each.label == label), None)


def no_model(job: Job) -> Failure:
    label = model_label(job.model, job.version)
    return Failure(kind="no_model", text=f"the model {label} is not installed: install it again")
