"""The transforms that a package may name: MONAI's, without the random, the reading, the writing."""

from typing import Any

from pydantic import BaseModel, ConfigDict

# Each is a class of monai.transforms; what moves voxels is undone by its own inverse.
PREPROCESS = (
    *("Orientation", "Spacing", "Resize", "ResizeWithPadOrCrop", "Flip", "Rotate90", "Zoom"),
    *("CenterSpatialCrop", "CropForeground", "SpatialPad", "DivisiblePad", "BorderPad"),
    *("ScaleIntensity", "ScaleIntensityRange", "ScaleIntensityRangePercentiles"),
    *("NormalizeIntensity", "ShiftIntensity", "ThresholdIntensity", "ClipIntensityPercentiles"),
    *("HistogramNormalize", "AdjustContrast", "GaussianSmooth", "MedianSmooth", "GaussianSharpen"),
    "RepeatChannel",
)
RESTORE = "Restore"  # ours: back onto the source's grid
POSTPROCESS = (
    *("Activations", "AsDiscrete", "KeepLargestConnectedComponent", "RemoveSmallObjects"),
    *("FillHoles", "LabelFilter", "MedianSmooth", RESTORE),
)


class Step(BaseModel):
    """A transform by name; all other keys are its arguments."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.model_extra or {})
