"""From masks to what the report says: segments, findings, volumes and areas."""

from collections.abc import Sequence

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node.config.package import Package, SegmentEntry
from dicom_ai_node.input import ProjectionImage
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Finding, ImageMask, Measurement, Result, Segment

VOLUME = Code(codes.SCT.Volume.value, "SCT", codes.SCT.Volume.meaning)
AREA = Code(codes.SCT.Area.value, "SCT", codes.SCT.Area.meaning)
MILLILITRE = Code("mL", "UCUM", "mL")
SQUARE_CENTIMETRE = Code("cm2", "UCUM", "cm2")


def result_from_mask(mask: hd.Volume, package: Package) -> Result:
    """One finding, with its volume, per segment that has a voxel; an empty mask finds nothing."""
    findings = findings_of_masks([mask], package)
    if not findings:
        return Result(outcome=Outcome.NONE, reason=f"{package.title} found nothing.")
    return Result(
        outcome=Outcome.FINDINGS,
        masks=(mask,),
        segments=present(package, [mask.array]),
        findings=findings,
    )


def findings_of_masks(masks: Sequence[hd.Volume], package: Package) -> tuple[Finding, ...]:
    """One for each segment that has a voxel, with its volume in mL."""
    found = []
    for entry in package.segments:
        voxels = sum(voxel_counts(mask, package)[entry.number] for mask in masks)
        if voxels:
            value = round(volume_ml(voxels, masks[0]), 3)
            found.append(_finding(entry, Measurement(name=VOLUME, value=value, unit=MILLILITRE)))
    return tuple(found)


def findings_of_images(
    masks: Sequence[ImageMask], images: Sequence[ProjectionImage], package: Package
) -> tuple[Finding, ...]:
    """One for each segment of each image, with its area in cm² where the pixels have a size."""
    spacings = {image.sop_instance_uid: image.pixel_spacing for image in images}
    found = []
    for mask in masks:
        spacing = spacings[mask.sop_instance_uid]
        for entry in package.segments:
            pixels = int(np.count_nonzero(mask.array == entry.number))
            if pixels:
                area = () if spacing is None else (_area(pixels, spacing),)
                found.append(_finding(entry, *area, image=mask.sop_instance_uid))
    return tuple(found)


def present(package: Package, arrays: Sequence[NDArray[np.uint8]]) -> tuple[Segment, ...]:
    """The declared segments of which a mask holds a voxel."""
    return tuple(
        segment
        for segment in declared_segments(package)
        if any((slab == segment.number).any() for array in arrays for slab in array)
    )


def declared_segments(package: Package) -> tuple[Segment, ...]:
    return tuple(
        Segment(
            number=entry.number,
            label=entry.label,
            category=entry.category,
            type=entry.type,
            color=entry.color,
        )
        for entry in package.segments
    )


def voxel_counts(mask: hd.Volume, package: Package) -> dict[int, int]:
    """{declared segment number: voxels}; slab by slab, for a whole-mask copy may be gigabytes."""
    return {
        entry.number: sum(int(np.count_nonzero(slab == entry.number)) for slab in mask.array)
        for entry in package.segments
    }


def volume_ml(voxels: int, geometry: hd.Volume) -> float:
    return float(voxels * geometry.voxel_volume / 1000)  # mm³ to mL


def _finding(entry: SegmentEntry, *measurements: Measurement, image: str | None = None) -> Finding:
    return Finding(
        tracking_identifier=f"{entry.label} 1",
        code=entry.type,
        segment_number=entry.number,
        image=image,
        measurements=measurements,
    )


def _area(pixels: int, spacing: tuple[float, float]) -> Measurement:
    value = round(pixels * spacing[0] * spacing[1] / 100, 2)  # mm² to cm²
    return Measurement(name=AREA, value=value, unit=SQUARE_CENTIMETRE)
