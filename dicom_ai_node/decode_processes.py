"""Compressed frames decoded by several processes, side by side.

No decoder at hand leaves the interpreter free while it works: threads would take turns.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import NamedTuple

from pydicom.uid import UID

from dicom_ai_node.decode import Stored, decode
from dicom_ai_node.errors import InputError
from dicom_ai_node.pixels import PixelFormat

MAX_PROCESSES = 4
# fewer pixels are decoded before other processes have started
WORTH_PROCESSES = 8 << 20
_spawn = multiprocessing.get_context("spawn")  # as for attempts: torch's threads forbid to fork


class Job(NamedTuple):
    syntax: UID
    stream: bytes
    form: PixelFormat


def decode_all(
    jobs: Sequence[Job],
    done: Callable[[int, Stored], None],
    *,
    processes: int | None = None,
) -> None:
    """Call `done` with each job's index and array: in no order, from several threads.

    This process decodes until the others are up: while it does, its threads could hardly hand
    them their work. The first InputError ends it all.
    """
    if processes is None:
        pixels = sum(job.form.rows * job.form.columns for job in jobs)
        cores = min(MAX_PROCESSES, len(os.sched_getaffinity(0)))
        processes = cores if pixels >= WORTH_PROCESSES and cores > 1 else 0
    waiting = deque(range(len(jobs)))
    up = threading.Event()

    def work(decode_one: Callable[[Job], Stored], until: threading.Event | None = None) -> None:
        while until is None or not until.is_set():
            try:
                index = waiting.popleft()
            except IndexError:
                return
            try:
                done(index, decode_one(jobs[index]))
            except BaseException:
                waiting.clear()  # nobody needs the rest
                raise

    def hand_out() -> None:
        with _Decoder() as decoder:
            decoder.wait()
            up.set()
            work(decoder.decode)

    with ThreadPoolExecutor(max(1, processes)) as pool:
        others = [pool.submit(hand_out) for _ in range(processes)]
        work(lambda job: decode(*job), until=up)
    for each in others:
        each.result()


class _Decoder:
    """A process that decodes one frame after another, and ends with this one."""

    def __enter__(self) -> "_Decoder":
        self._pipe, theirs = _spawn.Pipe()
        self._process = _spawn.Process(target=_serve, args=(theirs,), name="decoder", daemon=True)
        self._process.start()
        theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()
        self._process.close()

    def wait(self) -> None:
        """Until it has started."""
        self._answer()

    def decode(self, job: Job) -> Stored:
        self._pipe.send(job)
        found = self._answer()
        if isinstance(found, InputError):
            raise found
        assert found is not None  # noqa: S101 - only the greeting is empty
        return found

    def _answer(self) -> Stored | InputError | None:
        try:
            found: Stored | InputError | None = self._pipe.recv()
        except (EOFError, ConnectionResetError) as error:
            self._process.join()
            code = self._process.exitcode or 0
            how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            if code == -signal.SIGKILL or code >= 0:  # by somebody: it says nothing of the images
                raise RuntimeError(f"a decoder process ended by {how}") from error
            raise InputError(
                f"The pixel data of an image cannot be decoded: its decoder crashed ({how})."
            ) from error
        return found


def _serve(pipe: Connection) -> None:
    """Until the other end is gone, be it by a kill."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe.send(None)
    while True:
        try:
            job: Job = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(decode(*job))
        except InputError as error:
            pipe.send(error)
        except BrokenPipeError:
            return
