"""The Image Library (TID 1600): what the report cites, described as far as its images can be."""

import math
from collections.abc import Sequence

from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import (
    CTImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

from dicom_ai_node.encoders.sr import names
from dicom_ai_node.encoders.sr.items import CONTAINS, HAS_ACQ_CONTEXT, SOURCE, Items
from dicom_ai_node.header import numbers_of, words_of
from dicom_ai_node.units import MILLIMETRE

MAX_IMAGES = 50  # 300 slices make a megabyte
MODALITIES = {
    CTImageStorage: codes.cid29.ComputedTomography,
    MRImageStorage: codes.cid29.MagneticResonance,
    PositronEmissionTomographyImageStorage: codes.cid29.PositronEmissionTomography,
}
PIXELS = Code("{pixels}", "UCUM", "Pixels")
COSINE = Code("{-1:1}", "UCUM", "{-1:1}")
DCM = codes.DCM
SPACING = (DCM.VerticalPixelSpacing, DCM.HorizontalPixelSpacing)
POSITION = (DCM.ImagePositionPatientX, DCM.ImagePositionPatientY, DCM.ImagePositionPatientZ)
ORIENTATION = (
    *(DCM.ImageOrientationPatientRowX, DCM.ImageOrientationPatientRowY),
    *(DCM.ImageOrientationPatientRowZ, DCM.ImageOrientationPatientColumnX),
    *(DCM.ImageOrientationPatientColumnY, DCM.ImageOrientationPatientColumnZ),
)
Described = list[tuple[Code, float, Code]]  # name, value, unit


def image_library(items: Items, cited: Sequence[Dataset]) -> list[Dataset]:
    """None where no image can be described: a report on odd ones must not fail for their oddity."""
    groups: dict[tuple[str, ...], list[Dataset]] = {}
    for source in cited[:MAX_IMAGES]:
        if entry := _entry(items, source):
            shared = (str(source.SOPClassUID), *words_of(source, "FrameOfReferenceUID"))
            groups.setdefault(shared, []).append(entry)
    if not groups:
        return []
    below = [items.container(names.IMAGE_LIBRARY_GROUP, group) for group in groups.values()]
    return [items.container(names.IMAGE_LIBRARY, below)]


def _entry(items: Items, source: Dataset) -> Dataset | None:
    """TID 1601, 1602 and 1604."""
    modality, described = MODALITIES.get(source.SOPClassUID), _described(source)
    if modality is None or described is None:
        return None
    below = [
        items.code(DCM.Modality, modality, HAS_ACQ_CONTEXT),
        *(
            items.uid(DCM.FrameOfReferenceUID, uid, HAS_ACQ_CONTEXT)
            for uid in words_of(source, "FrameOfReferenceUID")
        ),
        *(items.number(name, value, unit, HAS_ACQ_CONTEXT) for name, value, unit in described),
    ]
    return items.image(SOURCE, source, CONTAINS, below)


def _described(source: Dataset) -> Described | None:
    """None where something is missing that TID 1604 wants, or is no number."""
    found: Described = []
    for keyword, concepts, unit in (
        ("Rows", (DCM.PixelDataRows,), PIXELS),
        ("Columns", (DCM.PixelDataColumns,), PIXELS),
        ("PixelSpacing", SPACING, MILLIMETRE),
        ("SliceThickness", (DCM.SliceThickness,), MILLIMETRE),
        ("ImagePositionPatient", POSITION, MILLIMETRE),
        ("ImageOrientationPatient", ORIENTATION, COSINE),
    ):
        numbers = numbers_of(source, keyword)
        if len(numbers) != len(concepts) or not all(map(math.isfinite, numbers)):
            return None
        pairs = list(zip(concepts, numbers, strict=True))
        if keyword == "PixelSpacing":
            pairs.reverse()  # columns first
        found += [(name, int(n) if unit is PIXELS else n, unit) for name, n in pairs]
    between = numbers_of(source, "SpacingBetweenSlices")
    if len(between) == 1 and math.isfinite(between[0]):
        found.append((DCM.SpacingBetweenSlices, between[0], MILLIMETRE))
    return found
