"""What goes to the network's grid comes back to the source's, where it was."""

import itertools
from typing import Any

import highdicom as hd
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data.meta_tensor import MetaTensor
from monai.transforms.utils import convert_applied_interp_mode
from pydicom import Dataset

from dicom_ai_node.config.steps import Step
from dicom_ai_node.errors import InputError, ModelError
from dicom_ai_node.input import ModelInput, ProjectionImage
from dicom_ai_node.models.network.prepare import RAS_LPS, Prepared, prepared, prepared_image
from dicom_ai_node.models.network.resample import back_by_axes
from dicom_ai_node.models.network.steps import transforms_of

SHAPE = (14, 17, 11)
SPACING = (1.5, 2.0, 3.0)
ORIENTATION = {"name": "Orientation", "axcodes": "RAS"}
GEOMETRIC: tuple[dict[str, Any], ...] = (
    ORIENTATION,
    {"name": "Orientation", "axcodes": "PIL"},
    {"name": "Spacing", "pixdim": [1.0, 1.0, 1.0]},
    {"name": "Spacing", "pixdim": [2.0, 2.0, 2.0]},
    {"name": "Resize", "spatial_size": [24, 20, 28]},
    {"name": "ResizeWithPadOrCrop", "spatial_size": [20, 12, 16]},
    {"name": "Flip", "spatial_axis": 0},
    {"name": "Rotate90", "k": 1, "spatial_axes": [0, 1]},
    {"name": "Zoom", "zoom": 1.25, "keep_size": False},
    {"name": "Zoom", "zoom": 0.8},
    {"name": "CenterSpatialCrop", "roi_size": [14, 15, 11]},
    {"name": "CropForeground"},
    {"name": "SpatialPad", "spatial_size": [20, 20, 20]},
    {"name": "DivisiblePad", "k": 8},
    {"name": "BorderPad", "spatial_border": [2, 3, 1]},
)
# these change no value, only where it lies
EXACT = [
    step
    for step in GEOMETRIC
    if step["name"]
    in ("Orientation", "Flip", "Rotate90", "SpatialPad", "DivisiblePad", "BorderPad")
]


def affine(angles: tuple[float, float, float], order: tuple[int, ...], flips: tuple[int, ...]):
    """LPS, mm: axes permuted, flipped and turned, each with its own spacing."""
    x, y, z = angles
    turns = [
        np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]),
        np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]),
        np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]),
    ]
    made = np.eye(4)
    axes = np.eye(3)[:, list(order)] * flips
    made[:3, :3] = turns[0] @ turns[1] @ turns[2] @ axes @ np.diag(SPACING)
    made[:3, 3] = (-40.0, 25.0, 130.0)
    return made


PERMUTED = [
    affine((0.0, 0.0, 0.0), order, flips)
    for order, flips in (((0, 1, 2), (1, 1, 1)), ((2, 0, 1), (-1, 1, -1)), ((1, 2, 0), (1, -1, 1)))
]


def phantom() -> np.ndarray:
    """Everywhere more than nothing; two blocks in corners that no symmetry maps to each other."""
    values = np.full(SHAPE, 10.0, np.float32)
    values[1:5, 1:6, 1:4] = 500
    values[9:13, 8:15, 6:10] = 200
    return values


def of(array: np.ndarray, at: np.ndarray, **others: np.ndarray) -> ModelInput:
    def volume(values: np.ndarray) -> hd.Volume:
        return hd.Volume(values, at, "PATIENT", frame_of_reference_uid="1.2.3")

    return ModelInput(
        headers=[Dataset()],
        volume=volume(array),
        others={name: volume(values) for name, values in others.items()},
    )


def chain(*steps: dict[str, Any]) -> list[Any]:
    return transforms_of([Step.model_validate(step) for step in steps])


def grid(at: np.ndarray, *steps: dict[str, Any]) -> Prepared:
    return prepared(of(phantom(), at), ["image"], chain(*steps))


def centre(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(axis=0)


@pytest.mark.parametrize("at", PERMUTED)
@pytest.mark.parametrize("step", GEOMETRIC, ids=lambda step: "-".join(map(str, step.values())))
def test_each_transform_is_undone(step: dict[str, Any], at: np.ndarray) -> None:
    """What a network marks on the prepared grid lies where it lay in the source; not mirrored."""
    for value in (500, 200):
        block = phantom() == value
        source = np.where(block, 1.0, 0.01).astype(np.float32)
        made = prepared(of(source, at), ["image"], chain(step))
        back = made.restored((made.tensor > 0.5).float(), nearest=True)[0]
        assert back.shape == SHAPE
        found = back > 0
        assert 2 * (found & block).sum() / (found.sum() + block.sum()) > 0.65
        assert np.abs(centre(found) - centre(block)).max() < 0.6


@pytest.mark.parametrize("step", GEOMETRIC, ids=lambda step: "-".join(map(str, step.values())))
@pytest.mark.parametrize("nearest", [True, False])
def test_no_transform_leaves_a_shift(step: dict[str, Any], nearest: bool) -> None:
    """A ramp along each axis, away from the borders; torch's "nearest" was half a voxel off."""
    for ramp in np.indices(SHAPE).astype(np.float32) + 1:
        made = prepared(of(ramp, PERMUTED[1]), ["image"], chain(step))
        off = (made.restored(made.tensor, nearest=nearest)[0] - ramp)[4:-4, 4:-4, 4:-4]
        assert abs(off.mean()) < (0.2 if nearest else 0.01)


@pytest.mark.parametrize("at", PERMUTED)
@pytest.mark.parametrize("step", EXACT, ids=lambda step: "-".join(map(str, step.values())))
@pytest.mark.parametrize("nearest", [True, False])
def test_what_moves_no_value_off_its_place_is_exact(
    step: dict[str, Any], at: np.ndarray, nearest: bool
) -> None:
    made = grid(at, step)
    assert np.array_equal(made.restored(made.tensor, nearest=nearest)[0], phantom())


@given(
    angles=st.tuples(*[st.floats(-0.6, 0.6)] * 3),
    order=st.sampled_from(list(itertools.permutations(range(3)))),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    codes=st.sampled_from(["RAS", "LPS", "PIL", "AIR"]),
    flip=st.integers(0, 2),
)
@settings(max_examples=25)
def test_any_affine_comes_back_bit_for_bit(
    angles: tuple[float, float, float],
    order: tuple[int, ...],
    flips: tuple[int, ...],
    codes: str,
    flip: int,
) -> None:
    at = affine(angles, order, flips)
    made = grid(
        at,
        {"name": "Orientation", "axcodes": codes},
        {"name": "Flip", "spatial_axis": flip},
        {"name": "DivisiblePad", "k": 4},
    )
    assert np.array_equal(made.restored(made.tensor, nearest=True)[0], phantom())
    assert np.array_equal(made.source_affine, at)


@given(
    angles=st.tuples(*[st.floats(-0.6, 0.6)] * 3),
    order=st.sampled_from(list(itertools.permutations(range(3)))),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
)
@settings(max_examples=15)
def test_resampled_labels_come_back_to_their_corner(
    angles: tuple[float, float, float], order: tuple[int, ...], flips: tuple[int, ...]
) -> None:
    """Never mirrored: the two corners hold different labels."""
    spacing = {"name": "Spacing", "pixdim": [1.2, 1.2, 1.2], "mode": "nearest"}
    made = grid(
        affine(angles, order, flips), ORIENTATION, spacing, {"name": "DivisiblePad", "k": 8}
    )
    back = made.restored((made.tensor == 500) * 1.0 + (made.tensor == 200) * 2.0, nearest=True)[0]
    for label, wanted in ((1, phantom() == 500), (2, phantom() == 200)):
        assert ((back == label) & wanted).sum() / wanted.sum() > 0.9
        assert ((back == label) & ~wanted).sum() / wanted.sum() < 0.15


@pytest.mark.parametrize("at", PERMUTED)
def test_the_affine_says_where_the_prepared_voxels_lie(at: np.ndarray) -> None:
    """The centre of the bright block is at the same place in the patient on both grids."""
    made = grid(at, ORIENTATION, {"name": "Spacing", "pixdim": [1, 1, 1], "mode": "nearest"})
    on_source = at @ [*centre(phantom() == 500), 1]
    there = made.affine @ [*centre(made.tensor[0].numpy() == 500), 1]
    assert np.abs(on_source - there).max() < 1.0
    codes = made.affine[:3, :3] @ RAS_LPS[:3, :3]
    assert np.allclose(np.abs(np.diag(made.affine)[:3]), 1.0), codes


@pytest.mark.parametrize("at", [*PERMUTED, affine((0.3, 0.2, -0.1), (0, 1, 2), (1, 1, 1))])
@pytest.mark.parametrize("nearest", [True, False])
@pytest.mark.parametrize("pixdim", [[1.1, 0.9, 1.3], [2.3, 3.1, 4.0]])
def test_the_short_way_back_is_monais(at: np.ndarray, nearest: bool, pixdim: list[float]) -> None:
    """Axis by axis, where the grids are parallel; a turned volume's are, too."""
    spacing = chain({"name": "Spacing", "pixdim": pixdim})
    made = prepared(of(phantom(), at), ["image"], spacing)
    mode = "nearest" if nearest else "bilinear"
    applied = convert_applied_interp_mode(list(made._applied), mode=mode, align_corners=None)
    answer = MetaTensor(made.tensor, affine=made._ras_affine, applied_operations=applied)
    assert back_by_axes(answer) is not None
    theirs = spacing[0].inverse(answer)[0].numpy()
    off = np.abs(made.restored(made.tensor, nearest=nearest)[0] - theirs)
    assert (off > 1e-2).mean() < (0.03 if nearest else 1e-9)  # halves may fall to either side


def test_without_steps_nothing_changes() -> None:
    made = grid(PERMUTED[1])
    assert made.tensor.dtype == torch.float32
    assert np.array_equal(made.tensor[0].numpy(), phantom())
    assert np.array_equal(made.restored(made.tensor, nearest=False)[0], phantom())
    assert np.allclose(made.affine, PERMUTED[1])


def test_intensity_steps_keep_the_way_back() -> None:
    """Transforms of values lie between those of places, and are not undone."""
    made = grid(
        PERMUTED[1],
        ORIENTATION,
        {"name": "ScaleIntensityRangePercentiles", "lower": 1, "upper": 99, "b_min": 0, "b_max": 1},
        {"name": "NormalizeIntensity", "nonzero": True, "channel_wise": True},
        {"name": "ClipIntensityPercentiles", "lower": 1, "upper": 99},
        {"name": "HistogramNormalize"},
        {"name": "AdjustContrast", "gamma": 1.5},
        {"name": "GaussianSmooth", "sigma": 0.5},
        {"name": "MedianSmooth", "radius": 1},
        {"name": "GaussianSharpen"},
        {"name": "Flip", "spatial_axis": 1},
    )
    marks = grid(PERMUTED[1], ORIENTATION, {"name": "Flip", "spatial_axis": 1}).tensor == 500
    assert np.array_equal(made.restored(marks, nearest=True)[0] > 0, phantom() == 500)


def test_inputs_become_channels_in_their_order_and_what_is_not_there_is_zero() -> None:
    data = of(phantom(), PERMUTED[1], flair=phantom() * 2)
    made = prepared(data, ["image", "flair", "t2"], chain(ORIENTATION))
    assert made.tensor.shape[0] == 3
    assert torch.equal(made.tensor[1], made.tensor[0] * 2)
    assert not made.tensor[2].any()


def test_inputs_keep_one_grid_where_their_own_foreground_differs() -> None:
    """The crop of the first holds for all of them: a voxel of each lies in the same place."""
    first, second = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    first[2:10, 3:12, 2:9] = 100
    second[4:6, 5:8, 3:5] = 7
    made = prepared(
        of(first, PERMUTED[0], flair=second), ["image", "flair"], chain({"name": "CropForeground"})
    )
    assert made.tensor.shape[1:] == (8, 9, 7)
    back = made.restored(made.tensor, nearest=True)
    assert np.array_equal(back[1], second)


def test_an_image_comes_back_to_its_pixels() -> None:
    values = np.zeros((30, 24), np.float32)
    values[2:9, 4:8] = 50
    image = ProjectionImage(array=values, sop_instance_uid="1.2.3.4", pixel_spacing=None)
    pad = {"name": "ResizeWithPadOrCrop", "spatial_size": [40, 40]}
    made = prepared_image(image, chain({"name": "Flip", "spatial_axis": 1}, pad))
    assert made.tensor.shape == (1, 40, 40)
    assert np.array_equal(made.restored(made.tensor, nearest=True)[0], values)
    resized = prepared_image(image, chain({"name": "Resize", "spatial_size": [60, 48]}))
    back = resized.restored((resized.tensor > 25).float(), nearest=True)[0]
    assert np.array_equal(back > 0, values > 25)
    assert np.allclose(resized.affine @ [59.5, 47.5, 1], [29.5, 23.5, 1], atol=0.3)


def test_spacing_of_an_image_is_in_mm() -> None:
    values = np.zeros((40, 30), np.float32)
    values[10:20, 5:12] = 1
    image = ProjectionImage(array=values, sop_instance_uid="1.2.3.4", pixel_spacing=(0.5, 0.25))
    made = prepared_image(image, chain({"name": "Spacing", "pixdim": [1.0, 0.5]}))
    assert made.tensor.shape == (1, 20, 16)
    assert np.allclose(made.affine, np.diag([2.0, 2.0, 1.0]))
    back = made.restored(made.tensor, nearest=False)[0] > 0.5
    assert np.abs(centre(back) - centre(values > 0)).max() < 0.6


def test_an_image_whose_pixels_have_no_known_size_cannot_be_brought_to_one() -> None:
    values = np.ones((8, 8), np.float32)
    image = ProjectionImage(array=values, sop_instance_uid="1.2.3.4", pixel_spacing=None)
    with pytest.raises(InputError, match="how large its pixels are"):
        prepared_image(image, chain({"name": "Spacing", "pixdim": [1.0, 1.0]}))


def test_an_answer_of_another_shape_is_refused() -> None:
    made = grid(PERMUTED[0], {"name": "DivisiblePad", "k": 8})
    with pytest.raises(ModelError, match=r"shape \(14, 17, 11\), and its input \(16, 24, 16\)"):
        made.restored(torch.zeros(1, *SHAPE), nearest=True)


def test_arguments_that_monai_does_not_take_are_named() -> None:
    with pytest.raises(ModelError, match=r"the step Spacing of model.yaml: .*pixels"):
        chain({"name": "Spacing", "pixels": [1, 1, 1]})
    with pytest.raises(ModelError, match="dtype is one of float32, uint8, int64"):
        chain({"name": "NormalizeIntensity", "dtype": "os.system"})
