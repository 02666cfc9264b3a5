"""What the C-STOREs of one association come to, for the metrics: written down once a second."""

import time

from dicom_ai_node import metrics
from dicom_ai_node.receive.answer import Answer, Status
from dicom_ai_node.receive.store import TOO_LARGE

_EVERY_S = 1.0


class StoreCounts:
    """Labelled by the AE title of its entry of `accept`.

    Each instance by itself would cost ten times as much: between two of them, the processor has
    other things at hand.
    """

    def __init__(self, calling_ae_title: str) -> None:
        self._calling_ae = calling_ae_title
        self._bytes = metrics.RECEIVED_BYTES.labels(calling_ae_title)
        self._seconds = metrics.STORE_SECONDS.labels(calling_ae_title)
        self._took: list[float] = []  # since the last time
        self._came = 0
        self._due = 0.0
        self._stored = metrics.INSTANCES_ANSWERED.labels(calling_ae_title, _word(Status.SUCCESS))

    def answered(self, answer: Answer, *, came: int, seconds: float) -> None:
        self._came += came
        if answer.status is Status.SUCCESS:
            self._took.append(seconds)
            if time.monotonic() >= self._due:
                self.end()
            return
        self._seconds.observe(seconds)
        metrics.INSTANCES_ANSWERED.labels(self._calling_ae, _word(answer.status)).inc()
        if answer is TOO_LARGE:
            metrics.LIMITS_BREACHED.labels("object_bytes").inc()
        elif answer.status is Status.TOO_MANY_INSTANCES:
            metrics.LIMITS_BREACHED.labels("study_instances").inc()

    def end(self) -> None:
        """Write down what is left; it may be repeated."""
        self._bytes.inc(self._came)
        self._stored.inc(len(self._took))
        for seconds in self._took:
            self._seconds.observe(seconds)
        self._took.clear()
        self._came, self._due = 0, time.monotonic() + _EVERY_S


def _word(status: int) -> str:
    return f"{status:04X}"
