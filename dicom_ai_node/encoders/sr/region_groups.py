"""Groups of a detection, in the form that OHIF draws: where it is (TID 1410), what it is (1501)."""

from collections.abc import Sequence

import numpy as np
from pydicom import Dataset

from dicom_ai_node.encoders.marked.regions import MEASURABLE, Drawing
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.encoders.sr import names
from dicom_ai_node.encoders.sr.draft import Draft
from dicom_ai_node.encoders.sr.groups import (
    comments,
    group,
    measurements_of,
    named_with_probability,
    source_of_group,
)
from dicom_ai_node.encoders.sr.items import CONTAINS
from dicom_ai_node.result import BoxInPatient, Finding


def region_groups(
    draft: Draft, finding: Finding, drawing: Drawing, tracking_uid: str, earlier: Sequence[str]
) -> list[Dataset]:
    """One tracking UID, and no number in the first: OHIF draws a group with one only where the
    coordinates belong to the number. The comment there is what OHIF calls it."""
    items, tracking = draft.items, (tracking_uid, named_with_probability(finding))
    purpose = names.CENTER if drawing.is_point else names.BOUNDED_BY
    region = items.region(drawing.points, drawing.header, drawing.frame_number)
    drawn = group(
        draft,
        "1410",
        tracking,
        said=finding,
        below=[
            items.code(names.GEOMETRIC_PURPOSE, purpose, CONTAINS),
            region,
            *comments(items, named_with_probability(finding)),
        ],
    )
    in_words = []
    if isinstance(finding.region, BoxInPatient):
        in_words.append(_in_words(finding.region, draft.run))
    said = group(
        draft,
        "1501",
        tracking,
        said=finding,
        measurements=measurements_of(finding),
        below=[
            *source_of_group(items, drawing.header, drawing.frame_number),
            *comments(items, *in_words, *earlier),
        ],
    )
    has_frame = bool(drawing.header.get("FrameOfReferenceUID"))
    if draft.spatial and has_frame and isinstance(finding.region, BoxInPatient):
        return [drawn, said, _in_space(draft, finding, finding.region, drawing, tracking)]
    return [drawn, said]


def _in_space(
    draft: Draft,
    finding: Finding,
    box: BoxInPatient,
    drawing: Drawing,
    tracking: tuple[str, str],
) -> Dataset:
    """A point (TID 1410), or the ellipsoid within a box (TID 1411): boxes have no coordinates of
    their own in PS3.3 C.18.9. A box without a depth is given as its centre."""
    items, header = draft.items, drawing.header
    frame_of_reference = str(header.FrameOfReferenceUID)
    axes = np.asarray(box.half_axes, float)
    if np.linalg.norm(axes, axis=1).min() < MEASURABLE:
        below = [
            items.code(names.GEOMETRIC_PURPOSE, names.CENTER, CONTAINS),
            items.in_space(names.REGION_IN_SPACE, "POINT", box.center, frame_of_reference),
        ]
        return group(draft, "1410", tracking, said=finding, below=below)
    ends = np.stack([box.center + sign * axis for axis in axes for sign in (-1, 1)])
    below = [
        items.in_space(names.VOLUME_SURFACE, "ELLIPSOID", ends, frame_of_reference),
        items.uid(names.SOURCE_SERIES, str(header.SeriesInstanceUID), CONTAINS),
    ]
    return group(draft, "1411", tracking, said=finding, below=below)


def _in_words(box: BoxInPatient, run: Run) -> str:
    """The extent in space, which one slice does not show.

    Not as coordinates: of a report that holds any in space (SCOORD3D), OHIF draws nothing.
    """
    x, y, z = (f"{value:.1f}" for value in box.center)
    edges = 2 * np.linalg.norm(box.half_axes, axis=1)
    if not edges.any():
        return run.say("Point in the patient (LPS, mm): {x}, {y}, {z}.", x=x, y=y, z=z)
    size = " x ".join(f"{edge:.1f}" for edge in edges)
    sentence = "Box in the patient (LPS, mm): centre {x}, {y}, {z}; edges {size}."
    return run.say(sentence, x=x, y=y, z=z, size=size)
