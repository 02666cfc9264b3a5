"""Arrays filled with the values of frames: whatever their transfer syntax, all cores at work."""

from concurrent.futures import ThreadPoolExecutor

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import UncompressedTransferSyntaxes

from dicom_ai_node.decode import Stored, plain
from dicom_ai_node.decode_processes import Job, decode_all
from dicom_ai_node.errors import InputError
from dicom_ai_node.frames import Frame
from dicom_ai_node.values import fill

FILLERS = 4  # threads; numpy's copies leave the interpreter free


def fill_all(array: NDArray[np.float32], frames: list[Frame | None]) -> None:
    """`array[k]` gets the values of `frames[k]`, which is then let go; padding is NaN there."""
    compressed: list[int] = []
    plain_ones: list[int] = []
    for index, frame in enumerate(frames):
        assert frame is not None  # noqa: S101 - none is let go yet
        plain_one = frame.image.syntax in UncompressedTransferSyntaxes or frame.said.transformed
        (plain_ones if plain_one else compressed).append(index)

    def fill_plain(index: int) -> None:
        frame = frames[index]
        assert frame is not None  # noqa: S101 - each is filled once
        _fill_plain(array[index], frame)
        frames[index] = None

    with ThreadPoolExecutor(FILLERS) as pool:
        for _ in pool.map(fill_plain, plain_ones):
            pass
    if compressed:
        _fill_compressed(array, frames, compressed)


def _fill_compressed(
    array: NDArray[np.float32], frames: list[Frame | None], indices: list[int]
) -> None:
    found = [frame for frame in frames if frame is not None]

    def done(number: int, stored: Stored) -> None:
        frame = found[number]
        fill(array[indices[number]], stored, frame.form, frame.transform)

    decode_all([Job(f.image.syntax, bytes(f.stream), f.form) for f in found], done)
    for index in indices:
        frames[index] = None


def _fill_plain(plane: NDArray[np.float32], frame: Frame) -> None:
    if frame.said.transformed:
        plane[:] = _transformed(frame)
    else:
        stored = plain(frame.stream, frame.form, little_endian=frame.image.little_endian)
        fill(plane, stored, frame.form, frame.transform)
    if (frame.said.transformed or frame.form.floating) and not np.isfinite(plane).all():
        raise InputError("Pixel values are not finite after rescaling.")


def _transformed(frame: Frame) -> NDArray[np.float32]:
    """By a table, or into real-world units: highdicom knows how (PS3.3 C.11.1, C.7.6.16.2.11)."""
    ds = Dataset()
    ds.update(frame.image.header)
    ds.file_meta = frame.image.header.file_meta
    ds.add_new(frame.image.keyword, "OW", bytes(frame.image.pixels))
    try:
        image = hd.Image.from_dataset(ds, copy=False)
        found: NDArray[np.float32] = image.get_frame(
            frame.number + 1, dtype=np.float32, apply_presentation_lut=False
        )
    except (ValueError, AttributeError, RuntimeError) as error:
        kind = type(error).__name__
        raise InputError(f"The pixel data of an image cannot be decoded ({kind}).") from error
    return found
