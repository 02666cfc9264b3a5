"""A model without a network: voxels within a range of values."""

import numpy as np

from dicom_ai_node.config.package import ThresholdPackage
from dicom_ai_node.input import ModelInput
from dicom_ai_node.models.findings import result_from_mask
from dicom_ai_node.result import Result


class Threshold:
    """Its one segment is where the value (modality units) lies within `between`, ends included."""

    def __init__(self, package: ThresholdPackage) -> None:
        self._package = package

    def predict(self, data: ModelInput) -> Result:
        low, high = self._package.between
        volume = data.needed_volume()
        inside = volume.array >= low
        inside &= volume.array <= high
        mask = inside.view(np.uint8)
        mask *= np.uint8(self._package.segments[0].number)
        return result_from_mask(volume.with_array(mask), self._package)
