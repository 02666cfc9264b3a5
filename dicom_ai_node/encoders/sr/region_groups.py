"""Groups of a detection, in the form that OHIF draws: where it is (TID 1410), what it is (1501)."""

import numpy as np
from highdicom import sr
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node.encoders.marked.regions import Drawing
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.encoders.sr.groups import (
    Group,
    algorithm,
    as_items,
    comments,
    measurements_of,
    named_with_probability,
    sites_of,
    sources_of_group,
)
from dicom_ai_node.result import BoxInPatient, Finding

BOUNDED_BY = Code("75958009", "SCT", "Bounded by")


def region_groups(finding: Finding, drawing: Drawing, tracking_uid: str, run: Run) -> list[Group]:
    """One tracking UID, and no number in the first: OHIF draws a group with one only where the
    coordinates belong to the number."""
    tracking = sr.TrackingIdentifier(tracking_uid, named_with_probability(finding))
    drawn = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking,
        referenced_region=_image_region(drawing),
        geometric_purpose=codes.DCM.Center if drawing.is_point else BOUNDED_BY,
        finding_type=finding.code,
        finding_sites=sites_of(finding),
        algorithm_id=algorithm(run),
    )
    drawn[0].ContentSequence.extend(comments(named_with_probability(finding)))  # OHIF's label
    said = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking,
        finding_type=finding.code,
        finding_sites=sites_of(finding),
        algorithm_id=algorithm(run),
        source_images=sources_of_group(drawing.header, drawing.frame_number),
        measurements=as_items(measurements_of(finding)),
    )
    if isinstance(finding.region, BoxInPatient):
        said[0].ContentSequence.extend(comments(_in_words(finding.region)))
    return [drawn, said]


def _image_region(drawing: Drawing) -> sr.ImageRegion:
    kind = sr.GraphicTypeValues.POINT if drawing.is_point else sr.GraphicTypeValues.POLYLINE
    return sr.ImageRegion(
        graphic_type=kind,
        graphic_data=drawing.points,
        source_image=sr.SourceImageForRegion(
            drawing.header.SOPClassUID,
            drawing.header.SOPInstanceUID,
            None if drawing.frame_number is None else [drawing.frame_number],
        ),
    )


def _in_words(box: BoxInPatient) -> str:
    """The extent in space, which one slice does not show.

    Not as coordinates: of a report that holds any in space (SCOORD3D), OHIF draws nothing.
    """
    x, y, z = (f"{value:.1f}" for value in box.center)
    edges = 2 * np.linalg.norm(box.half_axes, axis=1)
    if not edges.any():
        return f"Point in the patient (LPS, mm): {x}, {y}, {z}."
    size = " x ".join(f"{edge:.1f}" for edge in edges)
    return f"Box in the patient (LPS, mm): centre {x}, {y}, {z}; edges {size}."
