"""Radiographs: no volume, seldom a geometry, and some of them stored inverted."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from dicom_ai_node.errors import InputError
from dicom_ai_node.input import ProjectionImage
from tests.dicom_factory import enhanced, radiograph, series
from tests.loading.loaded import loaded, refusal

fault = pytest.mark.fault

PIXELS = np.arange(60 * 50).reshape(60, 50) % 4096


def one(folder: Path, ds: Dataset) -> ProjectionImage:
    (image,) = loaded(folder, [ds], kind="images").images
    assert image.sop_instance_uid == ds.SOPInstanceUID
    assert image.array.dtype == np.float32
    return image


@fault("D17")
@pytest.mark.parametrize("modality", ["CR", "DX", "MG"])
def test_an_image_without_any_geometry_is_read(tmp_path: Path, modality: str) -> None:
    image = one(tmp_path, radiograph(PIXELS, modality=modality))
    assert np.array_equal(image.array, PIXELS)
    assert image.pixel_spacing is None


@fault("D17")
def test_a_model_of_volumes_refuses_it(tmp_path: Path) -> None:
    said = refusal(tmp_path, [radiograph(PIXELS)])
    assert said.startswith("ImageOrientationPatient is missing or not a number")
    with pytest.raises(InputError, match="needs a volume"):
        loaded(tmp_path / "images", [radiograph(PIXELS)], kind="images").needed_volume()


@fault("D23")
def test_what_is_stored_inverted_is_put_right(tmp_path: Path) -> None:
    ds = radiograph(4095 - PIXELS)
    ds.PhotometricInterpretation = "MONOCHROME1"
    assert np.array_equal(one(tmp_path, ds).array, PIXELS)


@fault("D23")
def test_inverted_and_rescaled(tmp_path: Path) -> None:
    ds = radiograph(4095 - PIXELS)
    ds.PhotometricInterpretation = "MONOCHROME1"
    ds.RescaleSlope, ds.RescaleIntercept = 2, -100
    assert np.array_equal(one(tmp_path, ds).array, PIXELS * 2 - 100)


@fault("D23")
def test_a_ct_slice_by_itself_keeps_its_hounsfield_units(tmp_path: Path) -> None:
    (ds,) = series(shape=(1, 48, 40))
    plain = one(tmp_path / "plain", ds).array
    ds.PhotometricInterpretation = "MONOCHROME1"
    assert np.array_equal(one(tmp_path / "inverted", ds).array, plain)


@fault("D19")
def test_the_padding_of_an_inverted_image_is_its_darkest_value(tmp_path: Path) -> None:
    """Outside the collimator, a plate that is stored inverted is padded with white."""
    pixels = 4095 - PIXELS
    pixels[:, :9] = 4095
    ds = radiograph(pixels)
    ds.PhotometricInterpretation = "MONOCHROME1"
    ds.add_new("PixelPaddingValue", "US", 4095)
    image = one(tmp_path, ds)
    assert (image.array[:, :9] == PIXELS[:, 9:].min()).all()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"PixelSpacing": [0.2, 0.1]}, (0.2, 0.1)),
        ({"ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1)),
        (
            {"ImagerPixelSpacing": [0.3, 0.3], "EstimatedRadiographicMagnificationFactor": 1.5},
            (0.2, 0.2),
        ),
        ({"PixelSpacing": [0.1, 0.1], "ImagerPixelSpacing": [0.2, 0.2]}, (0.1, 0.1)),
        ({"PixelSpacing": [0, 0]}, None),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.2]}, (0.2, 0.2)),
    ],
)
def test_the_spacing_is_that_in_the_patient_or_none(
    tmp_path: Path, given: dict[str, object], expected: tuple[float, float] | None
) -> None:
    ds = radiograph(PIXELS)
    for keyword, value in given.items():
        setattr(ds, keyword, value)
    assert one(tmp_path, ds).pixel_spacing == pytest.approx(expected)


def test_images_of_a_series_may_differ_in_size(tmp_path: Path) -> None:
    """As the four views of a mammography do."""
    both = [radiograph(PIXELS, name="cc"), radiograph(PIXELS[:20], name="mlo")]
    images = loaded(tmp_path, both, kind="images").images
    assert {image.sop_instance_uid: image.array.shape for image in images} == {
        both[0].SOPInstanceUID: (60, 50),
        both[1].SOPInstanceUID: (20, 50),
    }


@fault("D22")
def test_a_multi_frame_object_is_no_single_image(tmp_path: Path) -> None:
    assert refusal(tmp_path, enhanced(series()), kind="images").startswith("This is a multi-frame")
