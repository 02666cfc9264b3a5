"""`brain-mr`: the brain in a head MR, in two steps: where it is, then its outline.

Method and weights: deepbet (Fisch et al., Comput Biol Med 2024, arXiv 2308.07003; MIT licence,
Medical Machine Learning Lab, University of Münster). The steps and numbers below are those with
which the networks were trained; changing one changes every volume measured.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from scipy import ndimage

from dicom_ai_node.config.kinds import BuiltInPackage
from dicom_ai_node.errors import ModelError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.models.built_in.linknet import LinkNet3d
from dicom_ai_node.models.findings import result_from_mask
from dicom_ai_node.result import Result

Array = np.ndarray[Any, np.dtype[Any]]
Box = tuple[slice, ...]

CANONICAL = "RAH"  # indices grow towards right, anterior and head: nibabel's RAS
WHOLE_SHAPE = (128, 128, 128)
CROP_SHAPE = (256, 256, 256)
PERCENTILES = (0.5, 99.5)
BOX_THRESHOLD = 0.02  # of the mean projection of the coarse mask
BOX_MARGIN = 0.1  # of the box's size, on each side
NO_BRAIN = "No brain was found in these images."


class BrainMr:
    """Both networks, loaded once; `weights` is a safetensors file with `box.…` and `brain.…`."""

    def __init__(self, package: BuiltInPackage, weights: bytes, device: torch.device) -> None:
        if len(package.segments) != 1:
            raise ModelError(f"{package.name} finds one segment: declare one in model.yaml")
        try:
            tensors = load_safetensors(weights)
        except SafetensorError as error:
            raise ModelError(f"the weights of {package.name} cannot be read: {error}") from error
        self._package = package
        self._device = device
        self._box_network = _network(tensors, "box.", device)
        self._brain_network = _network(tensors, "brain.", device)

    def predict(self, data: ModelInput) -> Result:
        volume = data.needed_volume()
        head = volume.to_patient_orientation(CANONICAL)
        brain = self._find(head.array)
        if brain is None:
            return Result.not_suitable(NO_BRAIN)
        box, inside = brain
        mask = np.zeros(head.spatial_shape, np.uint8)
        mask[box] = inside.view(np.uint8) * np.uint8(self._package.segments[0].number)
        return result_from_mask(head.with_array(mask).match_geometry(volume), self._package)

    def _find(self, head: Array) -> tuple[Box, Array] | None:
        """A box of the head (RAS order), and the brain in it; None where there is nothing."""
        whole = np.nan_to_num(sample(head, WHOLE_SHAPE), copy=False)
        low, high = (float(value) for value in np.percentile(whole, PERCENTILES))
        if not low < high:
            return None
        coarse = largest_component(self._foreground(self._box_network, whole, low, high))
        box = brain_box(coarse, head.shape)
        if box is None:
            return None
        crop = head[box]
        detail = np.nan_to_num(sample(crop, CROP_SHAPE), copy=False)
        inside = sample(self._foreground(self._brain_network, detail, low, high), crop.shape)
        brain = fill_holes(largest_component(inside))
        return (box, brain) if brain.any() else None

    def _foreground(self, network: LinkNet3d, values: Array, low: float, high: float) -> Array:
        """Where the network sees its object; `low` and `high` are those of the whole volume.

        `values` are overwritten.
        """
        with torch.inference_mode():
            x = torch.from_numpy(values).to(self._device)
            x = x.sub_(low).div_(high - low).clamp_(0, 1)
            # 0.226 and 0.449: one channel's mean spread and mean of ImageNet, as in training
            x = x.sub_(x.mean()).div_(x.std()).mul_(0.226).add_(0.449)
            inside: Array = network.foreground(x[None, None])[0].cpu().numpy()
            return inside


def sample(values: Array, shape: Sequence[int]) -> Array:
    """Nearest neighbours on a grid of `shape`: torch's `nearest-exact`, index for index.

    Only what is needed is copied, whatever the strides; torch would copy the whole volume first.
    """
    indices = [
        np.minimum(
            # in float32, as torch computes it: ties must fall on the same voxel
            ((np.arange(new, dtype=np.float32) + np.float32(0.5)) * np.float32(old / new)),
            old - 1,
        ).astype(np.intp)
        for old, new in zip(values.shape, shape, strict=True)
    ]
    sampled: Array = values[np.ix_(*indices)]
    return sampled


def brain_box(coarse: Array, shape: Sequence[int]) -> Box | None:
    """The box of a coarse mask, scaled to `shape` and widened; None where nothing is left of it."""
    box = []
    for axis, size in enumerate(shape):
        others = tuple(other for other in range(3) if other != axis)
        (found,) = np.nonzero(coarse.mean(axis=others, dtype=np.float32) > BOX_THRESHOLD)
        if not found.size:
            return None
        first, last = int(found[0]), int(found[-1]) + 1
        scale = size / coarse.shape[axis]
        center = np.round(scale * (first + last) / 2)
        extent = np.round(scale * (last - first) * (1 + 2 * BOX_MARGIN))
        start, stop = max(0, int(center - extent / 2)), min(size, int(center + extent / 2))
        if start >= stop:
            return None
        box.append(slice(start, stop))
    return tuple(box)


def largest_component(mask: Array) -> Array:
    """Voxels that touch by a face, an edge or a corner are connected."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3), bool))
    if count <= 1:
        return mask
    sizes = np.bincount(labels.reshape(-1))
    sizes[0] = 0
    largest: Array = labels == sizes.argmax()
    return largest


def fill_holes(mask: Array) -> Array:
    """Background that does not reach the border, face by face, becomes part of the mask.

    scipy's `binary_fill_holes` dilates once per voxel of depth; labelling once is far faster.
    """
    labels, count = ndimage.label(~mask)
    outside = np.zeros(count + 1, bool)
    for axis in range(mask.ndim):
        for border in (0, -1):
            outside[np.unique(labels.take(border, axis=axis))] = True
    outside[0] = False  # label 0 is the mask itself
    filled: Array = ~outside[labels]
    return filled


def _network(tensors: dict[str, torch.Tensor], prefix: str, device: torch.device) -> LinkNet3d:
    """Stored as float16, which loses nothing of these weights; computed in float32."""
    state = {
        name.removeprefix(prefix): tensor.float()
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    network = LinkNet3d()
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"the weights under {prefix} are not those of this network: install the model again"
        ) from error
    return network.to(device).eval().requires_grad_(requires_grad=False)
