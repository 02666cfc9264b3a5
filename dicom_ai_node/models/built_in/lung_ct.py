"""`lung-ct`: both lungs in a chest CT, by their air; no network and no weights.

Where the lungs are is decided on a coarse grid (`lung_ct_anatomy`); their outline is drawn there at
the resolution of the images, slice by slice, so that little memory is needed beside the mask.
"""

from collections.abc import Iterator
from typing import Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from scipy import ndimage

from dicom_ai_node.config.kinds import BuiltInPackage
from dicom_ai_node.errors import ModelError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.built_in.lung_ct_anatomy import AIR, LEFT, RIGHT, Anatomy, Coarse, anatomy
from dicom_ai_node.models.findings import VOLUME, declared_segments, site_of, volume_ml
from dicom_ai_node.result import Finding, Measurement, Result
from dicom_ai_node.units import HOUNSFIELD, MILLILITRE, PERCENT

Array = NDArray[Any]

ORDER = "HPL"  # indices grow towards head, posterior and left
COARSE_MM = 2.5
VESSEL_MM = 5.0  # half the width of a gap in the lung that counts as a vessel in it
LEAST_SHARE = 0.1  # of the body in the slice that has most lung; bowel fills less
EMPHYSEMA = -950.0  # HU; the share of lung below is the emphysema index (LAA-950)

NO_LUNGS = "No lungs were found in these images."
CUT = "The scan begins below the tops of the lungs, so their volumes cannot be measured."

MEAN_HU = codes.DCM.MeanAttenuationCoefficient
LAA_950 = Code("LAA-950", "99DICOMAINODE", "Low attenuation area below -950 HU")


class LungCt:
    """Its segments are the left lung and the right one, in this order."""

    def __init__(self, package: BuiltInPackage) -> None:
        if len(package.segments) != 2:
            raise ModelError(
                f"{package.name} finds two segments, the left lung and the right one: "
                "declare both in model.yaml"
            )
        self._package = package

    def predict(self, data: ModelInput) -> Result:
        volume = data.needed_volume()
        chest = volume.to_patient_orientation(ORDER)
        factors = coarse_factors(chest.spacing)
        coarse = Coarse(
            values=reduced(chest.array, factors),
            spacing=tuple(s * f for s, f in zip(chest.spacing, factors, strict=True)),
        )
        found = anatomy(coarse)
        if found.share_of_body < LEAST_SHARE:
            return Result.not_suitable(NO_LUNGS)
        if found.cut_at_the_top:
            return Result.not_suitable(CUT)
        mask = outline(chest.array, found, coarse.spacing, factors)
        findings = self._findings(mask, chest)
        self._number(mask)
        there = {finding.segment_number for finding in findings}
        return Result(
            outcome=Outcome.FINDINGS,
            masks=(chest.with_array(mask).match_geometry(volume),),
            segments=tuple(s for s in declared_segments(self._package) if s.number in there),
            findings=findings,
        )

    def _findings(self, mask: NDArray[np.uint8], chest: hd.Volume) -> tuple[Finding, ...]:
        found = []
        for side, entry in zip((LEFT, RIGHT), self._package.segments, strict=True):
            voxels, total, dark = _sums(chest.array, mask, side)
            if voxels:
                measured = (
                    (VOLUME, round(volume_ml(voxels, chest), 3), MILLILITRE),
                    (MEAN_HU, round(total / voxels, 1), HOUNSFIELD),
                    (LAA_950, round(100 * dark / voxels, 2), PERCENT),
                )
                found.append(
                    Finding(
                        tracking_identifier=f"{entry.label} 1",
                        code=entry.type,
                        segment_number=entry.number,
                        site=site_of(entry),
                        laterality=entry.laterality,
                        measurements=tuple(
                            Measurement(name=name, value=value, unit=unit)
                            for name, value, unit in measured
                        ),
                    )
                )
        return tuple(found)

    def _number(self, mask: NDArray[np.uint8]) -> None:
        """From sides to the numbers that model.yaml gives its segments."""
        numbers = np.array([0, *(entry.number for entry in self._package.segments)], np.uint8)
        for z, plane in enumerate(mask):
            mask[z] = numbers[plane]


def coarse_factors(spacing: tuple[float, ...]) -> tuple[int, int, int]:
    """How many voxels become one, along each axis."""
    z, y, x = (max(1, round(COARSE_MM / each)) for each in spacing)
    return z, y, x


def reduced(values: Array, factors: tuple[int, int, int]) -> Array:
    """Means of blocks, which also take the noise away; what fills no block at an end is left."""
    depth, height, width = (n // f for n, f in zip(values.shape, factors, strict=True))
    deep, high, wide = factors
    coarse = np.empty((depth, height, width), np.float32)
    for z in range(depth):
        slab = values[z * deep : (z + 1) * deep, : height * high, : width * wide]
        blocks = slab.reshape(deep, height, high, width, wide)
        coarse[z] = blocks.mean(axis=(0, 2, 4), dtype=np.float32)
    return np.nan_to_num(coarse, copy=False, nan=AIR * 2)


def outline(
    values: Array, found: Anatomy, spacing: tuple[float, ...], factors: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """LEFT and RIGHT at full resolution: aerated voxels in or beside a coarse voxel of the lung,
    and the vessels between them."""
    mask = np.zeros(values.shape, np.uint8)
    rows, columns = (
        np.minimum(np.arange(n) // f, m - 1)
        for n, f, m in zip(values.shape[1:], factors[1:], found.sides.shape[1:], strict=True)
    )
    deep, last = factors[0], len(found.sides) - 1
    for coarse_z, (near, within) in enumerate(_planes(found, spacing)):
        if not near.any():
            continue
        end = len(values) if coarse_z == last else (coarse_z + 1) * deep
        near_fine, within_fine = (plane[np.ix_(rows, columns)] for plane in (near, within))
        for z in range(coarse_z * deep, end):
            mask[z] = np.where(values[z] < AIR, near_fine, within_fine)
    return mask


def _planes(
    found: Anatomy, spacing: tuple[float, ...]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """For each coarse slice: where aerated voxels belong to a lung, and where all voxels do."""
    disc = _disc(VESSEL_MM, spacing)
    cross = ndimage.generate_binary_structure(2, 1)
    for sides, airways in zip(found.sides, found.airways, strict=True):
        grown = ndimage.maximum_filter(sides, 3)
        near = np.where(airways, 0, np.where(sides > 0, sides, grown)).astype(np.uint8)
        within = np.zeros_like(sides)
        for side in (LEFT, RIGHT):
            padded = np.pad(sides == side, max(disc.shape))  # a closing must not end at the edge
            closed = ndimage.binary_closing(padded, disc)
            inner = ndimage.binary_erosion(ndimage.binary_fill_holes(closed), cross)
            border = max(disc.shape)
            within[inner[border:-border, border:-border] & (within == 0)] = side
        yield near, within


def _disc(radius: float, spacing: tuple[float, ...]) -> NDArray[np.bool_]:
    high, wide = (max(1, round(radius / each)) for each in spacing[1:])
    y, x = np.ogrid[-high : high + 1, -wide : wide + 1]
    disc: NDArray[np.bool_] = (y / high) ** 2 + (x / wide) ** 2 <= 1
    return disc


def _sums(values: Array, mask: NDArray[np.uint8], side: int) -> tuple[int, float, int]:
    """Voxels of one lung, the sum of their HU, and how many are below -950 HU."""
    voxels, total, dark = 0, 0.0, 0
    for plane, inside in zip(values, mask, strict=True):
        hounsfield = plane[inside == side]
        voxels += hounsfield.size
        total += float(hounsfield.sum(dtype=np.float64))
        dark += int(np.count_nonzero(hounsfield < EMPHYSEMA))
    return voxels, total, dark
