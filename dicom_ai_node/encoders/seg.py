"""A model's mask as a Segmentation object (PS3.3 A.51): BINARY, on the source's own grid."""

from collections.abc import Sequence

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_ai_node.encoders.finish import finish
from dicom_ai_node.encoders.planes import source_mask
from dicom_ai_node.encoders.run import MANUFACTURER, SERIES_NUMBERS, Run
from dicom_ai_node.encoders.segments import PresentSegment, present_segments
from dicom_ai_node.encoders.source import in_order, stand_in
from dicom_ai_node.encoders.sources import refer_to_parts, sources_of
from dicom_ai_node.result import Result


def encode_seg(result: Result, headers: Sequence[Dataset], run: Run) -> Dataset | None:
    """None where no segment has a voxel: highdicom would write every frame of an empty mask.

    Frames without voxels and segments without frames are left out; each frame names its source.
    """
    ordered = in_order(headers)
    mask = source_mask(result, [stand_in(header) for header in ordered])
    segments = present_segments(result, mask, run.ids)
    if not segments or mask is None:
        return None
    sources = sources_of(mask)
    seg = hd.seg.Segmentation(
        source_images=sources.headers,
        pixel_array=_numbered(sources.pixels, segments),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(segment, run) for segment in segments],
        series_instance_uid=run.ids.uid("seg", "series"),
        series_number=SERIES_NUMBERS["seg"],
        sop_instance_uid=run.ids.uid("seg", "instance"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=run.node_version,
        device_serial_number=run.serial_number,
        content_label=run.content_label,
        content_description=run.description("segmentation"),
        content_creator_name=None,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=True,
    )
    _derive_dimension_uid(seg, run)
    refer_to_parts(seg, sources)
    return finish(seg, ordered[0], run, run.description("segmentation"))


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
    return hd.seg.SegmentDescription(
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


def _derive_dimension_uid(seg: Dataset, run: Run) -> None:
    """highdicom draws it by lot, and a retry is to make the same bytes."""
    uid = run.ids.uid("seg", "dimensions")
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
