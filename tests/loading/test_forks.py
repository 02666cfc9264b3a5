"""Forked copies fill what this process reads, and their refusals are raised here."""

import faulthandler
import os
import signal
from collections.abc import Callable

import pytest

from dicom_ai_node.errors import InputError
from dicom_ai_node.loading.forks import in_processes, shared_float32


def test_every_index_is_worked_on_once_and_by_several_processes() -> None:
    counts, owners = shared_float32((11,)), shared_float32((11,))

    def work(index: int) -> None:
        counts[index] += 1
        owners[index] = os.getpid()

    in_processes(11, work, processes=3)
    assert (counts == 1).all()
    assert len(set(owners.tolist())) == 3


def refuse() -> None:
    raise InputError("The compressed image is damaged × 2.")


def crash() -> None:
    faulthandler.disable()  # in this copy: its report is not wanted
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize(
    ("end", "error", "sentence"),
    [
        (refuse, InputError, "The compressed image is damaged × 2."),
        (crash, InputError, "its decoder crashed .SIGSEGV"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), RuntimeError, "a decoding process ended"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), RuntimeError, "a decoding process ended"),
        (lambda: 1 // 0, RuntimeError, "a decoding process ended"),
    ],
)
def test_what_ends_a_copy_is_told_apart(
    end: Callable[[], object], error: type[Exception], sentence: str
) -> None:
    """A crash is the image's fault; a kill is somebody's who wanted memory: it may be retried."""
    here = os.getpid()
    done = shared_float32((6,))

    def work(index: int) -> None:
        if os.getpid() != here and index == 3:
            end()
        done[index] = 1

    with pytest.raises(error, match=sentence):
        in_processes(6, work, processes=2)
    assert done[::2].all()


def test_a_copy_that_is_told_to_end_does_whatever_this_process_makes_of_it() -> None:
    signal.signal(signal.SIGTERM, lambda *_: None)
    here = os.getpid()

    def work(_: int) -> None:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(RuntimeError, match="a decoding process ended"):
        in_processes(2, work, processes=2)


def test_an_error_here_ends_the_copies() -> None:
    here = os.getpid()
    seen = shared_float32((1,))

    def work(index: int) -> None:
        if os.getpid() == here:
            refuse()
        seen[0] = os.getpid()
        signal.pause()

    with pytest.raises(InputError, match="damaged"):
        in_processes(2, work, processes=2)
    if seen[0]:
        with pytest.raises(ProcessLookupError):
            os.kill(int(seen[0]), 0)
