"""Work that may crash, hang or eat memory: in a spawned process of its own, without a network."""

import ctypes
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from dicom_ai_node import log
from dicom_ai_node.errors import ModelError, NodeError

# fork after torch has started threads hangs; spawn costs the imports once
_spawn = multiprocessing.get_context("spawn")
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000

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
    the process itself, and not for work on a GPU.
    """
    ours, theirs = _spawn.Pipe(duplex=False)
    settings = log.settings() or {"level": "error"}
    process = _spawn.Process(target=_run, args=(theirs, work, argument, memory_mb, settings))
    process.start()
    theirs.close()
    try:
        if not ours.poll(timeout_s):
            raise ModelError(f"it took longer than {timeout_s:g} s, and was ended")
        answer, fault = ours.recv()
    except (EOFError, ConnectionResetError):
        process.join()
        raise ModelError(f"its process ended by {_how(process.exitcode or 0)}") from None
    finally:
        process.kill()
        process.join()
        ours.close()
    if fault is not None:
        raise fault
    found: _Answer = answer
    return found


def _run(
    pipe: Connection,
    work: Callable[[Any], Any],
    argument: Any,
    memory_mb: int | None,
    log_settings: dict[str, Any],
) -> None:
    log.configure(**log_settings)  # first: a library's warning may quote a header
    leave_network()  # before there is a thread: a user namespace wants a single one
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
    pipe.send((answer, fault))


def leave_network() -> bool:
    """Into a network namespace without any interface, where the kernel lets us (Linux)."""
    if sys.platform != "linux":
        return False
    unshare = ctypes.CDLL(None, use_errno=True).unshare
    # alone it is for root; with a user namespace of its own for everybody, while single-threaded
    return any(unshare(flags) == 0 for flags in (_CLONE_NEWNET, _CLONE_NEWNET | _CLONE_NEWUSER))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - this is a spawned process

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"
