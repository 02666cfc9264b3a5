"""What runs inside the attempt process: warm models, and the boundary for their exceptions."""

from collections.abc import Sequence

import torch

from dicom_ai_node import attempt
from dicom_ai_node.attempt import Report, Request
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.engines.engine import Failure
from dicom_ai_node.errors import ModelError
from dicom_ai_node.log import get_logger, where
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.protocol import Model

log = get_logger(__name__)


class AttemptProcess:
    """Models by the hash of their package, so that a changed package is another model."""

    def __init__(self, *, threads: int) -> None:
        if threads:
            torch.set_num_threads(threads)
        self._models: dict[str, Model] = {}

    def warm(self, installed: Sequence[InstalledModel]) -> None:
        """Load weights before the first job; what cannot be loaded is the first job's to report."""
        for each in installed:
            try:
                self._open(each)
            except ModelError:
                log.exception("model_not_loaded", model=each.package.name)

    def run(self, request: Request) -> Report | Failure:
        """The work boundary: a model's exception ends this attempt and nothing else."""
        log.info("attempt_started", model=request.model.package.name)
        try:
            return attempt.run(request, lambda: self._open(request.model))
        except Exception as error:
            log.exception("attempt_failed", model=request.model.package.name)
            return Failure(kind="error", text=where(error))

    def _open(self, installed: InstalledModel) -> Model:
        if installed.sha256 not in self._models:
            self._models[installed.sha256] = open_model(installed)
        return self._models[installed.sha256]
