"""From a mask to what the report says: segments, findings, volumes."""

import highdicom as hd
import numpy as np
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node.config.package import Package
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Finding, Measurement, Result, Segment

VOLUME = Code(codes.SCT.Volume.value, "SCT", codes.SCT.Volume.meaning)
MILLILITRE = Code("mL", "UCUM", "mL")


def result_from_mask(mask: hd.Volume, package: Package) -> Result:
    """One finding, with its volume, per segment that has a voxel; an empty mask finds nothing."""
    voxels = voxel_counts(mask, package)
    segments = tuple(segment for segment in declared_segments(package) if voxels[segment.number])
    if not segments:
        return Result(outcome=Outcome.NONE, reason=f"{package.title} found nothing.")
    findings = tuple(
        Finding(
            tracking_identifier=f"{segment.label} 1",
            code=segment.type,
            segment_number=segment.number,
            measurements=(
                Measurement(
                    name=VOLUME,
                    value=round(volume_ml(voxels[segment.number], mask), 3),
                    unit=MILLILITRE,
                ),
            ),
        )
        for segment in segments
    )
    return Result(outcome=Outcome.FINDINGS, mask=mask, segments=segments, findings=findings)


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
