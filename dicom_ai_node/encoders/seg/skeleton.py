"""A Segmentation (PS3.3 A.51) without its frames: all that highdicom knows better than we do.

It makes the object of one pixel an image, where its time does not grow with the mask.
"""

from dataclasses import replace

import highdicom as hd
import numpy as np
from highdicom.seg import SegmentationTypeValues
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_ai_node.encoders.finish import finish
from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.marked.segments import PresentSegment
from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.encoders.source.frames import copy_of, refer_to_parts, sources_of

OCCUPANCY = hd.seg.SegmentationFractionalTypeValues.OCCUPANCY


def skeleton(
    part: Marked,
    header: Dataset,
    identity: Identity,
    kind: SegmentationTypeValues,
    *,
    keep_empty_frames: bool,
) -> Dataset:
    """Finished but for NumberOfFrames, the groups of each frame, and PixelData.

    Its frames are templates: one for each image that has voxels (for each, where empty ones are
    kept), in the order of their place, as if the first segment had voxels on all of them.
    """
    run, first = identity.run, part.mask.planes[0]
    what = "segmentation" if identity.number == 0 else f"segmentation {identity.number + 1}"
    wanted = np.sum([segment.voxels for segment in part.segments], axis=0) > 0
    tiny = np.asarray(wanted | keep_empty_frames, np.uint8).reshape(-1, 1, 1)
    sources = sources_of(replace(part.mask, array=tiny))
    descriptions = [_description(segment, run) for segment in part.segments]
    # a second one makes highdicom say of each frame which segment it is of, and a third no more
    is_labelmap = kind is SegmentationTypeValues.LABELMAP
    made = hd.seg.Segmentation(
        source_images=[_of_one_pixel(source) for source in sources.headers],
        pixel_array=sources.pixels,
        segmentation_type=kind,
        segment_descriptions=descriptions if is_labelmap else descriptions[:2],
        fractional_type=OCCUPANCY,
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
    seg = copy_of(made)
    if not is_labelmap:
        seg.SegmentSequence = descriptions
    seg.Rows, seg.Columns = part.mask.array.shape[1:]
    if not first.has_place:  # type 2C where no plane says how the patient lies (PS3.3 C.7.6.1)
        seg.PatientOrientation = first.header.get("PatientOrientation")
    identity.derive_dimension_uid(seg)
    refer_to_parts(seg, sources)
    return finish(seg, header, run, run.description(what))


def _of_one_pixel(header: Dataset) -> Dataset:
    ds = copy_of(header)
    ds.Rows = ds.Columns = 1
    return ds


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
