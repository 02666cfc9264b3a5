"""Several inputs on one grid: further series and masks of other jobs, laid over the primary."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom import Dataset
from scipy import ndimage

from dicom_ai_node.config.package import InputKind
from dicom_ai_node.errors import InputError
from dicom_ai_node.header import read_head
from dicom_ai_node.input import ModelInput
from dicom_ai_node.loading.load import load
from dicom_ai_node.study import Instance


def load_inputs(
    inputs: Mapping[str, Sequence[Instance]], masks: Mapping[str, Path], *, kind: InputKind
) -> ModelInput:
    """The primary input as `load()` gives it; the others resampled to its grid (linear).

    `masks` are SEG objects of other jobs; they come as labelmaps (nearest neighbour, 0 outside).
    They and series of the same study must share its frame of reference. Those of an earlier study
    never do: they are placed by their own coordinates, and nothing here registers them.
    """
    (primary, instances), *others = inputs.items()
    data = load(instances, kind=kind)
    if not others and not masks:
        return data
    grid = data.needed_volume()
    laid: dict[str, hd.Volume] = {}
    evidence: list[Dataset] = []
    for name, further in others:
        other = load(further, kind=kind)
        is_prior = further[0].study_instance_uid != instances[0].study_instance_uid
        volume = other.needed_volume()
        if not is_prior:
            _check_frames(volume, grid, f"The series for {name} and {primary}")
        laid[name] = resampled(volume, grid, order=1)
        evidence += other.headers
    for name, path in masks.items():
        mask = _labelmap(hd.seg.segread(path))
        _check_frames(mask, grid, f"The mask for {name} and the series for {primary}")
        laid[name] = resampled(mask, grid, order=0)
        evidence.append(read_head(path))
    return replace(data, others=laid, evidence=evidence)


def _check_frames(volume: hd.Volume, grid: hd.Volume, which: str) -> None:
    if volume.frame_of_reference_uid != grid.frame_of_reference_uid:
        raise InputError(
            f"{which} have different frames of reference: they cannot be laid over each other."
        )


def resampled(volume: hd.Volume, grid: hd.Volume, *, order: int) -> hd.Volume:
    """The values at the grid's voxels (patient coordinates, LPS); the lowest value outside.

    `order` is that of the spline: 1 for images, 0 for labels.
    """
    outside = 0 if order == 0 else volume.array.min()
    # voxel index of the grid -> patient -> voxel index of the volume
    to_volume = volume.inverse_affine @ grid.affine
    if np.allclose(to_volume, np.eye(4), atol=1e-4) and volume.shape == grid.shape:
        return grid.with_array(volume.array)
    array = ndimage.affine_transform(
        volume.array,
        to_volume[:3, :3],
        offset=to_volume[:3, 3],
        output_shape=grid.spatial_shape,
        order=order,
        mode="constant",
        cval=outside,
    )
    return grid.with_array(array)


def _labelmap(seg: hd.seg.Segmentation) -> hd.Volume:
    """Frames without voxels are left out of a SEG: between others they are there, and empty."""
    return seg.get_volume(combine_segments=True, allow_missing_positions=True)
