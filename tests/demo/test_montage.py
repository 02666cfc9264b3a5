"""The picture: an outline where the mask is, and the patient's right on the left."""

from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.sr.codedict import codes

from dicom_ai_node.demo import head
from dicom_ai_node.demo.montage import COLUMNS, OUTLINE, ROWS, draw_montage, slices_of


@pytest.fixture
def series(tmp_path: Path) -> list[Path]:
    voxels = np.zeros((30, 30, 24), np.float32) + np.arange(30, dtype=np.float32)[:, None, None]
    return head.write_series(nib.Nifti1Image(voxels, np.diag([-2.0, 2, 2, 1])), tmp_path / "series")


@pytest.fixture
def seg(series: list[Path], tmp_path: Path) -> Path:
    """A box in the patient's right front, its frames in another order than the images."""
    images = [pydicom.dcmread(path) for path in reversed(series)]
    mask = np.zeros((24, 30, 30), np.uint8)
    mask[2:22, 3:13, 4:14] = 1
    ds = hd.seg.Segmentation(
        source_images=images,
        pixel_array=mask,
        segmentation_type="BINARY",
        segment_descriptions=[
            hd.seg.SegmentDescription(
                1, "Brain", codes.SCT.AnatomicalStructure, codes.SCT.Brain, "MANUAL"
            )
        ],
        series_instance_uid=hd.UID(),
        series_number=2,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="Tests",
        manufacturer_model_name="Tests",
        software_versions="1",
        device_serial_number="1",
    )
    path = tmp_path / "seg.dcm"
    ds.save_as(path)
    return path


def test_the_mask_lies_on_the_slices_by_geometry(series: list[Path], seg: Path) -> None:
    slices = slices_of(series, seg)
    assert len(slices) == COLUMNS * ROWS
    heights = [each.height_mm for each in slices]
    assert heights == sorted(heights)
    for each in slices:
        rows, columns = np.nonzero(each.mask)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 12, 4, 13)


def test_the_picture_has_the_outline_on_the_patients_right(
    series: list[Path], seg: Path, tmp_path: Path
) -> None:
    path = tmp_path / "montage.png"
    draw_montage(slices_of(series, seg), title="A phantom", note="A note").save(path)
    pixels = np.asarray(Image.open(path).convert("RGB"), int)
    red = np.abs(pixels - OUTLINE).sum(axis=2) < 60
    assert red.sum() > COLUMNS * ROWS * 80  # a box of 10 × 10 voxels of 3 pixels, each
    tile_width = pixels.shape[1] / COLUMNS
    places = np.nonzero(red)[1] % tile_width / tile_width
    assert places.max() < 0.6  # the box ends at column 14 of 30
