"""Masks that a program left behind, brought onto the grid of the images."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import highdicom as hd
import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError
from scipy import ndimage

from dicom_ai_node.config.kinds import CommandPackage
from dicom_ai_node.errors import ModelError

Inside = NDArray[np.bool_]
_LOST = 0.01  # share of a mask's voxels that may lie outside of the images: rounded borders
_SAME_GRID = 1e-4  # of a voxel and of its spacing: NIfTI keeps places as float32
_MAX_LABEL = 65_535
_NIFTI = (".nii", ".nii.gz")


def nifti_masks(folder: Path, grid: hd.Volume, package: CommandPackage) -> dict[int, Inside]:
    """{segment number: where it is}, from one label map or a file for each segment."""
    if package.files:
        return {
            number: _label_map(folder / file, grid, package) > 0
            for number, file in package.files.items()
        }
    found = _label_map(_the_mask(folder, package), grid, package)
    numbers = {entry.number: package.labels.get(entry.number, entry.number) for entry in
               package.segments}  # fmt: skip
    if not package.labels:
        others = np.setdiff1d(np.unique(found), [0, *numbers.values()])
        if others.size:
            raise ModelError(
                f"The mask of {package.name} holds the number {others[0]}, which no segment has: "
                "declare it, or say in labels which numbers count."
            )
    return {number: found == label for number, label in numbers.items()}


def seg_masks(folder: Path, grid: hd.Volume, package: CommandPackage) -> dict[int, Inside]:
    """From the DICOM SEG, or several of them, by the numbers or labels of their segments."""
    segs = [seg for path in _files(folder) if (seg := _segmentation(path)) is not None]
    if not segs:
        raise ModelError(f"{package.name} gave no output: no DICOM SEG that can be read.")
    wanted = {entry.number: package.labels.get(entry.number, entry.number) for entry in
              package.segments}  # fmt: skip
    masks: dict[int, Inside] = {}
    for seg in segs:
        for theirs in seg.segment_numbers:
            label = seg.get_segment_description(theirs).segment_label
            ours = [number for number, name in wanted.items() if name in (theirs, label)]
            for number in ours:
                masks[number] = _on_grid(_volume(seg, theirs, grid, package), grid, package) > 0
    if not masks:
        raise ModelError(f"The DICOM SEG of {package.name} has none of the declared segments.")
    return masks


def _the_mask(folder: Path, package: CommandPackage) -> Path:
    if package.mask is not None:
        return folder / package.mask
    found = [path for path in _files(folder) if path.name.endswith(_NIFTI)]
    if not found:
        raise ModelError(f"{package.name} gave no output: its folder holds no NIfTI file.")
    if len(found) > 1:
        raise ModelError(
            f"{package.name} gave {len(found)} NIfTI files: name the mask in model.yaml (mask, or "
            "files)"
        )
    return found[0]


def _named(package: CommandPackage) -> set[str]:
    files = [*package.files.values(), *([package.mask] if package.mask else [])]
    return {PurePosixPath(file).name for file in files}


def _label_map(path: Path, grid: hd.Volume, package: CommandPackage) -> NDArray[Any]:
    # a name that the program has chosen may be a patient's
    name = path.name if path.name in _named(package) else "its NIfTI file"
    if path.is_symlink() or not path.is_file():
        raise ModelError(f"{package.name} gave no output: {name} is not there.")
    try:
        image = nib.load(path)
        if not isinstance(image, SpatialImage):
            raise ImageFileError  # noqa: TRY301 - the sentence is below
        array = np.asanyarray(image.dataobj)
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        kind = type(error).__name__
        raise ModelError(f"{package.name} gave {name}, which is no NIfTI ({kind}).") from None
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.asarray(image.affine, np.float64)  # RAS to LPS
    if (
        array.ndim != 3
        or not array.size
        or not np.isfinite(affine).all()
        or np.linalg.det(affine) == 0
    ):
        raise ModelError(f"{package.name} gave {name}, which is no volume with a place.")
    if not (array.min() >= 0 and array.max() <= _MAX_LABEL) or np.mod(array, 1).any():
        raise ModelError(f"{package.name} gave {name}, whose values are no labels.")
    try:
        volume = hd.Volume(array, affine, "PATIENT")
    except ValueError:
        raise ModelError(
            f"{package.name} gave {name}, whose axes are not at right angles."
        ) from None
    return _on_grid(volume, grid, package)


def _on_grid(mask: hd.Volume, grid: hd.Volume, package: CommandPackage) -> NDArray[Any]:
    """Where it lies on the grid as it is, turned and cropped at most; else the nearest voxels."""
    try:
        turned: NDArray[Any] = mask.match_geometry(grid, tol=_SAME_GRID).array
    except RuntimeError:
        turned = _nearest(mask, grid)
    count = np.count_nonzero(mask.array)
    if not count or count != np.count_nonzero(turned):
        _check_place(mask, grid, package)
    return turned


def _nearest(mask: hd.Volume, grid: hd.Volume) -> NDArray[Any]:
    to_mask = mask.inverse_affine @ grid.affine
    moved: NDArray[Any] = ndimage.affine_transform(
        mask.array.astype(np.int32, copy=False),
        to_mask[:3, :3],
        offset=to_mask[:3, 3],
        output_shape=grid.spatial_shape,
        order=0,
        mode="grid-constant",
    )
    return moved


def _check_place(mask: hd.Volume, grid: hd.Volume, package: CommandPackage) -> None:
    """What it marks (or where nothing is, its middle) must lie in the images."""
    to_grid = grid.inverse_affine @ mask.affine
    total = outside = 0
    for index, slab in enumerate(mask.array):  # all at once may be gigabytes
        marked = np.insert(np.argwhere(slab), 0, index, axis=1)
        total += len(marked)
        outside += _outside(marked, to_grid, grid)
    if not total:
        middle = (np.array([mask.spatial_shape]) - 1) / 2
        total, outside = 1, _outside(middle, to_grid, grid)
    if outside > _LOST * total:
        raise ModelError(f"The mask of {package.name} does not lie where the images lie.")


def _outside(indices: NDArray[Any], to_grid: NDArray[np.float64], grid: hd.Volume) -> int:
    at = indices @ to_grid[:3, :3].T + to_grid[:3, 3]
    return int(((at < -1) | (at > grid.spatial_shape)).any(axis=1).sum())


def _segmentation(path: Path) -> hd.seg.Segmentation | None:
    """None for what is something else: programs leave reports and pictures beside it."""
    try:
        return hd.seg.segread(path)
    except (InvalidDicomError, ValueError, AttributeError, KeyError, OSError):
        return None


def _volume(
    seg: hd.seg.Segmentation, number: int, grid: hd.Volume, package: CommandPackage
) -> hd.Volume:
    if seg.FrameOfReferenceUID != grid.frame_of_reference_uid:
        raise ModelError(f"The DICOM SEG of {package.name} has another frame of reference.")
    try:
        return seg.get_volume(
            segment_numbers=[number],
            combine_segments=True,
            relabel=True,
            allow_missing_positions=True,
        )
    except (RuntimeError, ValueError, AttributeError, KeyError) as error:
        kind = type(error).__name__
        raise ModelError(
            f"The DICOM SEG of {package.name} is no volume that can be read ({kind})."
        ) from None


def _files(folder: Path) -> Sequence[Path]:
    """Below a folder; links lead elsewhere, and are passed over."""
    return sorted(each for each in folder.rglob("*") if each.is_file() and not each.is_symlink())
