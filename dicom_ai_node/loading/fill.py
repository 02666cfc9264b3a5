"""Arrays of the values of frames: whatever their transfer syntax, all cores at work."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import UncompressedTransferSyntaxes

from dicom_ai_node.errors import InputError
from dicom_ai_node.loading.decode import decode, plain
from dicom_ai_node.loading.forks import in_processes, shared_float32
from dicom_ai_node.loading.frames import Frame
from dicom_ai_node.loading.unread import Unread, in_memory
from dicom_ai_node.loading.values import fill

FILLERS = 4  # threads; numpy's copies leave the interpreter free
WORTH_PROCESSES = 4 << 20  # compressed pixels: fewer are decoded as soon as processes are there


def filled(frames: list[Frame | None]) -> NDArray[np.float32]:
    """Frames × rows × columns, all of one size; padding is NaN.

    Frames that need no decoder are set to None one by one: their bytes go as the values come.
    """
    found = [frame for frame in frames if frame is not None]
    form = found[0].form
    shape = (len(found), form.rows, form.columns)
    compressed = [index for index, frame in enumerate(found) if _is_compressed(frame)]
    many = len(compressed) * form.rows * form.columns >= WORTH_PROCESSES
    array = shared_float32(shape) if many else _small_pages(shape)
    if compressed:
        _fill_compressed(array, found, compressed, processes=None if many else 1)
    found.clear()
    _fill_plain_ones(array, frames)
    return array


def _small_pages(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Fresh memory, as np.empty has it, but not in huge pages.

    The kernel empties a page at its first touch: 4 KiB are still in the cache when a plane is
    written there, 2 MiB are not.
    """
    memory = mmap(-1, 4 * int(np.prod(shape)), flags=MAP_PRIVATE | MAP_ANONYMOUS)
    return np.frombuffer(memory, np.float32).reshape(shape)


def _is_compressed(frame: Frame) -> bool:
    return frame.image.syntax not in UncompressedTransferSyntaxes and not frame.said.transformed


def _fill_compressed(
    array: NDArray[np.float32],
    frames: Sequence[Frame],
    indices: Sequence[int],
    *,
    processes: int | None,
) -> None:
    def work(number: int) -> None:
        frame = frames[indices[number]]
        stored = decode(frame.image.syntax, bytes(in_memory(frame.stream)), frame.form)
        fill(array[indices[number]], stored, frame.form, frame.transform)

    in_processes(len(indices), work, processes=processes)


def _fill_plain_ones(array: NDArray[np.float32], frames: list[Frame | None]) -> None:
    """Each thread reads into one buffer: fresh memory for each file would cost as much again."""
    unread = [frame.stream for frame in frames if frame and isinstance(frame.stream, Unread)]
    largest = max((stream.buffer_bytes for stream in unread), default=0)
    indices = iter(range(len(frames)))

    def fill_some() -> None:
        buffer = bytearray(largest)
        for index in indices:
            frame = frames[index]
            if frame is not None and not _is_compressed(frame):
                _fill_plain(array[index], frame, buffer)
            frames[index] = None

    threads = min(FILLERS, len(frames), len(os.sched_getaffinity(0)))
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(fill_some) for _ in range(threads)]:
            done.result()


def _fill_plain(plane: NDArray[np.float32], frame: Frame, buffer: bytearray) -> None:
    if frame.said.transformed:
        plane[:] = _transformed(frame)
    else:
        stream = frame.stream
        content = stream.read(buffer) if isinstance(stream, Unread) else stream
        stored = plain(content, frame.form, little_endian=frame.image.little_endian)
        fill(plane, stored, frame.form, frame.transform)
    if (frame.said.transformed or frame.form.floating) and not np.isfinite(plane).all():
        raise InputError("Pixel values are not finite after rescaling.")


def _transformed(frame: Frame) -> NDArray[np.float32]:
    """By a table, or into real-world units: highdicom knows how (PS3.3 C.11.1, C.7.6.16.2.11)."""
    ds = Dataset()
    ds.update(frame.image.header)
    ds.file_meta = frame.image.header.file_meta
    ds.add_new(frame.image.keyword, "OW", bytes(in_memory(frame.image.pixels)))
    try:
        image = hd.Image.from_dataset(ds, copy=False)
        found: NDArray[np.float32] = image.get_frame(
            frame.number + 1, dtype=np.float32, apply_presentation_lut=False
        )
    except (ValueError, AttributeError, RuntimeError) as error:
        kind = type(error).__name__
        raise InputError(f"The pixel data of an image cannot be decoded ({kind}).") from error
    return found
