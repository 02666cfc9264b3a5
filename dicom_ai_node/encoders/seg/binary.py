"""A model's mask as a Segmentation object (PS3.3 A.51): BINARY, on the source's own grid."""

from collections.abc import Sequence

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_ai_node.encoders.finish import finish
from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.marked.segments import PresentSegment
from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.encoders.source.frames import CROSS_SECTIONAL, refer_to_parts, sources_of
from dicom_ai_node.form import Kind
from dicom_ai_node.laterality import LATERALITY_CODES


def encode_seg(part: Marked, header: Dataset, run: Run, number: int) -> Dataset | None:
    """Frames without voxels and segments without frames are left out; each frame names its source.

    `header` is one of the source's as it was read; `number` counts the SEGs of the run from 0.
    None for a slice that does not say where it lies, against the rules of its own object: the
    report alone shows what was marked on it.
    """
    first = part.mask.planes[0]
    if not first.has_place and first.header.get("Modality") in CROSS_SECTIONAL:
        return None
    identity = Identity(run=run, kind=Kind.SEG, number=number)
    what = "segmentation" if number == 0 else f"segmentation {number + 1}"
    sources = sources_of(part.mask)
    seg = hd.seg.Segmentation(
        source_images=sources.headers,
        pixel_array=_numbered(sources.pixels, part.segments),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(segment, run) for segment in part.segments],
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=run.node_version,
        device_serial_number=run.serial_number,
        content_label=run.content_label,
        content_description=run.description(what),
        content_creator_name=None,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=True,
        **identity.attributes,
    )
    if not first.has_place:  # type 2C where no plane says how the patient lies (PS3.3 C.7.6.1)
        seg.PatientOrientation = first.header.get("PatientOrientation")
    identity.derive_dimension_uid(seg)
    refer_to_parts(seg, sources)
    return finish(seg, header, run, run.description(what))


def _numbered(pixels: NDArray[np.uint8], segments: Sequence[PresentSegment]) -> NDArray[np.uint8]:
    """With the numbers that segments have in the SEG: from 1, without gaps."""
    if all(segment.number == segment.segment.number for segment in segments):
        return pixels
    numbers = np.zeros(256, np.uint8)
    for segment in segments:
        numbers[segment.segment.number] = segment.number
    return numbers[pixels]


def _description(present: PresentSegment, run: Run) -> hd.seg.SegmentDescription:
    segment = present.segment
    description = hd.seg.SegmentDescription(
        segment_number=present.number,
        segment_label=segment.label,
        segmented_property_category=segment.category,
        segmented_property_type=segment.type,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=run.package.title,
            family=run.algorithm_family,
            version=run.package.version,
            source=MANUFACTURER,
            parameters=run.parameters,
        ),
        tracking_uid=present.tracking_uid,
        tracking_id=present.tracking_identifier,
        display_color=hd.color.CIELabColor.from_rgb(*segment.color),
    )
    if segment.laterality:
        side = hd.sr.CodedConcept.from_code(LATERALITY_CODES[segment.laterality])
        (of_type,) = description.SegmentedPropertyTypeCodeSequence
        of_type.SegmentedPropertyTypeModifierCodeSequence = [side]
    return description
