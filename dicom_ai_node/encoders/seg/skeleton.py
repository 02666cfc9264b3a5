"""A Segmentation (PS3.3 A.51) without its frames: what highdicom makes of one pixel of one image.

It takes its time for each frame and for each image, and knows all else better than we do.
"""

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
from dicom_ai_node.encoders.seg.places import set_volume
from dicom_ai_node.encoders.seg.references import refer_to_all
from dicom_ai_node.encoders.source.frames import copy_of, image_of_one_pixel
from dicom_ai_node.laterality import LATERALITY_CODES

OCCUPANCY = hd.seg.SegmentationFractionalTypeValues.OCCUPANCY


def skeleton(
    part: Marked, header: Dataset, identity: Identity, kind: SegmentationTypeValues, *, whole: bool
) -> Dataset:
    """Finished but for NumberOfFrames, the groups of each frame, and PixelData.

    It has the groups of one frame, of the first segment on the first image. `header` is one of
    the source's as it was read; `whole` if it gets frames without voxels, too.
    """
    run, mask = identity.run, part.mask
    what = run.say("segmentation")
    what = what if identity.number == 0 else f"{what} {identity.number + 1}"
    descriptions = [_description(segment, run) for segment in part.segments]
    # a second one makes highdicom say of each frame which segment it is of, and a third no more
    is_labelmap = kind is SegmentationTypeValues.LABELMAP
    made = hd.seg.Segmentation(
        source_images=[image_of_one_pixel(mask)],
        pixel_array=np.ones((1, 1, 1), np.uint8),  # which highdicom may change
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
        **identity.attributes,
    )
    seg = copy_of(made)
    if not is_labelmap:
        seg.SegmentSequence = descriptions
    seg.Rows, seg.Columns = mask.array.shape[1:]
    if mask.planes[0].has_place:
        set_volume(seg, part, whole=whole)
    else:  # type 2C where no plane says how the patient lies (PS3.3 C.7.6.1)
        seg.PatientOrientation = mask.planes[0].header.get("PatientOrientation")
    refer_to_all(seg, [plane.header for plane in mask.planes])
    identity.derive_dimension_uid(seg)
    return finish(seg, header, run, run.description(what))


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
