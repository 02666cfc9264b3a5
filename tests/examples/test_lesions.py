"""Lesions are where they say, as large and as bright, and the same for the same seed."""

import highdicom as hd
import numpy as np
import pytest

from examples.lesions import (
    APART_MM,
    SMALL_MM,
    Lesion,
    deep_places,
    drawn,
    radius_in,
    random_lesions,
)


@pytest.fixture(scope="module")
def oblique() -> hd.Volume:
    """2 × 1 × 1.5 mm, turned about two axes, all 100."""
    direction, _ = np.linalg.qr(np.array([[0.2, 1, 0.1], [1, -0.2, 0], [0, 0.1, 1.0]]))
    affine = np.eye(4)
    affine[:3, :3] = direction * (2.0, 1.0, 1.5)
    affine[:3, 3] = (-40, 15, 60)
    return hd.Volume(np.full((40, 60, 50), 100, np.float32), affine, "PATIENT")


def at(volume: hd.Volume, index: tuple[float, float, float]) -> np.ndarray:
    return np.asarray(volume.affine[:3, :3] @ np.array(index) + volume.affine[:3, 3])


def test_a_lesion_lies_where_it_says_and_is_as_large(oblique: hd.Volume) -> None:
    turned, _ = np.linalg.qr(np.array([[1, 0.5, 0], [-0.5, 1, 0.3], [0.2, 0, 1.0]]))
    lesion = Lesion(
        center=at(oblique, (18.3, 31.6, 22.2)),
        half_axes=turned * np.array([[8.0], [6.0], [5.0]]),
        value=300,
    )
    added = np.asarray(drawn(oblique, [lesion]).array) - 100
    middle = np.tensordot(added, np.indices(added.shape), axes=([0, 1, 2], [1, 2, 3])) / added.sum()
    assert np.linalg.norm(at(oblique, tuple(middle)) - lesion.center) < 0.1
    mm3 = float(np.prod(oblique.spacing))
    ball = 4 / 3 * np.pi * 8 * 6 * 5
    assert (added > 100).sum() * mm3 == pytest.approx(ball, rel=0.05)
    assert lesion.diameter == pytest.approx(2 * (8 * 6 * 5) ** (1 / 3))


def test_its_middle_has_its_value_and_what_is_far_keeps_its_own(oblique: hd.Volume) -> None:
    lesion = Lesion(center=at(oblique, (20, 30, 25)), half_axes=np.eye(3) * 6, value=250)
    array = np.asarray(drawn(oblique, [lesion]).array)
    assert array[20, 30, 25] == pytest.approx(250, abs=0.1)
    away = np.indices(array.shape).reshape(3, -1).T @ oblique.affine[:3, :3].T
    far = np.linalg.norm(away + oblique.affine[:3, 3] - lesion.center, axis=1) > 12
    assert np.abs(array.reshape(-1)[far] - 100).max() < 0.1
    assert np.asarray(oblique.array)[20, 30, 25] == 100


def test_the_surface_is_at_radius_one(oblique: hd.Volume) -> None:
    lesion = Lesion(center=at(oblique, (20, 30, 25)), half_axes=np.diag([4.0, 6, 8]), value=0)
    box, radius = radius_in(oblique, lesion)
    index = np.argwhere(np.ones(radius.shape)) + [axis.start for axis in box]
    away = index @ oblique.affine[:3, :3].T + oblique.affine[:3, 3] - lesion.center
    assert radius.reshape(-1) == pytest.approx(np.linalg.norm(away / (4, 6, 8), axis=1))


def test_a_lesion_at_the_edge_of_the_images_is_cut_off(oblique: hd.Volume) -> None:
    lesion = Lesion(center=at(oblique, (0, 0, 0)), half_axes=np.eye(3) * 6, value=250)
    beyond = Lesion(center=at(oblique, (-90, 0, 0)), half_axes=np.eye(3) * 6, value=250)
    array = np.asarray(drawn(oblique, [lesion, beyond]).array)
    assert array[0, 0, 0] == pytest.approx(250, abs=0.1)
    assert array[-1, -1, -1] == 100


def test_random_lesions_lie_apart_and_well_inside(oblique: hd.Volume) -> None:
    brain = np.zeros(oblique.spatial_shape, bool)
    brain[5:35, 5:55, 5:45] = True
    places = deep_places(oblique, brain)
    assert places.min(0).tolist() == [7, 9, 8]  # 4 mm at 2, 1 and 1.5 mm
    lesions = random_lesions(oblique, places, 80.0, 3, np.random.default_rng(7))
    assert len(lesions) == 3
    for number, lesion in enumerate(lesions):
        edges = 2 * np.linalg.norm(lesion.half_axes, axis=1)
        assert SMALL_MM[0] <= edges.min() <= edges.max() <= SMALL_MM[1] + 1e-9
        assert 80 * 2.2 <= lesion.value <= 80 * 3.2
        for other in lesions[:number]:
            assert np.linalg.norm(lesion.center - other.center) >= APART_MM


def test_the_same_seed_draws_the_same_lesions(oblique: hd.Volume) -> None:
    places = deep_places(oblique, np.ones(oblique.spatial_shape, bool))
    made = [random_lesions(oblique, places, 80.0, 2, np.random.default_rng(3)) for _ in range(2)]
    first, second = (np.asarray(drawn(oblique, lesions).array) for lesions in made)
    assert np.array_equal(first, second)


def test_where_there_is_no_room_there_are_fewer(oblique: hd.Volume) -> None:
    one = np.array([[20, 30, 25]])
    assert len(random_lesions(oblique, one, 80.0, 3, np.random.default_rng(0))) == 1
    assert random_lesions(oblique, one[:0], 80.0, 3, np.random.default_rng(0)) == []
