"""What an attempt process may cost: memory, processes, files; looked at every so often."""

from collections.abc import Collection
from dataclasses import dataclass

from dicom_ai_node import metrics
from dicom_ai_node.engines.child import Child
from dicom_ai_node.engines.engine import Failure
from dicom_ai_node.engines.watch import family, memory_mb, resident_mb, size_mb
from dicom_ai_node.request import Request

_LOOK_EVERY_S = 0.25
_LOOK_AT_FILES_EVERY_S = 1.0
_PROCESSES = 128  # of one attempt process, itself included
# of its limits: a process that keeps so much between attempts is replaced
_KEEPS_MEMORY, _KEEPS_FILES = 0.8, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    memory_mb: float
    scratch_mb: float
    recycle_after: int


@dataclass(slots=True, kw_only=True)
class Costs:
    """Of the processes of one slot, one after the other."""

    limits: Limits
    _look_at: float = 0.0
    _look_at_files: float = 0.0

    def too_much(self, child: Child, requests: Collection[Request], now: float) -> Failure | None:
        """`now` is on the monotonic clock; between two looks nothing is too much."""
        found = None
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY_S
            found = self._processes(child, requests)
        if found is None and now >= self._look_at_files:
            self._look_at_files = now + _LOOK_AT_FILES_EVERY_S
            most = self.limits.scratch_mb
            if size_mb(child.folder, enough=most) > most:
                text = f"more files than work.scratch_mb ({most:.0f}) allows"
                found = Failure(kind="scratch", text=text)
        return found

    def _processes(self, child: Child, requests: Collection[Request]) -> Failure | None:
        pids = family(child.process.pid, enough=_PROCESSES + 1)
        if len(pids) > _PROCESSES:
            text = f"more than {_PROCESSES} processes"
            return Failure(kind="processes", text=text)
        models = {each.model.package.name for each in requests}
        asked = [each.model.package.memory_mb for each in requests]
        limit = min([self.limits.memory_mb, *(mb for mb in asked if mb is not None)])
        used = memory_mb(pids, more_than=limit)
        if len(models) == 1:  # what two have together says nothing of either
            metrics.note_memory(models.pop(), used)
        if used > limit:
            return Failure(kind="memory", text=f"{used:.0f} MB of memory, {limit:.0f} allowed")
        return None

    def kept(self, child: Child) -> str | None:
        """What a process has not given back after its attempts, if that is too much."""
        memory = resident_mb(child.process.pid)
        if memory > self.limits.memory_mb * _KEEPS_MEMORY:
            return f"it keeps {memory:.0f} MB after an attempt"
        most = self.limits.scratch_mb * _KEEPS_FILES
        if size_mb(child.folder, enough=most) > most:
            return "it keeps files after an attempt"
        return None
