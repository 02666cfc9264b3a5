"""An output that is a segmentation: post-processed, and brought back onto the source's grid."""

from collections.abc import Sequence

import highdicom as hd
import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from numpy.typing import NDArray
from torch import Tensor

from dicom_ai_node.config.network import NetworkPackage
from dicom_ai_node.config.outputs import SegmentationOutput
from dicom_ai_node.config.steps import RESTORE, Step
from dicom_ai_node.errors import ModelError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.models.findings import findings_of_images, findings_of_masks, present
from dicom_ai_node.models.layers import layers
from dicom_ai_node.models.network.part import Part
from dicom_ai_node.models.network.prepare import Prepared
from dicom_ai_node.models.network.steps import applied, transforms_of
from dicom_ai_node.result import ImageMask

Labels = NDArray[np.uint8]


def segmentation(
    raw: Tensor,
    output: SegmentationOutput,
    grid: Prepared,
    data: ModelInput,
    package: NetworkPackage,
) -> Part:
    """`raw` is (channels, *spatial) on the prepared grid."""
    values = postprocessed(raw, output.postprocess, grid)
    found = _layers(values, output, package)
    if grid.image is not None:
        masks = [ImageMask(sop_instance_uid=grid.image.sop_instance_uid, array=a) for a in found]
        return Part(
            image_masks=tuple(masks),
            segments=present(package, found),
            findings=findings_of_images(masks, [grid.image], package),
        )
    volumes: list[hd.Volume] = [data.needed_volume().with_array(array) for array in found]
    return Part(
        masks=tuple(volumes),
        segments=present(package, found),
        findings=findings_of_masks(volumes, package),
    )


def postprocessed(raw: Tensor, steps: Sequence[Step], grid: Prepared) -> NDArray[np.float32]:
    """After all steps, on the source's grid; where `Restore` is not among them, it is the last.

    Labels (whole numbers in one channel) are restored to the nearest, all else linearly, unless
    the step says `mode: nearest` or `bilinear`.
    """
    names = [step.name for step in steps]
    at = names.index(RESTORE) if RESTORE in names else len(steps)
    before, after = steps[:at], steps[at + 1 :]
    values: Tensor = raw
    for transform in transforms_of(before):
        values = _tensor(applied(transform, MetaTensor(values)))
    mode = steps[at].arguments.get("mode") if at < len(steps) else None
    nearest = mode == "nearest" if mode else _holds_labels(values)
    restored = grid.restored(values, nearest=nearest)
    for transform in transforms_of(after):
        restored = _tensor(applied(transform, MetaTensor(torch.from_numpy(restored)))).numpy()
    if after and (unseen := grid.unseen()) is not None:
        restored[:, unseen] = 0  # as before the steps: to a sigmoid, 0 is 50 %
    return restored


def _layers(
    values: NDArray[np.float32], output: SegmentationOutput, package: NetworkPackage
) -> list[Labels]:
    """uint8 segment numbers: one label map, or a layer for each group that does not overlap."""
    if not output.overlapping:
        if len(values) != 1:
            raise ModelError(
                f"{package.name} gave {len(values)} channels where one label map was due: "
                "postprocess with AsDiscrete, or set overlapping"
            )
        return [_label_map(values[0], package)]
    if len(values) != len(package.segments):
        raise ModelError(
            f"{package.name} gave {len(values)} channels for {len(package.segments)} segments"
        )
    numbers = (entry.number for entry in package.segments)
    return layers(zip(numbers, (channel > 0.5 for channel in values), strict=True))


def _label_map(values: NDArray[np.float32], package: NetworkPackage) -> Labels:
    numbers = values.round()
    if numbers.min() < 0 or numbers.max() > 255:
        raise ModelError(
            f"{package.name} gave a label map of numbers from {numbers.min():g} to "
            f"{numbers.max():g}, where 0 to 255 were due: postprocess with AsDiscrete"
        )
    return numbers.astype(np.uint8)


def _holds_labels(values: Tensor) -> bool:
    return not values.is_floating_point() or bool((values == values.round()).all())


def _tensor(values: Tensor) -> Tensor:
    return values.as_tensor() if isinstance(values, MetaTensor) else values
