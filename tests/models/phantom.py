"""Small inputs and packages, written out."""

from typing import Any

import highdicom as hd
import numpy as np
from pydicom import Dataset

from dicom_ai_node.config.kinds import ThresholdPackage
from dicom_ai_node.input import ModelInput

SPACING = (2.0, 3.0, 5.0)  # mm; 30 mm³ a voxel


def volume(array: np.ndarray) -> hd.Volume:
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = (-10, 20, 30)
    return hd.Volume(array, affine, "PATIENT", frame_of_reference_uid="1.2.3")


def model_input(array: np.ndarray | None = None, **header: str) -> ModelInput:
    """By default 100 voxels of 500 HU, which is 3 mL, in air."""
    if array is None:
        array = np.full((20, 10, 10), -1000, np.float32)
        array[3, :, :] = 500
    ds = Dataset()
    for keyword, value in ({"Modality": "CT"} | header).items():
        setattr(ds, keyword, value)
    return ModelInput(headers=[ds, ds], volume=volume(np.asarray(array, np.float32)))


def package(**changes: Any) -> ThresholdPackage:
    segment = {"number": 3, "label": "Bone", "category": "SCT:91723000:Anatomical Structure",
               "type": "SCT:272673000:Bone", "color": (1, 2, 3)}  # fmt: skip
    fields: dict[str, Any] = {
        "name": "bright", "version": "1", "title": "Bright voxels", "kind": "threshold",
        "between": (300, 3000), "segments": (segment,),
    }  # fmt: skip
    return ThresholdPackage.model_validate(fields | changes)
