"""A model without a network: voxels within a range of values."""

import highdicom as hd
import numpy as np
from numpy.typing import NDArray

from dicom_ai_node.config.kinds import ThresholdPackage
from dicom_ai_node.input import ModelInput
from dicom_ai_node.models.findings import result_from_mask
from dicom_ai_node.result import Result


class Threshold:
    """Its one segment is where each input (modality units) lies within its range, ends included."""

    def __init__(self, package: ThresholdPackage) -> None:
        self._package = package

    def predict(self, data: ModelInput) -> Result:
        primary, *others = self._package.inputs
        ranges = self._package.between
        volume = data.needed_volume()
        inside = _within(volume, ranges[primary])
        for name in others:
            if name in data.others:  # an optional input may be missing
                inside &= _within(data.others[name], ranges[name])
        mask = inside.view(np.uint8)
        mask *= np.uint8(self._package.segments[0].number)
        return result_from_mask(volume.with_array(mask), self._package)


def _within(volume: hd.Volume, between: tuple[float, float]) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = volume.array >= between[0]
    inside &= volume.array <= between[1]
    return inside
