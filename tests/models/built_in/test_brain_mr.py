"""The brain in a real head, whichever way its voxels are stored."""

import json
from collections.abc import Callable

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
import torch
from pydicom import Dataset

from dicom_ai_node.input import ModelInput
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.built_in.brain_mr import (
    CANONICAL,
    NO_BRAIN,
    brain_box,
    fill_holes,
    largest_component,
    sample,
)
from dicom_ai_node.models.installation.install import CATALOGUE
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.result import Result
from scripts.known_answers import expected, input_of


def given(volume: hd.Volume, modality: str = "MR", body_part: str = "HEAD") -> ModelInput:
    ds = Dataset()
    ds.Modality, ds.BodyPartExamined = modality, body_part
    return ModelInput(headers=[ds], volume=volume)


@pytest.fixture(scope="module")
def result(brain_mr: Model, head: hd.Volume) -> Result:
    return brain_mr.predict(given(head))


@pytest.mark.weights
def test_the_head_has_the_known_brain_volume(result: Result, head: hd.Volume) -> None:
    assert result.outcome is Outcome.FINDINGS
    (finding,) = result.findings
    assert finding.measurements[0].value == pytest.approx(1910, rel=0.01)
    assert result.masks[0].geometry_equal(head)


@pytest.mark.weights
@pytest.mark.parametrize(
    "store",
    [
        lambda head: head.to_patient_orientation("PFL"),  # sagittal slices
        lambda head: head.flip_spatial(2),
        lambda head: head.flip_spatial([0, 1]),
    ],
    ids=["sagittal", "slices reversed", "rows and columns flipped"],
)
def test_the_order_of_voxels_changes_nothing(
    brain_mr: Model, head: hd.Volume, result: Result, store: Callable[[hd.Volume], hd.Volume]
) -> None:
    volume = store(head)
    other = brain_mr.predict(given(volume))
    assert other.masks[0].geometry_equal(volume)
    assert other.findings == result.findings
    same, mask = other.masks[0].match_geometry(head).array > 0, result.masks[0].array > 0
    assert 2 * np.count_nonzero(same & mask) / (same.sum() + mask.sum()) >= 0.99


@pytest.mark.weights
def test_ct_is_not_suitable(brain_mr: Model, head: hd.Volume) -> None:
    expected = Result.not_suitable("This is CT; brain-mr is made for MR.")
    assert brain_mr.predict(given(head, modality="CT")) == expected


@pytest.mark.weights
@pytest.mark.fault("E4")
@pytest.mark.parametrize("shape", [(20, 30, 40), (33, 33, 33)])
def test_images_without_contrast_have_no_brain(
    brain_mr: Model, shape: tuple[int, int, int]
) -> None:
    volume = hd.Volume(np.full(shape, 7, np.float32), np.diag([7, 7, 7, 1]), "PATIENT")
    assert brain_mr.predict(given(volume)) == Result.not_suitable(NO_BRAIN)


@pytest.mark.weights
@pytest.mark.fault("D25")
@pytest.mark.parametrize(
    ("part", "said"),
    [
        (np.s_[:, :, 45:46], "Only 2 mm were scanned from foot to head; brain-mr needs 110 mm."),
        (np.s_[:, :, 40:60], "Only 40 mm were scanned from foot to head; brain-mr needs 110 mm."),
        (np.s_[20:60], "Only 80 mm were scanned from right to left; brain-mr needs 120 mm."),
        (np.s_[:, 50:], "Only 118 mm were scanned from front to back; brain-mr needs 140 mm."),
    ],
)
def test_a_part_of_a_head_has_no_brain_volume_to_be_believed(
    brain_mr: Model, head: hd.Volume, part: tuple[slice, ...], said: str
) -> None:
    """Eight slices of 5 mm once gave a volume that looked right."""
    assert brain_mr.predict(given(head[part])) == Result.not_suitable(said)


@pytest.mark.weights
@pytest.mark.fault("D25")
def test_a_childs_head_is_not_measured(brain_mr: Model, head: hd.Volume) -> None:
    data = given(head)
    data.headers[0].PatientAge = "006Y"
    assert brain_mr.predict(data).reason == (
        "The patient is younger than 18 years; brain-mr is made for older ones."
    )


@pytest.mark.weights
def test_the_known_answer_is_given(brain_mr: Model) -> None:
    folder = CATALOGUE / "brain-mr" / "known_answer"
    with np.load(folder / "case.npz") as case:
        result = brain_mr.predict(input_of(dict(case)))
    (known,) = json.loads((folder / "expected.json").read_text())["measurements"]
    (found,) = expected(result)["measurements"]
    assert abs(found["value"] - known["value"]) <= known["tolerance"]


@pytest.mark.weights
def test_canonical_order_is_that_of_the_training(
    head: hd.Volume, head_nifti: nib.Nifti1Image
) -> None:
    ras = nib.as_closest_canonical(head_nifti)
    sagittal = head.to_patient_orientation("PFL")
    np.testing.assert_array_equal(
        sagittal.to_patient_orientation(CANONICAL).array, np.asarray(ras.dataobj, np.float32)
    )


@pytest.mark.parametrize("old", [1, 2, 25, 91, 109, 127, 128, 181, 217, 256, 511, 640])
@pytest.mark.parametrize("new", [17, 128, 256, 300])
def test_sampling_takes_the_voxels_that_torch_takes(old: int, new: int) -> None:
    values = torch.arange(old, dtype=torch.float32)
    expected = torch.nn.functional.interpolate(values[None, None], (new,), mode="nearest-exact")
    np.testing.assert_array_equal(sample(values.numpy(), (new,)), expected[0, 0].numpy())


def test_only_the_largest_component_stays() -> None:
    mask = np.zeros((8, 8, 8), bool)
    mask[1:3, 1:3, 1:3] = True
    mask[3, 3, 3] = True  # touches by a corner
    mask[6, 6, 5:8] = True
    largest = largest_component(mask)
    assert largest.sum() == 9
    assert largest[3, 3, 3]
    assert not largest_component(np.zeros((3, 3, 3), bool)).any()


def test_holes_are_filled_and_bays_are_not() -> None:
    mask = np.zeros((9, 9, 9), bool)
    mask[1:8, 1:8, 1:8] = True
    mask[3:5, 3:5, 3:5] = False  # a hole
    mask[6, 6, 6:] = False  # open to the border
    filled = fill_holes(mask)
    assert filled[3:5, 3:5, 3:5].all()
    assert not filled[6, 6, 6:].any()
    assert not filled[0].any()
    assert fill_holes(np.ones((3, 3, 3), bool)).all()


def test_the_box_is_scaled_and_widened() -> None:
    coarse = np.zeros((128, 128, 128), bool)
    coarse[40:90, 40:90, 40:90] = True
    assert brain_box(coarse, (256, 128, 64)) == (slice(70, 190), slice(35, 95), slice(17, 47))
    assert brain_box(np.zeros((128, 128, 128), bool), (64, 64, 64)) is None
