"""Both lungs in radiographs that were drawn; which side is which comes from the header."""

import json
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from dicom_ai_node.input import ModelInput, ProjectionImage
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.built_in.lung_cxr import sides_of
from dicom_ai_node.models.built_in.radiograph import NotFrontal, left_is_right
from dicom_ai_node.models.built_in.vgg_unet import VggUNet
from dicom_ai_node.models.installation.install import CATALOGUE
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.result import Result
from scripts.known_answers import expected, input_of
from scripts.synthetic_bodies import radiograph


def header(**attributes: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize(
    ("attributes", "usual"),
    [
        ({"PatientOrientation": ["L", "F"], "ViewPosition": "PA"}, True),
        ({"PatientOrientation": ["R", "F"], "ViewPosition": "PA"}, False),
        ({"PatientOrientation": ["LF", "FR"]}, True),
        ({"PatientOrientation": ["L", "F"], "ViewPosition": ""}, True),
        ({"PatientOrientation": "", "ViewPosition": "PA"}, True),
        ({"ViewPosition": "ap"}, True),
    ],
)
def test_the_side_of_the_left_lung(attributes: dict[str, Any], usual: bool) -> None:
    assert left_is_right(header(**attributes)) is usual


@pytest.mark.fault("D25")
@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"ViewPosition": "LL"}, "not a frontal view"),
        ({"ViewPosition": "RL", "PatientOrientation": ["L", "F"]}, "not a frontal view"),
        ({"PatientOrientation": ["A", "F"]}, "a lateral view"),
        ({"PatientOrientation": ["P", "F"], "ViewPosition": "PA"}, "a lateral view"),
        ({"PatientOrientation": ["F", "L"]}, "does not stand upright"),
        ({"PatientOrientation": ["L", "H"]}, "does not stand upright"),
        ({}, "does not say which side"),
        ({"PatientOrientation": "", "ViewPosition": ""}, "does not say which side"),
    ],
)
def test_any_other_view_is_refused(attributes: dict[str, Any], said: str) -> None:
    with pytest.raises(NotFrontal, match=said):
        left_is_right(header(**attributes))


def lungs() -> np.ndarray:
    """A broad one on the image's left and a narrow one, with a hole and crumbs."""
    inside = np.zeros((100, 120), bool)
    inside[20:80, 10:50] = True
    inside[20:80, 70:100] = True
    inside[40:45, 20:25] = False
    inside[2:4, 60:62] = True
    return inside


@pytest.mark.parametrize("usual", [True, False])
def test_sides_are_cleaned_and_named(usual: bool) -> None:
    sides = sides_of(lungs(), left_is_right=usual)
    on_the_left, on_the_right = (2, 1) if usual else (1, 2)
    assert np.count_nonzero(sides == on_the_left) == 60 * 40
    assert np.count_nonzero(sides == on_the_right) == 60 * 30
    assert (sides[:, :60] != on_the_right).all()


def test_lungs_that_touch_are_cut_where_they_are_thinnest() -> None:
    inside = lungs()
    inside[30:33, 50:70] = True
    sides = sides_of(inside, left_is_right=True)
    assert np.count_nonzero(sides == 2) == pytest.approx(60 * 40 + 30, abs=31)
    assert np.count_nonzero(sides == 1) == pytest.approx(60 * 30 + 30, abs=31)


@pytest.mark.parametrize(("columns", "side"), [(np.s_[10:50], 2), (np.s_[70:100], 1)])
def test_one_lung_has_its_side(columns: slice, side: int) -> None:
    inside = np.zeros((100, 120), bool)
    inside[20:80, columns] = True
    assert set(np.unique(sides_of(inside, left_is_right=True))) == {0, side}
    assert not sides_of(np.zeros((9, 9), bool), left_is_right=True).any()


def test_the_network_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in VggUNet().parameters()) == 22_979_080


def given(*arrays: np.ndarray, spacing: float | None = 1.25, **attributes: Any) -> ModelInput:
    headers = [
        header(
            **({"Modality": "CR", "PatientOrientation": ["L", "F"]} | attributes),
            SOPInstanceUID=f"1.2.{number}",
        )
        for number in range(len(arrays))
    ]
    images = tuple(
        ProjectionImage(
            array=array.astype(np.float32),
            sop_instance_uid=f"1.2.{number}",
            pixel_spacing=None if spacing is None else (spacing, spacing),
        )
        for number, array in enumerate(arrays)
    )
    return ModelInput(headers=headers, images=images)


def areas(result: Result) -> dict[str, float]:
    return {f.tracking_identifier: f.measurements[0].value for f in result.findings}


@pytest.mark.weights
def test_the_known_answer_is_given_and_mirrors_with_the_image(lung_cxr: Model) -> None:
    folder = CATALOGUE / "lung-cxr" / "known_answer"
    with np.load(folder / "case.npz") as case:
        result = lung_cxr.predict(input_of(dict(case)))
    known = json.loads((folder / "expected.json").read_text())
    for due, found in zip(known["measurements"], expected(result)["measurements"], strict=True):
        assert (found["finding"], found["name"]) == (due["finding"], due["name"])
        assert abs(found["value"] - due["value"]) <= due["tolerance"]
    mirrored = lung_cxr.predict(given(radiograph(mirrored=True), PatientOrientation=["R", "F"]))
    for each, on_the_left in ((result, 2), (mirrored, 1)):
        assert areas(each)["Right lung 1"] > areas(each)["Left lung 1"]  # as drawn
        columns = np.nonzero(each.image_masks[0].array == on_the_left)[1]
        assert columns.mean() < 160


@pytest.mark.weights
def test_without_a_size_of_pixels_the_part_of_the_image_is_given(lung_cxr: Model) -> None:
    result = lung_cxr.predict(given(radiograph(), spacing=None))
    assert {f.measurements[0].unit.value for f in result.findings} == {"%"}
    (mask,) = result.image_masks
    share = 100 * np.count_nonzero(mask.array == 1) / mask.array.size
    assert areas(result)["Left lung 1"] == pytest.approx(share, abs=0.01)


@pytest.mark.weights
@pytest.mark.fault("D25")
@pytest.mark.fault("E4")
def test_what_is_no_frontal_chest_is_not_suitable(lung_cxr: Model) -> None:
    flat = np.full((64, 64), 7.0)
    assert lung_cxr.predict(given(flat)) == Result.not_suitable(
        "No lungs were found in this image."
    )
    lateral = lung_cxr.predict(given(radiograph(), PatientOrientation=["A", "F"]))
    assert lateral.outcome is Outcome.NOT_SUITABLE


@pytest.mark.weights
def test_a_lateral_view_beside_a_frontal_one_is_left_out_and_said(lung_cxr: Model) -> None:
    data = given(radiograph(), radiograph())
    data.headers[1].PatientOrientation = ["P", "F"]
    result = lung_cxr.predict(data)
    assert result.outcome is Outcome.PARTLY
    assert [mask.sop_instance_uid for mask in result.image_masks] == ["1.2.0"]
    assert result.reason == (
        "1 of 2 images were not measured: This is a lateral view, by its PatientOrientation."
    )
