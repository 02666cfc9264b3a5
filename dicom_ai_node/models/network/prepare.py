"""An input on its way to the network's grid, and answers on their way back to the source's."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, cast

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.croppad.array import CropForeground
from monai.transforms.inverse import InvertibleTransform
from monai.transforms.spatial.array import Spacing
from monai.transforms.utils import convert_applied_interp_mode
from numpy.typing import NDArray

from dicom_ai_node.errors import InputError, ModelError
from dicom_ai_node.input import ModelInput, ProjectionImage
from dicom_ai_node.models.network.resample import back_by_axes
from dicom_ai_node.models.network.steps import Transform, applied

RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # nibabel's and MONAI's axes, and DICOM's


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What the network gets: `tensor` is float32, (channels, *spatial), without a batch.

    `source_shape` and `source_affine` are of the source's grid: its affine maps voxel indices to
    the patient (LPS, mm), or for a single image, pixel indices (row, column) to themselves.
    """

    tensor: torch.Tensor
    affine: NDArray[np.float64]  # of the prepared grid, to the same coordinates as source_affine
    source_shape: tuple[int, ...]
    source_affine: NDArray[np.float64]
    image: ProjectionImage | None  # the one image, where the input is not a volume
    _transforms: Sequence[Transform]
    _applied: Sequence[dict[str, Any]]
    _ras_affine: torch.Tensor

    def restored(self, values: torch.Tensor, *, nearest: bool) -> NDArray[np.float32]:
        """(channels, *spatial) on the network's grid to the same on the source's, exactly: by the
        inverse of each transform that moved voxels (0 where the network saw nothing).

        Interpolated linearly, or with `nearest` for labels. Raises ModelError for another shape.
        """
        if tuple(values.shape[1:]) != tuple(self.tensor.shape[1:]):
            raise ModelError(
                f"the network's answer has the shape {tuple(values.shape[1:])}, "
                f"and its input {tuple(self.tensor.shape[1:])}"
            )
        back = MetaTensor(
            values.to("cpu", torch.float32),
            affine=self._ras_affine,
            applied_operations=[_interpolated(each, nearest=nearest) for each in self._applied],
        )
        for transform in reversed(self._transforms):
            if isinstance(transform, InvertibleTransform):
                faster = back_by_axes(back)
                back = transform.inverse(back) if faster is None else faster
        if tuple(back.shape[1:]) != self.source_shape:
            raise ModelError("the answer cannot be brought back onto the grid of the images")
        array: NDArray[np.float32] = back.as_tensor().numpy()
        return array

    def unseen(self) -> NDArray[np.bool_] | None:
        """Where on the source's grid the network saw nothing; None where it saw everything."""
        shape = np.array(self.tensor.shape[1:])
        to_prepared = np.linalg.inv(self.affine) @ self.source_affine
        corners = np.array(list(product(*((0, size - 1) for size in self.source_shape))))
        at = corners @ to_prepared[:-1, :-1].T + to_prepared[:-1, -1]
        if (at >= -0.51).all() and (at <= shape - 0.49).all():  # half a voxel, and rounding
            return None
        seen = self.restored(torch.ones_like(self.tensor[:1]), nearest=True)[0]
        return np.asarray(seen == 0)


def prepared(data: ModelInput, names: Sequence[str], transforms: Sequence[Transform]) -> Prepared:
    """The inputs of `names`, each transformed by itself, as channels of one tensor.

    A further input that is optional and not there is zero everywhere.
    """
    volume = data.needed_volume()
    others = [data.others.get(name) for name in names[1:]]
    there = [volume, *(other for other in others if other is not None)]
    first, *further = _transformed([each.array for each in there], volume.affine, transforms)
    channels = [
        torch.zeros_like(_plain(first)) if other is None else _plain(further.pop(0))
        for other in others
    ]
    return Prepared(
        tensor=_float(torch.cat([_plain(first), *channels]) if channels else _plain(first)),
        affine=RAS_LPS @ np.asarray(first.affine, np.float64),
        source_shape=tuple(volume.spatial_shape),
        source_affine=np.asarray(volume.affine, np.float64),
        image=None,
        _transforms=transforms,
        _applied=first.applied_operations,
        _ras_affine=first.affine,
    )


def prepared_image(image: ProjectionImage, transforms: Sequence[Transform]) -> Prepared:
    """One image by itself: (1, rows, columns), on a grid of its own pixel indices.

    InputError where a step wants mm, and the pixels have no known size.
    """
    if image.pixel_spacing is None and any(isinstance(each, Spacing) for each in transforms):
        raise InputError("The image does not say how large its pixels are, and this model asks.")
    to_mm = np.diag([*(image.pixel_spacing or (1.0, 1.0)), 1.0])
    (first,) = _transformed([image.array], to_mm, transforms, to_ras=np.eye(3))
    return Prepared(
        tensor=_float(_plain(first)),
        affine=np.linalg.inv(to_mm) @ np.asarray(first.affine, np.float64),
        source_shape=tuple(image.array.shape),
        source_affine=np.eye(3),
        image=image,
        _transforms=transforms,
        _applied=first.applied_operations,
        _ras_affine=first.affine,
    )


def _transformed(
    arrays: Sequence[NDArray[Any]],
    affine: NDArray[Any],
    transforms: Sequence[Transform],
    to_ras: NDArray[np.float64] = RAS_LPS,
) -> list[MetaTensor]:
    """Each by itself, but all cropped to the foreground of the first: they stay on one grid.

    InputError where that has no foreground.
    """
    tensors = [
        MetaTensor(
            torch.from_numpy(np.ascontiguousarray(array))[None],
            affine=to_ras @ affine,
            meta={"original_channel_dim": "no_channel"},
        )
        for array in arrays
    ]
    for transform in transforms:
        if isinstance(transform, CropForeground):
            start, end = transform.compute_bounding_box(tensors[0])
            if (end <= start).any():
                raise InputError("The images show nothing: none of their values is above 0.")
            tensors = [_meta(transform.crop_pad(each, start, end)) for each in tensors]
        else:
            tensors = [applied(transform, each) for each in tensors]
    return tensors


def _meta(tensor: torch.Tensor) -> MetaTensor:
    return cast("MetaTensor", tensor)


def _interpolated(applied: dict[str, Any], *, nearest: bool) -> dict[str, Any]:
    """What a transform remembers, with the interpolation for its way back.

    torch's "nearest" is half a voxel off where sizes change (Resize, Zoom): "nearest-exact" is not.
    """
    by_size = applied.get("class") in ("Resize", "Zoom")
    mode = ("nearest-exact" if by_size else "nearest") if nearest else "bilinear"
    changed: dict[str, Any] = convert_applied_interp_mode(applied, mode=mode, align_corners=None)
    return changed


def _plain(tensor: MetaTensor) -> torch.Tensor:
    plain: torch.Tensor = tensor.as_tensor()
    return plain


def _float(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.float32).contiguous()
