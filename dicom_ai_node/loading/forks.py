"""Work on shared memory by several processes at once, for code that never lets threads run.

No decoder at hand leaves the interpreter free while it works: threads would take turns.
"""

import os
import signal
import warnings
from collections.abc import Callable
from mmap import mmap

import numpy as np
from numpy.typing import NDArray

from dicom_ai_node.errors import InputError

MAX_PROCESSES = 4
_REFUSED, _OUR_BUG = 3, 4  # exit statuses
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT)
_WORDS = 4096  # bytes of a refusal's sentence


def shared_float32(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """An array that forked processes fill, and this one reads."""
    return np.frombuffer(mmap(-1, 4 * int(np.prod(shape))), np.float32).reshape(shape)


def in_processes(number: int, work: Callable[[int], None], *, processes: int | None = None) -> None:
    """Call `work` with each index below `number`, each once; here and in forked copies.

    What a copy does remains only in shared memory; its InputError is raised here. `work` must be
    decoding and numpy and nothing else: other threads (torch's, say) and their locks are not in
    the copies, which end without cleaning up.
    """
    cores = min(MAX_PROCESSES, len(os.sched_getaffinity(0)))
    share = max(1, min(number, cores if processes is None else processes))
    sentence = mmap(-1, _WORDS * share)
    children = [_fork(work, range(k, number, share), sentence, k) for k in range(1, share)]
    try:
        for index in range(0, number, share):
            work(index)
    except BaseException:
        for child in children:
            os.kill(child, signal.SIGKILL)
        raise
    finally:
        ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    for k, code in enumerate(ends, 1):
        if code == _REFUSED:
            words = sentence[k * _WORDS : (k + 1) * _WORDS]
            raise InputError(words.rstrip(b"\0").decode())
        if -code in _CRASHES:
            raise InputError(
                "The pixel data of an image cannot be decoded: its decoder crashed "
                f"({signal.Signals(-code).name})."
            )
        if code:  # our bug; or a kill by somebody, for want of memory
            raise RuntimeError(f"a decoding process ended with {code}")


def _fork(work: Callable[[int], None], indices: range, sentence: mmap, k: int) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: of threads, see above
        child = os.fork()
    if child:
        return child
    status = _OUR_BUG
    parent = os.getppid()
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a handler of ours would let a copy go on
        for index in indices:
            if os.getppid() != parent:  # it was killed
                break
            work(index)
        status = 0
    except InputError as error:
        words = str(error).encode()[:_WORDS]
        sentence[k * _WORDS : k * _WORDS + len(words)] = words
        status = _REFUSED
    finally:
        os._exit(status)
