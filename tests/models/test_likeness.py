"""Images that a model does not know are refused, by a distance that its package can explain."""

import json
from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset

from dicom_ai_node.config.manifest import MANIFEST, hashes_of, manifest_bytes
from dicom_ai_node.config.store import read_package
from dicom_ai_node.errors import ModelChanged, ModelError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.likeness import features, statistics_of

MODEL_YAML = """
name: bright
version: "1"
title: Bright voxels
kind: threshold
between: [0.8, 10]
gate: {statistics: stats.json}
segments:
  - {number: 1, label: Bone, category: "SCT:91723000:Anatomical Structure", type: "SCT:272673000:B"}
"""


def ball(seed: int, *, size: int = 24, spacing: float = 4.0, noise: float = 0.05) -> ModelInput:
    """A bright ball of some size in some noise, and a fat layer around it."""
    rng = np.random.default_rng(seed)
    axes = np.indices((size, size, size)) - size / 2
    radius = np.sqrt((axes**2).sum(axis=0)) / size
    array = np.where(radius < rng.uniform(0.25, 0.35), 1.0, 0.2) + 0.3 * (radius > 0.45)
    array = (array + rng.normal(0, noise, array.shape)).astype(np.float32)
    affine = np.diag([spacing * rng.uniform(0.9, 1.1)] * 3 + [1])
    volume = hd.Volume(array * rng.uniform(1, 3), affine, "PATIENT")
    return ModelInput(headers=[Dataset()], volume=volume)


def package(folder: Path, stats: str) -> Path:
    folder = folder / "bright" / "1"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(MODEL_YAML)
    (folder / "stats.json").write_text(stats)
    (folder / MANIFEST).write_bytes(manifest_bytes(hashes_of(folder)))
    return folder


@pytest.fixture(scope="module")
def statistics() -> str:
    return json.dumps(statistics_of(ball(seed) for seed in range(24)))


def test_images_like_those_of_the_sample_pass(tmp_path: Path, statistics: str) -> None:
    model = open_model(read_package(package(tmp_path, statistics)))
    outcomes = [model.predict(ball(seed)).outcome for seed in range(100, 120)]
    assert outcomes.count(Outcome.FINDINGS) == 20


@pytest.mark.fault("D25")
@pytest.mark.parametrize(
    ("other", "word"),
    [
        (lambda: ball(7, spacing=0.5), "spacing|extent"),
        (lambda: ball(7, noise=0.6), "part|median|spread|sharpness"),
        (lambda: ball(7, size=6), "extent|sharpness|spacing"),
        (
            lambda: ModelInput(
                headers=[Dataset()],
                volume=ball(7).needed_volume().with_array(np.ones((24, 24, 24), np.float32)),
            ),
            "part|median|spread|sharpness",
        ),
    ],
    ids=["another scale", "mostly noise", "a few voxels", "a phantom of one value"],
)  # fmt: skip
def test_other_images_are_refused_and_the_oddest_feature_is_named(
    tmp_path: Path, statistics: str, other: Callable[[], ModelInput], word: str
) -> None:
    model = open_model(read_package(package(tmp_path, statistics)))
    result = model.predict(other())
    assert result.outcome is Outcome.NOT_SUITABLE
    assert result.reason is not None
    assert result.reason.startswith("The image is unlike those that bright was made for, ")
    assert any(each in result.reason for each in word.split("|")), result.reason


def test_units_of_intensity_do_not_count() -> None:
    array = ball(3).needed_volume().array
    np.testing.assert_allclose(
        features(array, (1, 1, 1)), features(array * 40 - 1000, (1, 1, 1)), atol=0.02
    )


def test_too_few_images_are_no_statistics() -> None:
    with pytest.raises(ValueError, match="9 images are too few"):
        statistics_of(ball(seed) for seed in range(9))


@pytest.mark.parametrize("stats", ["{}", "[", '{"mean": [1], "covariance": [[0]], "limit": 1}'])
def test_a_file_that_is_no_statistics_says_so(tmp_path: Path, stats: str) -> None:
    with pytest.raises(ModelError, match=r"stats\.json of bright 1 holds no statistics"):
        open_model(read_package(package(tmp_path, stats)))


def test_statistics_that_were_changed_are_not_used(tmp_path: Path, statistics: str) -> None:
    folder = package(tmp_path, statistics)
    (folder / "stats.json").write_text(statistics.replace("limit", "limits"))
    with pytest.raises(ModelChanged):
        open_model(read_package(folder))
