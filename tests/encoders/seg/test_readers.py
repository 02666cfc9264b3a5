"""What other programs read is what was marked, voxel for voxel, wherever the source lies."""

from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.seg.marks import encode_marks
from dicom_ai_node.form import Segmentation
from tests.encoders.seg.sources import FORMS, GEOMETRIES, basis, form
from tests.nrrd import nrrd
from tests.validators import segimage2itkimage


def written(whole: Basis, segmentation: Segmentation, folder: Path) -> Path:
    (seg,) = encode_marks(whole, form(segmentation)).objects
    seg.save_as(folder / "seg.dcm", enforce_file_format=True)
    return folder / "seg.dcm"


@pytest.mark.result_rule(7, 8)
@pytest.mark.parametrize("segmentation", FORMS)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_highdicom_finds_each_image_as_it_was_marked(
    geometry: str, segmentation: Segmentation, tmp_path: Path
) -> None:
    whole = basis(GEOMETRIES[geometry]())
    seg = hd.seg.segread(written(whole, segmentation, tmp_path))
    (part,) = whole.parts
    for plane, marked in zip(part.mask.planes, part.mask.array, strict=True):
        for number, label in ((1, 1), (2, 3)):
            assert np.array_equal(
                _read(seg, plane.header, plane.frame_number, number), marked == label
            )


def _read(
    seg: hd.seg.Segmentation, header: Dataset, frame_number: int | None, segment: int
) -> NDArray[np.bool_]:
    further = {"segment_numbers": [segment], "assert_missing_frames_are_empty": True}
    further |= {"combine_segments": False, "rescale_fractional": True}
    uid = str(header.SOPInstanceUID)
    if frame_number is None:
        pixels = seg.get_pixels_by_source_instance([uid], **further)
    else:
        pixels = seg.get_pixels_by_source_frame(uid, [frame_number], **further)
    return pixels[0, :, :, 0] > 0


@pytest.mark.validators
@pytest.mark.result_rule(7, 8)
@pytest.mark.parametrize("segmentation", [Segmentation.BINARY, Segmentation.LABELMAP])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_dcmqi_finds_every_voxel_at_its_place_in_the_patient(
    geometry: str, segmentation: Segmentation, tmp_path: Path
) -> None:
    whole = basis(GEOMETRIES[geometry]())
    files = segimage2itkimage(written(whole, segmentation, tmp_path), tmp_path / "nrrd")
    assert len(files) == (1 if segmentation is Segmentation.LABELMAP else 2)
    found: dict[int, set[tuple[float, ...]]] = {}
    for array, steps, origin in map(nrrd, files):
        for number in {*np.unique(array)} - {0}:
            indices = np.argwhere(array == number)[:, ::-1]
            found[int(number)] = _rounded(indices @ steps.T + origin)
    assert found == {
        number: _rounded(_marked_places(whole, label)) for number, label in ((1, 1), (2, 3))
    }


def _marked_places(whole: Basis, label: int) -> NDArray[np.float64]:
    """LPS mm, from the headers alone (PS3.3 C.7.6.2.1.1); but an NRRD has no shear: tilted slices
    lie straight above the first."""
    (part,) = whole.parts
    _, row_mm, column_mm = part.mask.spacing
    along_row, along_column = part.mask.planes[0].rows_and_columns
    normal = np.cross(along_row, along_column)
    shown = [k for k, marked in enumerate(part.mask.array) if marked.any()]
    first = min((part.mask.planes[k].position for k in shown), key=lambda place: place @ normal)
    places = []
    for k in shown:
        rows, columns = np.nonzero(part.mask.array[k] == label)
        height = (part.mask.planes[k].position - first) @ normal
        places.append(
            first
            + height * normal
            + columns[:, None] * column_mm * along_row
            + rows[:, None] * row_mm * along_column
        )
    return np.concatenate(places)


def _rounded(places: NDArray[np.float64]) -> set[tuple[float, ...]]:
    return {tuple(place) for place in np.round(places, 2) + 0.0}
