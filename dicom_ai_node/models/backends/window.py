"""The one shape that a network will be given, where the package fixes it."""

import math

from dicom_ai_node.config.network import NetworkPackage, Slices, SlidingWindow

# of the steps that change the shape, those that say what it is afterwards
_FIXES = ("Resize", "ResizeWithPadOrCrop")
_CHANGES = (
    *("Orientation", "Spacing", "Rotate90", "Zoom", "CenterSpatialCrop", "CropForeground"),
    *("SpatialPad", "DivisiblePad", "BorderPad", *_FIXES),
)


def window_shape(package: NetworkPackage) -> tuple[int, ...] | None:
    """(1, channels, *spatial) of one window, slice or whole input; None if it differs by study."""
    size = _spatial(package)
    return None if size is None else (1, _channels(package), *size)


def _spatial(package: NetworkPackage) -> tuple[int, ...] | None:
    how = package.inference
    if isinstance(how, SlidingWindow):
        return how.roi_size if min(how.roi_size) > 0 else None  # 0 is MONAI's word for the input's
    changes = [step for step in package.preprocess if step.name in _CHANGES]
    if not changes or changes[-1].name not in _FIXES:
        return None
    size = changes[-1].arguments.get("spatial_size")
    if changes[-1].arguments.get("size_mode", "all") != "all" or not isinstance(size, list | tuple):
        return None
    if isinstance(how, Slices):
        size = [each for axis, each in enumerate(size) if axis != how.axis]
    fixed = all(isinstance(each, int) and each > 0 for each in size)
    return tuple(size) if fixed else None


def _channels(package: NetworkPackage) -> int:
    steps = (step for step in package.preprocess if step.name == "RepeatChannel")
    repeats = math.prod(int(step.arguments.get("repeats", 1)) for step in steps)
    return repeats * (1 if package.input == "images" else len(package.inputs))
