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
from dicom_ai_node.result import Finding, ImageMask, Measurement, Result, Segment, rounded
from dicom_ai_node.units import MILLILITRE, SQUARE_CENTIMETRE

VOLUME = Code(codes.SCT.Volume.value, "SCT", codes.SCT.Volume.meaning)
AREA = Code(codes.SCT.Area.value, "SCT", codes.SCT.Area.meaning)
ANATOMICAL = ("123037004", "91723000")  # SCT: Anatomical Structure, as it was and as it is coded


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
    counts = voxel_counts(*(mask.array for mask in masks))
    found = []
    for entry in package.segments:
        if voxels := int(counts[entry.number]):
            value = rounded(volume_ml(voxels, masks[0]))
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
        counts = voxel_counts(mask.array)
        for entry in package.segments:
            if pixels := int(counts[entry.number]):
                size = () if spacing is None else (area(pixels, spacing),)
                found.append(_finding(entry, *size, image=mask.sop_instance_uid))
    return tuple(found)


def present(package: Package, arrays: Sequence[NDArray[np.uint8]]) -> tuple[Segment, ...]:
    """The declared segments of which a mask holds a voxel."""
    counts = voxel_counts(*arrays)
    return tuple(segment for segment in declared_segments(package) if counts[segment.number])


def declared_segments(package: Package) -> tuple[Segment, ...]:
    return tuple(
        Segment(
            number=entry.number,
            label=entry.label,
            category=entry.category,
            type=entry.type,
            color=entry.color,
            laterality=entry.laterality,
        )
        for entry in package.segments
    )


def voxel_counts(*arrays: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Of each of the 256 numbers in all of them, the background's 0 included; slab by slab, since
    bincount makes eight bytes of each voxel."""
    counts = np.zeros(256, np.int64)
    for array in arrays:
        for slab in array:
            counts += np.bincount(slab.ravel(), minlength=256)
    return counts


def volume_ml(voxels: int, geometry: hd.Volume) -> float:
    return float(voxels * geometry.voxel_volume / 1000)  # mm³ to mL


def _finding(entry: SegmentEntry, *measurements: Measurement, image: str | None = None) -> Finding:
    return Finding(
        tracking_identifier=f"{entry.label} 1",
        code=entry.type,
        segment_number=entry.number,
        image=image,
        site=site_of(entry),
        laterality=entry.laterality,
        measurements=measurements,
    )


def site_of(entry: SegmentEntry) -> Code | None:
    """The structure itself where it has a side, for a side is that of a site; of what is no
    anatomy nobody knows its site, and the side stands with the segment alone."""
    is_anatomy = entry.category.value in ANATOMICAL
    return entry.type if entry.laterality and is_anatomy else None


def area(pixels: int, spacing: tuple[float, float]) -> Measurement:
    """In cm²; `spacing` in mm."""
    value = rounded(pixels * spacing[0] * spacing[1] / 100)  # mm² to cm²
    return Measurement(name=AREA, value=value, unit=SQUARE_CENTIMETRE)
