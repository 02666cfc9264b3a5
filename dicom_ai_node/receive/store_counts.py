"""What the C-STOREs of one association come to, for the metrics: a few numbers an instance."""

from dicom_ai_node import metrics
from dicom_ai_node.receive.answer import Answer, Status
from dicom_ai_node.receive.store import TOO_LARGE


class StoreCounts:
    """Labelled by the AE title of its entry of `accept`; labels are looked up once."""

    def __init__(self, calling_ae_title: str) -> None:
        self._calling_ae = calling_ae_title
        self._bytes = metrics.RECEIVED_BYTES.labels(calling_ae_title)
        self._seconds = metrics.STORE_SECONDS.labels(calling_ae_title)
        self._stored = metrics.INSTANCES_ANSWERED.labels(calling_ae_title, _word(Status.SUCCESS))

    def answered(self, answer: Answer, *, came: int, seconds: float) -> None:
        self._bytes.inc(came)
        self._seconds.observe(seconds)
        if answer.status is Status.SUCCESS:
            self._stored.inc()
            return
        metrics.INSTANCES_ANSWERED.labels(self._calling_ae, _word(answer.status)).inc()
        if answer is TOO_LARGE:
            metrics.LIMITS_BREACHED.labels("object_bytes").inc()
        elif answer.status is Status.TOO_MANY_INSTANCES:
            metrics.LIMITS_BREACHED.labels("study_instances").inc()


def _word(status: int) -> str:
    return f"{status:04X}"
