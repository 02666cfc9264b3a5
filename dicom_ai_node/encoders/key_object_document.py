"""A Key Object Selection Document (PS3.3 A.35.4, TID 2010): a title over objects of one study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from highdicom import ko, sr
from pydicom import Dataset
from pydicom.sr.coding import Code

from dicom_ai_node.encoders.modules import TYPE_2
from dicom_ai_node.encoders.run import MANUFACTURER


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyObject:
    """`is_image`: it has rows and columns, as a Segmentation has and a report has not.

    `frame_numbers` (from 1) are those meant of a multi-frame image; none: all.
    """

    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    is_image: bool
    frame_numbers: tuple[int, ...] = ()


def key_object_document(
    title: Code,
    objects: Sequence[KeyObject],
    text: str,
    *,
    study_instance_uid: str,
    observer: sr.ObserverContext,
    attributes: Mapping[str, Any],
) -> Dataset:
    """`title` is of CID 7010; one object at least. It is yet to be completed by finish().

    `attributes` are those of an Identity. A document over several studies would have to lie in
    each of them, identical (PS3.3 C.17.6.2.1): there is one for each study instead.
    """
    referenced = [_referenced(each, study_instance_uid) for each in objects]
    content = ko.KeyObjectSelection(
        document_title=title,
        referenced_objects=referenced,
        observer_device_context=observer,
        description=text,
    )
    ds: Dataset = ko.KeyObjectSelectionDocument(
        evidence=referenced, content=content, manufacturer=MANUFACTURER, **attributes
    )
    by_uid = {each.sop_instance_uid: each for each in objects}
    for item in ds.ContentSequence:
        if "ReferencedSOPSequence" in item:
            del item.ConceptNameCodeSequence  # highdicom's, which TID 2010 does not have
            (reference,) = item.ReferencedSOPSequence
            if frames := by_uid[reference.ReferencedSOPInstanceUID].frame_numbers:
                reference.ReferencedFrameNumber = [*frames]
    return ds


def _referenced(each: KeyObject, study_instance_uid: str) -> Dataset:
    """As much of its header as highdicom looks at, and nothing of a person."""
    ds = Dataset()
    for keyword in TYPE_2:
        setattr(ds, keyword, None)
    ds.StudyInstanceUID = study_instance_uid
    ds.SeriesInstanceUID = each.series_instance_uid
    ds.SOPClassUID = each.sop_class_uid
    ds.SOPInstanceUID = each.sop_instance_uid
    if each.is_image:
        ds.Rows = ds.Columns = 1
    return ds
