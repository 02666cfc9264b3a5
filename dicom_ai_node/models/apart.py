"""Work that may crash, hang or eat memory: in a spawned process of its own, without a network."""

import enum
import io
import multiprocessing
import os
import pickle
import resource
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import is_dataclass
from multiprocessing.connection import Connection
from pathlib import PurePath
from typing import Any, TypeVar

from pydantic import BaseModel

from dicom_ai_node import log, privileges
from dicom_ai_node.errors import ModelError, NodeError

# fork after torch has started threads hangs; spawn costs the imports once
_spawn = multiprocessing.get_context("spawn")

# what an answer is made of, beside what pickles know by themselves
_OURS = "dicom_ai_node."
_VALUES = (enum.Enum, NodeError, BaseModel, PurePath)
_OF_NUMPY = frozenset(
    {
        *(("numpy", name) for name in ("ndarray", "dtype")),
        *(("numpy._core.multiarray", name) for name in ("_reconstruct", "scalar")),
        *(("numpy.core.multiarray", name) for name in ("_reconstruct", "scalar")),
        ("numpy._core.numeric", "_frombuffer"),
    }
)
_NO_ANSWER = (
    pickle.UnpicklingError, ImportError, AttributeError, ValueError, TypeError, LookupError,
    RecursionError,
)  # fmt: skip

_Argument = TypeVar("_Argument")
_Answer = TypeVar("_Answer")


def apart(
    work: Callable[[_Argument], _Answer],
    argument: _Argument,
    *,
    timeout_s: float,
    memory_mb: int | None = None,
) -> _Answer:
    """What `work` gives, a function of a module. Its NodeErrors are raised here as they are.

    ModelError where it crashes, takes longer, or fails in another way. `memory_mb` is a limit of
    the process itself, and not for work on a GPU. What it has started ends with it.
    """
    ours, theirs = _spawn.Pipe(duplex=False)
    settings = log.settings() or {"level": "error"}
    process = _spawn.Process(target=_run, args=(theirs, work, argument, memory_mb, settings))
    process.start()
    theirs.close()
    try:
        if not ours.poll(timeout_s):
            raise ModelError(f"it took longer than {timeout_s:g} s, and was ended")
        answer, fault = _Answers(io.BytesIO(ours.recv_bytes())).load()
    except (EOFError, ConnectionResetError):
        process.join()
        raise ModelError(f"its process ended by {_how(process.exitcode or 0)}") from None
    except _NO_ANSWER as error:
        raise ModelError(f"its answer cannot be read ({type(error).__name__})") from None
    finally:
        _end(process)
        ours.close()
    if fault is not None:
        raise fault
    found: _Answer = answer
    return found


class _Answers(pickle.Unpickler):
    """Values, and no calls: code of others ran where they come from."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _OF_NUMPY:
            return super().find_class(module, name)
        if "." not in name and (module.startswith(_OURS) or module == "pathlib"):
            found = super().find_class(module, name)
            if isinstance(found, type) and (is_dataclass(found) or issubclass(found, _VALUES)):
                return found
        raise pickle.UnpicklingError(f"{module}.{name}")


def _end(process: multiprocessing.process.BaseProcess) -> None:
    """With its group, which has its number; that is its own as long as nobody has waited for it."""
    if process.pid is not None:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def _run(
    pipe: Connection,
    work: Callable[[Any], Any],
    argument: Any,
    memory_mb: int | None,
    log_settings: dict[str, Any],
) -> None:
    os.setsid()  # a group of its own, to be ended as a whole
    privileges.go_first()
    log.configure(**log_settings)  # first: a library's warning may quote a header
    with suppress(OSError, AttributeError):  # where the kernel lets us (Linux)
        privileges.leave_network()  # before there is a thread
    _end_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump holds pixels
    if memory_mb is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb << 20, memory_mb << 20))
    try:
        answer, fault = work(argument), None
    except NodeError as error:
        answer, fault = None, error
    except Exception as error:  # noqa: BLE001 - of code that is not ours; its text may quote anything
        answer, fault = None, ModelError(f"it failed with {log.where(error)}")
    sent = io.BytesIO()
    _Values(sent).dump((answer, fault))
    pipe.send_bytes(sent.getvalue())


class _Values(pickle.Pickler):
    """Python 3.11.2, as Debian 12 has it, would call getattr() for a member of an enumeration."""

    def reducer_override(self, found: Any) -> Any:
        if isinstance(found, enum.Enum):
            return type(found), (found.value,)
        return NotImplemented


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - this is a spawned process

    def watch() -> None:
        parent.join()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"
