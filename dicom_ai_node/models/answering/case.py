"""The case of a known answer in `case.npz`: pixels with their geometry, and a few attributes.

`array` (volume; its affine `affine` maps voxel indices to the patient, LPS mm), `NAME_array` for
each further input on the same grid; or for images, `array` (rows × columns, or images × rows ×
columns) and `pixel_spacing` (row, column; mm). `modality`, `body_part`, and any other attribute by
its DICOM keyword.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from dicom_ai_node.config.package import Package
from dicom_ai_node.errors import ModelError
from dicom_ai_node.input import ModelInput, ProjectionImage
from dicom_ai_node.uids import derived_uid

MAX_BYTES = 4 << 30  # of the arrays
CASE = "case.npz"
MASK = "mask.npz"
_FRAME_OF_REFERENCE = derived_uid("known answer", "frame of reference")
_WORDS = {"modality": "Modality", "body_part": "BodyPartExamined"}

Arrays = Mapping[str, NDArray[Any]]


def read_arrays(content: bytes, name: str) -> Arrays:
    """Raises ModelError for what is no .npz of plain arrays."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > MAX_BYTES:
            raise ModelError(
                f"{name} becomes larger than {MAX_BYTES >> 30} GiB: give a smaller one"
            )
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            return dict(found)
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{name} is no .npz file of plain arrays ({type(error).__name__}): write it with "
            "numpy.savez_compressed"
        ) from None


def case_of(arrays: Arrays, package: Package) -> ModelInput:
    """Raises ModelError, naming the array that is missing or has the wrong form."""
    array = _needed(arrays, "array")
    if package.input == "images":
        return _images(array, arrays)
    if array.ndim != 3:
        raise ModelError(f"{CASE}: array has {array.ndim} dimensions where a volume has 3")
    affine = np.asarray(_needed(arrays, "affine"), np.float64)
    if affine.shape != (4, 4):
        raise ModelError(f"{CASE}: affine is {affine.shape} where (4, 4) was due")
    volume = _volume(array, affine)
    others = {
        name: _volume(_of_shape(arrays[f"{name}_array"], array.shape, name), affine)
        for name in package.inputs[1:]
        if f"{name}_array" in arrays
    }
    return ModelInput(headers=_slices(volume, arrays), volume=volume, others=others)


def arrays_of(data: ModelInput) -> dict[str, NDArray[Any]]:
    """What `case_of` reads, of an input that was loaded: pixels, and no attribute of a person."""
    header = data.headers[0]
    said = {key: np.asarray(str(header.get(word) or "")) for key, word in _WORDS.items()}
    if data.volume is None:
        shapes = {image.array.shape for image in data.images}
        if len(shapes) != 1:
            raise ModelError("images of different sizes make no case: give one image")
        spacing = data.images[0].pixel_spacing
        sized = {} if spacing is None else {"pixel_spacing": np.asarray(spacing)}
        return {"array": _compact(np.stack([i.array for i in data.images])), **sized, **said}
    others = {f"{name}_array": _compact(each.array) for name, each in data.others.items()}
    return {
        "array": _compact(data.volume.array),
        "affine": np.asarray(data.volume.affine, np.float64),
        **others,
        **said,
    }


def _images(array: NDArray[Any], arrays: Arrays) -> ModelInput:
    stack = array[None] if array.ndim == 2 else array
    if stack.ndim != 3:
        raise ModelError(f"{CASE}: array has {array.ndim} dimensions where an image has 2")
    row_column = arrays.get("pixel_spacing")
    spacing = None if row_column is None else (float(row_column[0]), float(row_column[1]))
    headers, images = [], []
    for index, pixels in enumerate(stack):
        header = _header(arrays, index, pixels.shape)
        if spacing is not None:
            header.PixelSpacing = list(spacing)
        headers.append(header)
        images.append(
            ProjectionImage(
                array=np.asarray(pixels, np.float32),
                sop_instance_uid=header.SOPInstanceUID,
                pixel_spacing=spacing,
            )
        )
    return ModelInput(headers=headers, images=tuple(images))


def _slices(volume: hd.Volume, arrays: Arrays) -> Sequence[Dataset]:
    """A header for each plane along the first axis, as a scanner would have written it."""
    headers = []
    affine = volume.affine
    down, along = affine[:3, 1], affine[:3, 2]  # to the next row, to the next column
    rows, columns = float(np.linalg.norm(down)), float(np.linalg.norm(along))
    for index in range(volume.shape[0]):
        header = _header(arrays, index, volume.shape[1:])
        header.FrameOfReferenceUID = volume.frame_of_reference_uid
        header.PixelSpacing = [rows, columns]
        header.ImageOrientationPatient = [*(along / columns), *(down / rows)]
        header.ImagePositionPatient = list(affine[:3, 3] + index * affine[:3, 0])
        header.SliceThickness = float(np.linalg.norm(affine[:3, 0]))
        headers.append(header)
    return headers


def _header(arrays: Arrays, index: int, shape: Sequence[int]) -> Dataset:
    header = Dataset()
    header.SOPInstanceUID = derived_uid("known answer", "instance", index)
    header.SeriesInstanceUID = derived_uid("known answer", "series")
    header.StudyInstanceUID = derived_uid("known answer", "study")
    header.InstanceNumber = index + 1
    header.Rows, header.Columns = shape
    for key, values in arrays.items():
        keyword = _WORDS.get(key, key)
        if tag_for_keyword(keyword) is not None:
            setattr(header, keyword, values.tolist())
    return header


def _volume(array: NDArray[Any], affine: NDArray[np.float64]) -> hd.Volume:
    return hd.Volume(
        np.asarray(array, np.float32),
        affine,
        "PATIENT",
        frame_of_reference_uid=_FRAME_OF_REFERENCE,
    )


def _compact(array: NDArray[Any]) -> NDArray[Any]:
    """int16 where that loses nothing: half the size before compression."""
    small = array.astype(np.int16)
    return small if np.array_equal(small, array) else array


def _of_shape(array: NDArray[Any], shape: Sequence[int], name: str) -> NDArray[Any]:
    if array.shape != tuple(shape):
        raise ModelError(f"{CASE}: {name}_array is {array.shape} where {tuple(shape)} was due")
    return array


def _needed(arrays: Arrays, key: str) -> NDArray[Any]:
    if key not in arrays:
        raise ModelError(f"{CASE} has no {key} (there: {', '.join(sorted(arrays))})")
    return arrays[key]
