"""How large a pixel of a single image is, as far as its header says."""

from pydicom import Dataset

from dicom_ai_node.header import numbers_of


def spacing_in_image(header: Dataset) -> tuple[float, float] | None:
    """(row, column) in mm: in the patient where it is known; else at the detector, less the
    magnification.

    Many a plate reader says nothing, or 0 (PS3.3 10.7.1.3).
    """
    calibrated = numbers_of(header, "PixelSpacing")
    at_detector = numbers_of(header, "ImagerPixelSpacing")
    (factor,) = numbers_of(header, "EstimatedRadiographicMagnificationFactor") or (1.0,)
    for values, divisor in ((calibrated, 1.0), (at_detector, factor)):
        if len(values) == 2 and all(0 < value < 1e3 for value in (*values, divisor)):
            return values[0] / divisor, values[1] / divisor
    return None
