"""The road from a head to trained weights, on a head of ellipsoids and for a few steps."""

import itertools
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import binary_cross_entropy_with_logits

from examples.lesions import Lesion
from examples.networks import (
    CLASSIFICATION,
    DETECTION,
    Scene,
    batches,
    described,
    heat_loss,
    trained,
    untrained,
)
from examples.scenes import heat, on_grid, part, patch, whole
from examples.sources import Head, head_of
from examples.train_demonstrations import calibration, save_weights, write_calibration


@pytest.fixture(scope="module")
def phantom() -> Head:
    """A brain of 100 in a skull of 30, sagittal slices of 3 mm, feet first."""
    affine = np.array([[3.0, 0, 0, -60], [0, 0, 2, -60], [0, -2, 0, 50], [0, 0, 0, 1]])
    index = np.indices((40, 56, 60)).reshape(3, -1)
    at = np.linalg.norm((affine[:3, :3] @ index + affine[:3, 3:]) / [[48.0], [54], [46]], axis=0)
    out = at.reshape(40, 56, 60)
    noise = np.random.default_rng(0).normal(0, 2, out.shape)
    array = np.where(out < 0.9, 100, np.where(out < 1.05, 30, 0)) + noise
    volume = hd.Volume(array.astype(np.float32), affine, "PATIENT")
    return head_of("phantom", volume, out < 0.9)


@pytest.fixture(scope="module")
def prepared_head(phantom: Head) -> Head:
    return on_grid(phantom, described(DETECTION))


def test_a_head_comes_onto_the_grid_of_the_package(phantom: Head, prepared_head: Head) -> None:
    """2 mm, and the brain stays where it was and as large."""
    volume = prepared_head.volume
    assert volume.spacing == pytest.approx((2, 2, 2))
    middle = np.argwhere(prepared_head.brain).mean(0)
    assert volume.affine[:3, :3] @ middle + volume.affine[:3, 3] == pytest.approx([0, 0, 0], abs=1)
    mm3 = phantom.brain.sum() * float(np.prod(phantom.volume.spacing))
    assert prepared_head.brain.sum() * 8 == pytest.approx(mm3, rel=0.03)


def test_the_heat_is_one_in_the_middle_and_half_on_the_surface(prepared_head: Head) -> None:
    volume = prepared_head.volume
    center = volume.affine[:3, :3] @ np.array([30, 25, 20]) + volume.affine[:3, 3]
    lesion = Lesion(center=center, half_axes=np.eye(3) * 6, value=2)
    array = heat(volume, [lesion])
    assert array[30, 25, 20] == pytest.approx(1)
    assert array[33, 25, 20] == array[30, 25, 17] == pytest.approx(0.5)
    assert array.max() == array[30, 25, 20]


def test_the_same_seed_makes_the_same_scenes(prepared_head: Head) -> None:
    first = patch(prepared_head, np.random.default_rng(4))
    again = patch(prepared_head, np.random.default_rng(4))
    other = patch(prepared_head, np.random.default_rng(5))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_about_half_of_the_heads_have_a_lesion(prepared_head: Head) -> None:
    rng = np.random.default_rng(0)
    for make in (whole, part):
        shown = [make(prepared_head, rng)[1] for _ in range(20)]
        assert 4 <= sum(shown) <= 16


@pytest.fixture(scope="module")
def piece(prepared_head: Head) -> Head:
    """Small, so that a step of training takes no time."""
    where = (slice(16, 40), slice(16, 40), slice(16, 40))
    return head_of("piece", prepared_head.volume[where], prepared_head.brain[where])


@pytest.mark.parametrize(("name", "make"), [(DETECTION, patch), (CLASSIFICATION, part)])
def test_a_few_steps_lower_the_loss(name: str, make: Scene, piece: Head) -> None:
    """Of the same scenes again and again: that the network learns them is what is asked here."""
    scenes = itertools.cycle([next(batches(make, [piece], 4, np.random.default_rng(2)))])
    loss = heat_loss if name == DETECTION else binary_cross_entropy_with_logits
    losses = list(trained(untrained(name, seed=2), scenes, loss, steps=15, rate=1e-2))
    assert losses[-1] < losses[0]


def test_what_is_saved_is_small_and_what_was_trained(tmp_path: Path) -> None:
    network = untrained(DETECTION, seed=1)
    save_weights(network, tmp_path / "weights.safetensors")
    assert (tmp_path / "weights.safetensors").stat().st_size < 500_000
    saved = load_file(tmp_path / "weights.safetensors")
    for name, value in network.state_dict().items():
        assert torch.allclose(saved[name].float(), value.float(), atol=1e-3)


def test_calibration_turns_sureness_into_frequency(piece: Head) -> None:
    """A network that knows nothing is calibrated to the share of heads with lesions."""

    class Knows(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.full((len(images), 1), 3.0)

    slope, intercept = calibration(Knows(), [piece])
    assert 1 / (1 + np.exp(-(3 * slope + intercept))) == pytest.approx(0.5, abs=0.1)


def test_the_calibration_is_written_into_the_description(tmp_path: Path) -> None:
    description = tmp_path / "model.yaml"
    description.write_text("outputs:\n  - task: classification\n    calibration: [1.0, 0.0]\n")
    write_calibration(description, 0.5, -1.25)
    assert description.read_text().endswith("    calibration: [0.500, -1.250]\n")
