"""A CT of nobody, for `threshold-ct`: a bright box in the dark, whose volume is known."""

import numpy as np
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from dicom_ai_node.config.expected import Expected, ExpectedMeasurement
from dicom_ai_node.file_meta import file_meta_of
from dicom_ai_node.job import Outcome
from dicom_ai_node.uids import derived_uid

MODEL = "threshold-ct"
_SHAPE = (16, 48, 40)  # slices, rows, columns
_SPACING = (5.0, 1.5, 2.0)  # mm
_BOX = (slice(3, 9), slice(10, 30), slice(8, 24))  # towards the patient's right, front, feet
_BRIGHT, _DARK = 1000, -900  # HU
_FINDING, _NAME = "Bone 1", "Volume"


def phantom() -> tuple[list[Dataset], Expected]:
    pixels = np.full(_SHAPE, _DARK, "<i2")
    pixels[_BOX] = _BRIGHT
    voxels = int(np.count_nonzero(pixels == _BRIGHT))
    volume_ml = voxels * float(np.prod(_SPACING)) / 1000
    measured = ExpectedMeasurement(
        finding=_FINDING, name=_NAME, value=volume_ml, tolerance=0.01 * volume_ml
    )
    images = [_slice(pixels[index], index) for index in range(len(pixels))]
    return images, Expected(outcome=Outcome.FINDINGS, findings=1, measurements=(measured,))


def _slice(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.int16]]", index: int) -> Dataset:
    ds = _header()
    ds.SOPInstanceUID = derived_uid("probe phantom", "instance", index)
    ds.file_meta = file_meta_of(ds)
    ds.InstanceNumber = index + 1
    ds.ImagePositionPatient = [-40.0, -36.0, -40.0 + index * _SPACING[0]]
    ds.Rows, ds.Columns = pixels.shape
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def _header() -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = CTImageStorage
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Modality, ds.Manufacturer = "CT", "dicom_ai_node"
    ds.SeriesDescription = "Phantom of known volume"
    ds.BodyPartExamined, ds.PatientPosition = "CHEST", "HFS"
    ds.StudyInstanceUID = derived_uid("probe phantom", "study")
    ds.SeriesInstanceUID = derived_uid("probe phantom", "series")
    ds.FrameOfReferenceUID = derived_uid("probe phantom", "frame of reference")
    ds.PositionReferenceIndicator = None
    ds.StudyID, ds.SeriesNumber, ds.AcquisitionNumber = "1", 1, 1
    for keyword in ("AccessionNumber", "ReferringPhysicianName", "PatientBirthDate", "PatientSex"):
        setattr(ds, keyword, None)
    ds.KVP = "120"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "HU"
    ds.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    ds.PixelSpacing = list(_SPACING[1:])
    ds.SliceThickness = ds.SpacingBetweenSlices = _SPACING[0]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    return ds
