"""What was written, as dcmqi and highdicom read it."""

import tempfile
from pathlib import Path

import highdicom as hd
import numpy as np
from numpy.typing import NDArray

from benchmarks.encode_phantom import ORIGIN, SPACING, Phantom
from tests.nrrd import nrrd
from tests.validators import segimage2itkimage


def assert_voxel_equal(path: Path, phantom: Phantom) -> None:
    mask = phantom.mask()
    assert np.array_equal(_by_dcmqi(path, mask.shape), mask), "dcmqi reads other voxels"
    assert np.array_equal(_by_highdicom(path, phantom), mask), "highdicom reads other voxels"


def _by_dcmqi(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    with tempfile.TemporaryDirectory() as folder:
        (file,) = segimage2itkimage(path, Path(folder) / "nrrd", "--mergeSegments")
        array, steps, origin = nrrd(file)
    assert np.allclose(np.diag(steps), SPACING[::-1])
    first = np.rint((origin - ORIGIN) / SPACING[::-1]).astype(int)[::-1]
    whole = np.zeros(shape, np.uint8)
    box = [slice(at, at + size) for at, size in zip(first, array.shape, strict=True)]
    whole[tuple(box)] = array
    return whole


def _by_highdicom(path: Path, phantom: Phantom) -> NDArray[np.uint8]:
    volume = hd.seg.segread(path).get_volume(combine_segments=True, dtype=np.uint8)
    (mask,) = phantom.result().masks
    return np.asarray(volume.match_geometry(mask).array)
