"""What runs inside the attempt process: one study is loaded while another one is predicted, models
stay warm, and the boundary for their exceptions."""

import hashlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue

import torch

from dicom_ai_node import attempt
from dicom_ai_node.attempt import Loaded
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.engines.engine import MISMATCH, MODEL_CHANGED, NO_DEVICE
from dicom_ai_node.engines.warm import WarmModels
from dicom_ai_node.errors import ModelChanged, NodeError, ResultMismatch
from dicom_ai_node.job import DAMAGED
from dicom_ai_node.loading.unread import Damaged
from dicom_ai_node.log import get_logger, where
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.report import content_of
from dicom_ai_node.request import Request

log = get_logger(__name__)

# one line about one attempt, to the worker: key=value, of our own words
Tell = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A request whose loading has ended, well or not."""

    number: int
    request: Request
    loaded: Future[Loaded]


class AttemptProcess:
    """`next_request` blocks, and ends the process when there will be none."""

    def __init__(
        self,
        tell: Tell,
        next_request: Callable[[], tuple[int, Request]],
        *,
        threads: int,
        memory_mb: float,
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        self._tell = tell
        self._next_request = next_request
        self._models = WarmModels(memory_mb=memory_mb)
        self._waiting: SimpleQueue[Waiting] = SimpleQueue()

    def warm(self, installed: Sequence[InstalledModel]) -> None:
        """Load weights before the first job; what cannot be loaded is the first job's to report."""
        for each in installed:
            try:
                self._models.get(each)
            except Exception:
                log.exception("model_not_loaded", model=each.package.name)

    def serve(self) -> None:
        self._tell(is_ready=True)
        threading.Thread(target=self._load_all, name="requests", daemon=True).start()
        while True:
            self._finish(self._waiting.get())

    def _load_all(self) -> None:
        loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="load")
        while True:
            number, request = self._next_request()
            log.info("attempt_started", model=request.model.package.name)
            self._tell(number=number, stage="loading")
            loaded = loader.submit(attempt.load, request)
            wait([loaded])
            self._tell(number=number, stage="loaded")
            self._waiting.put(Waiting(number=number, request=request, loaded=loaded))

    def _finish(self, waiting: Waiting) -> None:
        """The work boundary: a model's exception ends this attempt and nothing else."""
        number, request = waiting.number, waiting.request
        self._tell(number=number, stage="finishing")
        try:
            loaded = waiting.loaded.result()
            report = attempt.finish(request, loaded, lambda: self._open(request.model))
        except ModelChanged as error:
            self._tell(number=number, failure=MODEL_CHANGED, text=str(error))
        except NoDevice as error:
            self._tell(number=number, failure=NO_DEVICE, text=str(error))
        except ResultMismatch as error:
            self._tell(number=number, failure=MISMATCH, text=str(error))
        except Damaged as error:
            self._tell(number=number, failure=DAMAGED, text=str(error))
        except Exception as error:
            log.exception("attempt_failed", model=request.model.package.name)
            kind = "memory" if isinstance(error, (MemoryError, torch.OutOfMemoryError)) else "error"
            # our own errors are sentences that name nobody; of others, class and place alone
            text = str(error) if isinstance(error, NodeError) else where(error)
            self._tell(number=number, failure=kind, text=text, is_unfit=_poisoned(error))
        else:
            # before any other model runs here, which might write where this result lies
            sha256 = hashlib.sha256(content_of(report)).hexdigest()
            self._tell(number=number, stage="done", sha256=sha256, is_unfit=_poisoned(None))
        self._models.make_room()

    def _open(self, installed: InstalledModel) -> Model:
        _require_device(installed)
        return self._models.get(installed)


class NoDevice(Exception):
    """The package cannot run here, now: no fault of the study."""


def _require_device(installed: InstalledModel) -> None:
    package = installed.package
    there: dict[str, Callable[[], bool]] = {
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
    }
    if package.device in there and not there[package.device]():
        raise NoDevice(
            f"{installed.label} needs a {package.device} device, and torch finds none: check the "
            "driver, or write device: auto in a version of the package that may use the CPU"
        )


def _poisoned(error: BaseException | None) -> bool:
    """Whether CUDA is of no more use in this process, as after an illegal access (E6).

    A model may have hidden it, so the device is asked as well.
    """
    while error is not None:
        if isinstance(error, torch.AcceleratorError) or "CUDA error" in str(error):
            return True
        error = error.__cause__ or error.__context__
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False
