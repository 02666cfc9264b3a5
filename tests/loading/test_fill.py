"""Long compressed series are decoded by several processes, into the same values."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import RLELossless

from dicom_ai_node.loading.fill import WORTH_PROCESSES
from tests.dicom_factory import series
from tests.loading.loaded import loaded, refusal

SHAPE = (20, 512, 512)
PIXELS = np.add.outer(np.arange(20), np.add.outer(np.arange(512), 3 * np.arange(512)))


def test_many_frames_are_the_same_values(tmp_path: Path) -> None:
    assert np.prod(SHAPE) > WORTH_PROCESSES
    instances = series(shape=SHAPE, pixels=PIXELS)
    for ds in instances:
        ds.compress(RLELossless)
        ds.pop("RescaleIntercept")
        ds.RescaleIntercept = -1000
    array = loaded(tmp_path, instances).volume.array
    assert array.dtype == np.float32
    assert np.array_equal(array[::-1], PIXELS - 1000)
    array[0] = 0  # a model may write into what it was given


@pytest.mark.fault("D12")
@pytest.mark.parametrize("victim", [6, 7])
def test_one_of_many_that_cannot_be_decoded_is_refused(tmp_path: Path, victim: int) -> None:
    """By this process, or by the copy of it."""
    instances = series(shape=SHAPE, pixels=PIXELS)
    for ds in instances:
        ds.compress(RLELossless)
    content = bytearray(instances[victim].PixelData)
    content[200:-200] = bytes(len(content) - 400)
    instances[victim].PixelData = bytes(content)
    assert refusal(tmp_path, instances).startswith("The pixel data of an image cannot be decoded")
