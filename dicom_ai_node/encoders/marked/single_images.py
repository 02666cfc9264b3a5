"""Masks of single images, put together as far as one object can hold them."""

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.encoders.source.planes import OnSource, SourceMask, SourcePlane, planes_of
from dicom_ai_node.errors import ModelError
from dicom_ai_node.image_spacing import spacing_in_image
from dicom_ai_node.result import Result

NOWHERE = np.full(3, np.nan)


def image_masks(result: Result, headers: Sequence[Dataset]) -> list[SourceMask]:
    """One for each object that is to be made: images of one grid that say where they lie share one.

    An image without a place (a radiograph) has one to itself: frames that differ in their source
    alone would share their dimension index (PS3.3 C.7.6.17). So would two masks of one place, of
    one image or of two: the second lies in another object. Empty masks are left aside.
    """
    sheets: dict[Hashable, list[tuple[SourcePlane, NDArray[np.uint8]]]] = {}
    by_uid = {str(header.SOPInstanceUID): header for header in headers}
    layers: Counter[Hashable] = Counter()
    for mask in sorted(result.image_masks, key=lambda mask: mask.sop_instance_uid):
        uid = mask.sop_instance_uid
        header = by_uid.get(uid)
        if header is None or mask.array.shape != (header.Rows, header.Columns):
            raise ModelError("A mask does not fit an image that was analysed.")
        if mask.array.any():
            plane, grid = _place(header)
            place = (grid, tuple(plane.position.round(3))) if plane.has_place else uid
            sheets.setdefault((layers[place], grid), []).append((plane, mask.array))
            layers[place] += 1
    return [_sheet(sheet) for sheet in sheets.values()]


def _place(header: Dataset) -> tuple[SourcePlane, Hashable]:
    """The image's plane, and what it has in common with those that it can share an object with."""
    planes = planes_of(header) if header.get("FrameOfReferenceUID") else []
    spacing = spacing_in_image(header)
    if not planes or "PixelSpacing" not in header or spacing is None:
        nowhere = SourcePlane(
            header=header,
            frame_number=None,
            position=NOWHERE,
            rows_and_columns=np.full((2, 3), np.nan),
        )
        return nowhere, str(header.SOPInstanceUID)
    (plane,) = planes
    frame = str(header.FrameOfReferenceUID)
    shape = (int(header.Rows), int(header.Columns))
    return plane, (frame, shape, spacing, tuple(plane.rows_and_columns.ravel()))


def _sheet(sheet: Sequence[tuple[SourcePlane, NDArray[np.uint8]]]) -> SourceMask:
    planes = [plane for plane, _ in sheet]
    row_mm, column_mm = spacing_in_image(planes[0].header) or (1.0, 1.0)
    return OnSource(
        planes=planes,
        array=np.stack([array for _, array in sheet]),
        spacing=(1.0, row_mm, column_mm),
    )
