"""Disturbances of an input, and how far an answer moves under them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dicom_ai_node.input import ModelInput
from dicom_ai_node.models.answering.comparison import Labels, dice_of, labels_of
from dicom_ai_node.result import Result

Pixels = NDArray[np.float32]
SEED = 20260101  # the same noise each time, so that two versions of a model can be compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """`on` one volume or image; `shift` in voxels along each axis, by which masks are put back."""

    name: str
    on: Callable[[Pixels], Pixels]
    shift: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One number of the answer, before and after, in words for people."""

    what: str
    before: str
    after: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stressed:
    disturbance: str
    outcome: str  # after it; with the reason, where there is no answer
    moved: tuple[Moved, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def disturbances() -> Iterator[Disturbance]:
    """Parts of the range are parts of what lies between the 1st and the 99th percentile."""
    for percent in (1, 2, 5):
        yield Disturbance(name=f"noise {percent} % of the range", on=_noise(percent / 100))
    for voxels in (1, 2):
        yield Disturbance(
            name=f"shift by {voxels} voxel{'s' * (voxels > 1)}",
            on=lambda pixels, by=voxels: shifted(pixels, by),  # type: ignore[misc]
            shift=voxels,
        )
    for percent in (-10, 10):
        yield Disturbance(
            name=f"gain {percent:+d} %",
            on=lambda pixels, by=percent: pixels * np.float32(1 + by / 100),  # type: ignore[misc]
        )
    yield Disturbance(
        name="offset 5 % of the range",
        on=lambda pixels: pixels + np.float32(0.05 * range_of(pixels)),
    )
    yield Disturbance(
        name="blur, sigma 1 voxel", on=lambda pixels: ndimage.gaussian_filter(pixels, 1.0)
    )


def disturbed(data: ModelInput, disturbance: Disturbance) -> ModelInput:
    """All pixels of an input; headers and geometry stay."""

    def volume(given: Any) -> Any:
        return given.with_array(disturbance.on(given.array))

    return replace(
        data,
        volume=None if data.volume is None else volume(data.volume),
        images=tuple(replace(each, array=disturbance.on(each.array)) for each in data.images),
        others={name: volume(each) for name, each in data.others.items()},
    )


def moved(before: Result, after: Result, *, shift: int = 0) -> tuple[Moved, ...]:
    """Each measurement, probability and segment of either."""
    first, second = _numbers(before), _numbers(after)
    lines = [_moved(what, first.get(what), second.get(what)) for what in {**first, **second}]
    dice = _dice(labels_of(before), labels_of(after), shift)
    lines += [
        Moved(what=f"segment {number}: Dice", before="1", after=f"{value:.4f}",
              change=f"{value - 1:+.4f}")
        for number, value in dice.items()
    ]  # fmt: skip
    return tuple(lines)


def shifted(pixels: NDArray[Any], by: int) -> Any:
    """Along every axis; what came from outside is what lay at the edge."""
    return ndimage.shift(pixels, by, order=0, mode="nearest")


def range_of(pixels: Pixels) -> float:
    low, high = np.percentile(pixels, (1, 99))
    return float(high - low) or float(np.ptp(pixels))


def _noise(part: float) -> Callable[[Pixels], Pixels]:
    def on(pixels: Pixels) -> Pixels:
        dice = np.random.default_rng(SEED)
        noise = dice.standard_normal(pixels.shape, np.float32)
        return pixels + np.float32(part * range_of(pixels)) * noise

    return on


def _numbers(result: Result) -> Mapping[str, float]:
    found: dict[str, float] = {"findings": len(result.findings)}
    for number, finding in enumerate(result.findings):
        name = finding.tracking_identifier
        if any(f.tracking_identifier == name for f in result.findings[:number]):
            name = f"{name} ({number + 1})"
        for each in finding.measurements:
            found[f"{name}: {each.name.meaning}"] = each.value
        if finding.probability is not None:
            found[f"{name}: probability"] = finding.probability
    for assessment in result.assessments:
        if assessment.probability is not None:
            found[f"{assessment.code.meaning}: probability"] = assessment.probability
    return found


def _moved(what: str, before: float | None, after: float | None) -> Moved:
    if before is None or after is None:
        change = "new" if before is None else "gone"
    elif what.endswith("probability") or before == 0 or what == "findings":
        change = f"{after - before:+.4g}"
    else:
        change = f"{100 * (after - before) / abs(before):+.2f} %"
    return Moved(
        what=what,
        before="" if before is None else f"{before:.6g}",
        after="" if after is None else f"{after:.6g}",
        change=change,
    )


def _dice(before: Labels | None, after: Labels | None, shift: int) -> dict[int, float]:
    if before is None and after is None:
        return {}
    one = np.zeros_like(after) if before is None else before
    other = np.zeros_like(one) if after is None else after
    if shift:  # put back where it was; what left the image at the far edge is lost
        other = np.stack([shifted(layer, -shift) for layer in other])
    return dice_of(one, other)
