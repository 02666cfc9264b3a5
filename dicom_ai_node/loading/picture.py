"""One frame as a viewer would show it: windowed, bright where it is meant to be, 8 bits."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeAlias

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from dicom_ai_node.errors import InputError
from dicom_ai_node.header import numbers_of, words_of
from dicom_ai_node.loading.fill import filled
from dicom_ai_node.loading.frame_header import FrameHeader, frame_headers
from dicom_ai_node.loading.frames import check_size, frames, monochrome1
from dicom_ai_node.loading.load import MAX_FILE_BYTES
from dicom_ai_node.loading.pixels import check_types
from dicom_ai_node.loading.stored_image import StoredImage, read_image
from dicom_ai_node.study import Instance

KEPT = 16  # decoded frames: several objects show the same ones
NO_WINDOW = (1.0, 99.5)  # percentiles that become black and white where a header has none

Shown: TypeAlias = NDArray[np.uint8]


def pictures(instances: Sequence[Instance]) -> Callable[[str, int | None], Shown]:
    """Of a SOP Instance UID and a frame number (from 1); nothing is decoded before it is asked for,
    and what was asked for lately is kept."""
    by_uid = {instance.sop_instance_uid: instance for instance in instances}

    @lru_cache(maxsize=KEPT)
    def found(sop_instance_uid: str, frame_number: int | None) -> Shown:
        instance = by_uid.get(sop_instance_uid)
        if instance is None:
            raise InputError("An image that is to be shown is not among those that were analysed.")
        return picture(instance, frame_number)

    return found


def picture(instance: Instance, frame_number: int | None = None) -> Shown:
    """Rows × columns, or rows × columns × RGB of a colour image; InputError where nobody can."""
    image = read_image(instance, share=MAX_FILE_BYTES)
    try:
        check_types(image.header)
        check_size([image])
        if numbers_of(image.header, "SamplesPerPixel") not in ((), (1.0,)) or _has_palette(image):
            return _colour(image, instance, frame_number)
        return _grey(image, frame_number)
    except NotImplementedError as error:  # pydicom's, at the first look at such an element
        raise InputError("An image has an element of an unknown value representation.") from error


def _grey(image: StoredImage, frame_number: int | None) -> Shown:
    """MONOCHROME1 is turned round after the window, which is of the values (PS3.3 C.7.6.3.1.2)."""
    said = [*frame_headers(image.header)]
    index = (frame_number or 1) - 1
    if index not in range(len(said)):
        raise InputError("An image does not have the frame that is to be shown.")
    frame = frames(image, said)[index]
    values = filled([frame])[0]
    is_padding = np.isnan(values)
    shown = _windowed(values, said[index])
    if monochrome1(image):
        shown = np.uint8(255) - shown
    shown[is_padding] = 0
    return shown


def _windowed(values: NDArray[np.float32], said: FrameHeader) -> Shown:
    """By the first window of the header, else its table, else what most values lie between."""
    centers, widths = said.numbers("WindowCenter"), said.numbers("WindowWidth")
    lowest = np.nanmin(values) if not np.isnan(values).all() else 0
    values = np.nan_to_num(values, nan=float(lowest))
    function = (said.words("VOILUTFunction") or ("LINEAR",))[0]
    if not centers or not widths or widths[0] < 1:
        if (table := _by_table(values, said.header)) is not None:
            return table
        low, high = np.percentile(values, NO_WINDOW)
        centers, widths, function = ((low + high) / 2,), (max(high - low, 1e-6),), "LINEAR_EXACT"
    shown = hd.pixels.apply_voi_window(
        values,
        centers[0],
        widths[0],
        voi_lut_function=function if function in ("LINEAR_EXACT", "SIGMOID") else "LINEAR",
        output_range=(0.0, 255.0),
    )
    return np.asarray(np.rint(shown), np.uint8)


def _by_table(values: NDArray[np.float32], header: Dataset) -> Shown | None:
    """VOI LUT Sequence (PS3.3 C.11.2.1.1); None where there is none that can be read."""
    if not header.get("VOILUTSequence"):
        return None
    try:
        # by hand: pydicom's index into a table of 8 bits has 8 bits as well, and highdicom reads
        # none of 10 or 12
        count, first, bits = map(int, header.VOILUTSequence[0].LUTDescriptor)
        data = header.VOILUTSequence[0].LUTData
        table = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.array(data, int)
        table = table[: count or 1 << 16]
        index = np.rint(values - first).astype(int).clip(0, len(table) - 1)
        bright = table[index] / ((1 << bits) - 1) * 255.0
    except (AttributeError, LookupError, TypeError, ValueError, ZeroDivisionError):
        return None
    return np.asarray(np.rint(bright).clip(0, 255), np.uint8)


def _has_palette(image: StoredImage) -> bool:
    return words_of(image.header, "PhotometricInterpretation") == ("PALETTE COLOR",)


def _colour(image: StoredImage, instance: Instance, frame_number: int | None) -> Shown:
    """As pydicom decodes it, in RGB."""
    try:
        found = pixel_array(instance.path, index=(frame_number or 1) - 1)
        if _has_palette(image):
            found = apply_color_lut(found, image.header)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        kind = type(error).__name__
        raise InputError(f"The pixel data of an image cannot be decoded ({kind}).") from error
    if found.ndim != 3 or found.shape[-1] < 3:
        raise InputError("A colour image has not three samples for each pixel.")
    deeper = 8 * found.dtype.itemsize - 8 if _has_palette(image) else _bits(image) - 8
    return (found[..., :3] >> max(deeper, 0)).astype(np.uint8)


def _bits(image: StoredImage) -> int:
    return int((numbers_of(image.header, "BitsStored") or (8.0,))[0])
