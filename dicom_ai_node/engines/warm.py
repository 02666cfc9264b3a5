"""Opened models, kept for the next study."""

import ctypes
import gc
import os
from pathlib import Path

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.engines.watch import resident_mb
from dicom_ai_node.log import get_logger
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.pinned import read_pinned
from dicom_ai_node.models.protocol import Model

log = get_logger(__name__)

_SHARE = 0.5  # of the memory that the process may have; more than that, and one model leaves

# what tells without reading it that a file is still the same
Signature = tuple[tuple[int, int, int, int], ...]


class WarmModels:
    """By the hash of their package, so that a changed package is another model."""

    def __init__(self, *, memory_mb: float) -> None:
        self._limit_mb = memory_mb * _SHARE
        self._models: dict[str, tuple[InstalledModel, Signature, Model]] = {}  # last used: last

    def get(self, installed: InstalledModel) -> Model:
        """The warm one, if its files are still those that were installed; raises ModelChanged."""
        signature = _signature(installed)
        known = self._models.pop(installed.sha256, None)
        if known is None:
            model = open_model(installed)
        else:
            _, before, model = known
            if signature != before:
                for file in installed.files:
                    read_pinned(installed, file)
        self._models[installed.sha256] = (installed, signature, model)
        return model

    def make_room(self) -> None:
        """The least recently used leave while the process is too large, but not the last one."""
        while len(self._models) > 1 and resident_mb(os.getpid()) > self._limit_mb:
            installed, _, model = self._models.pop(next(iter(self._models)))
            log.info("model_dropped", model=installed.label)
            del model
            _give_memory_back()


def _signature(installed: InstalledModel) -> Signature:
    return tuple(_of_file(installed.folder / file) for file in installed.files)


def _of_file(path: Path) -> tuple[int, int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0, 0, 0)
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _give_memory_back() -> None:
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)
