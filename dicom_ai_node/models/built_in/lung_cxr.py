"""`lung-cxr`: both lungs in a frontal chest radiograph.

Weights: cheXwhatsApp 0.1.5 (MIT licence, Sahil Lathiya). The steps before the network are those
with which it was trained; sides, clean-up and areas are this node's.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydicom.sr.coding import Code
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from scipy import ndimage
from torch.nn import functional

from dicom_ai_node.config.kinds import BuiltInPackage
from dicom_ai_node.errors import ModelError
from dicom_ai_node.input import ModelInput, ProjectionImage
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.built_in.radiograph import NotFrontal, header_of, left_is_right
from dicom_ai_node.models.built_in.vgg_unet import VggUNet
from dicom_ai_node.models.findings import area, present, site_of
from dicom_ai_node.result import Finding, ImageMask, Measurement, Result
from dicom_ai_node.units import PERCENT

SHAPE = (512, 512)
PERCENTILES = (0.5, 99.5)
LEAST_SHARE = 0.05  # of all that was found; smaller pieces are none of a lung
LEFT, RIGHT = 1, 2
NO_LUNGS = "No lungs were found in this image."
SHARE = Code("AREA-SHARE", "99DICOMAINODE", "Part of the image area")

Mask = NDArray[np.bool_]
Sides = NDArray[np.uint8]


class LungCxr:
    """The network, loaded once. Its segments are the left lung and the right one, in this order."""

    def __init__(self, package: BuiltInPackage, weights: bytes, device: torch.device) -> None:
        if len(package.segments) != 2 or package.input != "images":
            raise ModelError(
                f"{package.name} finds two segments in images, the left lung and the right one: "
                "declare both in model.yaml, and input: images"
            )
        self._package = package
        self._device = device
        self._network = _network(weights, package.name, device)

    def predict(self, data: ModelInput) -> Result:
        masks, findings, refused = [], [], []
        for image in data.images:
            try:
                usual = left_is_right(header_of(data.headers, image.sop_instance_uid))
                sides = sides_of(self._foreground(image.array), left_is_right=usual)
            except NotFrontal as error:
                refused.append(str(error))
                continue
            if not sides.any():
                refused.append(NO_LUNGS)
                continue
            findings += self._findings(sides, image)
            numbers = np.array([0, *(each.number for each in self._package.segments)], np.uint8)
            uid = image.sop_instance_uid
            masks.append(ImageMask(sop_instance_uid=uid, array=numbers[sides]))
        if not masks:
            return Result.not_suitable(refused[0] if refused else NO_LUNGS)
        some = f"{len(refused)} of {len(data.images)} images were not measured: {' '.join(refused)}"
        return Result(
            outcome=Outcome.PARTLY if refused else Outcome.FINDINGS,
            reason=some if refused else None,
            image_masks=tuple(masks),
            segments=present(self._package, [mask.array for mask in masks]),
            findings=tuple(findings),
        )

    def _foreground(self, array: NDArray[np.float32]) -> Mask:
        """Where the network sees lung, at the image's own resolution."""
        low, high = (float(value) for value in np.nanpercentile(array, PERCENTILES))
        if not low < high:
            return np.zeros(array.shape, bool)
        with torch.inference_mode():
            x = torch.from_numpy(np.nan_to_num(array)).to(self._device)[None, None]
            x = x.sub_(low).div_(high - low).clamp_(0, 1)
            x = functional.interpolate(x, SHAPE, mode="bilinear", antialias=True)
            logits = self._network(x.sub_(0.5))
            difference = logits[:, 1:] - logits[:, :1]
            if not torch.isfinite(difference).all():
                raise ModelError(f"{self._package.name} computed something that is not a number.")
            back = functional.interpolate(difference, array.shape, mode="bilinear")
            inside: Mask = (back[0, 0] > 0).cpu().numpy()
            return inside

    def _findings(self, sides: Sides, image: ProjectionImage) -> list[Finding]:
        found = []
        for side, entry in zip((LEFT, RIGHT), self._package.segments, strict=True):
            pixels = int(np.count_nonzero(sides == side))
            if pixels:
                found.append(
                    Finding(
                        tracking_identifier=f"{entry.label} 1",
                        code=entry.type,
                        segment_number=entry.number,
                        site=site_of(entry),
                        laterality=entry.laterality,
                        image=image.sop_instance_uid,
                        measurements=(_size(pixels, image),),
                    )
                )
        return found


def sides_of(inside: Mask, *, left_is_right: bool) -> Sides:
    """LEFT and RIGHT of the patient, without small pieces and holes.

    `left_is_right`: the patient's left is on the image's right side.
    """
    labels, count = ndimage.label(inside)
    sizes = np.bincount(labels.reshape(-1), minlength=count + 1)
    sizes[0] = 0
    kept = np.nonzero(sizes >= max(1.0, LEAST_SHARE * sizes.sum()))[0]
    clean = ndimage.binary_fill_holes(np.isin(labels, kept))
    pieces, number = ndimage.label(clean)
    cut = _cut(pieces, number)
    sides = np.zeros(inside.shape, np.uint8)
    first, second = (RIGHT, LEFT) if left_is_right else (LEFT, RIGHT)
    for piece, columns in enumerate(ndimage.find_objects(pieces), start=1):
        here = pieces[columns] == piece
        at = columns[1].start + np.nonzero(here)[1]
        touching = number == 1 and 0.15 < float((at < cut).mean()) < 0.85
        sides[columns][here] = np.where((at if touching else at.mean()) < cut, first, second)
    return sides


def _cut(pieces: NDArray[np.int32], number: int) -> float:
    """The column between the lungs: half way between the two largest pieces, or where one piece
    is thinnest in its middle third; the middle of the image for one lung alone."""
    middle: float = pieces.shape[1] / 2
    if number == 0:
        return middle
    sizes = np.bincount(pieces.reshape(-1))[1:]
    if number > 1:
        largest = np.argsort(sizes)[:-3:-1] + 1
        centers = [float(np.nonzero(pieces == each)[1].mean()) for each in largest]
        return (centers[0] + centers[1]) / 2
    columns = np.nonzero(pieces.any(axis=0))[0]
    first, last = int(columns[0]), int(columns[-1])
    if last - first < middle:  # narrower than half the image
        return middle
    third = (last - first) // 3
    heights = np.count_nonzero(pieces[:, first + third : last - third + 1], axis=0)
    return float(first + third + int(heights.argmin()))


def _size(pixels: int, image: ProjectionImage) -> Measurement:
    """The area in cm² where pixels have a size; else the part of the image, in %."""
    if image.pixel_spacing is None:
        share = 100 * pixels / image.array.size
        return Measurement(name=SHARE, value=round(share, 2), unit=PERCENT)
    return area(pixels, image.pixel_spacing)


def _network(weights: bytes, name: str, device: torch.device) -> VggUNet:
    """Stored as float16, which changes no mask; computed in float32."""
    network = VggUNet()
    try:
        tensors: dict[str, Any] = load_safetensors(weights)
        network.load_state_dict({key: tensor.float() for key, tensor in tensors.items()})
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(
            f"the weights of {name} are not those of this network: install the model again"
        ) from error
    return network.to(device).eval().requires_grad_(requires_grad=False)
