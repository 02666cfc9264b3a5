"""How large a thing is that is marked: the same numbers wherever they are said."""

from collections.abc import Sequence

from pydicom.sr.codedict import codes

from dicom_ai_node.encoders.marked.marked import Place
from dicom_ai_node.image_spacing import spacing_in_image
from dicom_ai_node.result import Measurement
from dicom_ai_node.units import MILLILITRE, SQUARE_MILLIMETRE

VOLUME = codes.SCT.Volume
AREA = codes.SCT.Area


def size_of(place: Place) -> list[Measurement]:
    """The volume of a segment; of one on a single image its area, where pixels have a size."""
    voxels = place.segment.voxels
    if not place.marked.of_images:
        millilitres = int(voxels.sum()) * place.marked.mask.voxel_mm3 / 1000
        return [Measurement(name=VOLUME, value=millilitres, unit=MILLILITRE)]
    spacing = spacing_in_image(place.plane.header)
    return [area(int(voxels[place.index]), spacing)] if spacing else []


def area(pixels: int, spacing: Sequence[float]) -> Measurement:
    """`spacing` of rows and columns, mm."""
    row_mm, column_mm = spacing
    return Measurement(name=AREA, value=pixels * row_mm * column_mm, unit=SQUARE_MILLIMETRE)
