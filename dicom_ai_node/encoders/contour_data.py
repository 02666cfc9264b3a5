"""One contour of a structure set: points in the patient, as bytes that are written as they are."""

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.charset import default_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from dicom_ai_node.encoders.source.headers import item_within
from dicom_ai_node.encoders.source.planes import SourcePlane

MAX_POINTS = 1900  # of three numbers of at most 11 characters: 64 KB is all that a DS can hold
CONTOUR_DATA = BaseTag(tag_for_keyword("ContourData") or 0)


def patient_points(
    corners: NDArray[np.int64], plane: SourcePlane, spacing: tuple[float, float]
) -> NDArray[np.float64]:
    """LPS, mm, of (column, row) from the outer corner of the first pixel; `spacing` is that of rows
    and columns. Image Position (Patient) is the centre of that pixel (PS3.3 C.7.6.2.1.1)."""
    along = (corners - 0.5) * spacing[::-1]
    return np.asarray(plane.position + along @ plane.rows_and_columns)


def contour_data(points: NDArray[np.float64]) -> Dataset:
    """pydicom takes seconds for the numbers of a whole chest, and none for bytes."""
    numbers = ("%.4f\\" * points.size % tuple(points.ravel().tolist()))[:-1].encode()
    padded = numbers + b" " * (len(numbers) % 2)
    contour = item_within(default_encoding)
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = len(points)
    contour[CONTOUR_DATA] = RawDataElement(
        CONTOUR_DATA, "DS", len(padded), padded, 0, is_implicit_VR=False, is_little_endian=True
    )
    return contour
