"""DICOM series made to order: phantoms with a known place for everything (LPS, mm)."""

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
)

from dicom_ai_node.uids import derived_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SOP_CLASS = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "CR": ComputedRadiographyImageStorage,
    "DX": DigitalXRayImageStorageForPresentation,
    "MG": DigitalMammographyXRayImageStorageForPresentation,
}
ENHANCED = {"CT": EnhancedCTImageStorage, "MR": EnhancedMRImageStorage}


def series(
    *,
    name: str = "phantom",
    modality: str = "CT",
    shape: tuple[int, int, int] = (12, 48, 40),
    spacing: tuple[float, float, float] = (5.0, 1.5, 2.0),
    orientation: Sequence[float] = AXIAL,
    origin: Sequence[float] = (-40.0, -36.0, -30.0),
    pixels: np.ndarray | None = None,
    body_part: str = "CHEST",
    patient_name: str = "Phantom^Left",
    patient_id: str = "PHANTOM-1",
    charset: str | list[str] = "ISO_IR 192",
    study: str | None = None,
    tilt_deg: float = 0.0,
) -> list[Dataset]:
    """`shape` and `spacing` are (slices, rows, columns); the default pixels are `asymmetric()`.

    UIDs are derived from `name`: the same call makes the same series. `tilt_deg` is that of the
    gantry: each slice lies further down its columns than the one before.
    """
    pixels = asymmetric(shape) if pixels is None else pixels
    orientation = np.asarray(orientation, float)
    normal = np.cross(orientation[:3], orientation[3:])
    header = _header(
        name=name,
        modality=modality,
        study=study or name,
        body_part=body_part,
        patient_name=patient_name,
        patient_id=patient_id,
        charset=charset,
    )
    instances = []
    for k in range(shape[0]):
        ds = Dataset()
        ds.update(header)
        ds.file_meta = FileMetaDataset()
        ds.SOPInstanceUID = derived_uid(name, "instance", k)
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.InstanceNumber = k + 1
        ds.ImageOrientationPatient = [float(v) for v in orientation]
        position = np.asarray(origin, float) + k * spacing[0] * normal
        position = position + k * spacing[0] * np.tan(np.radians(tilt_deg)) * orientation[3:]
        ds.ImagePositionPatient = [round(float(v), 6) for v in position]
        ds.PixelSpacing = [spacing[1], spacing[2]]
        ds.SliceThickness = spacing[0]
        _set_pixels(ds, pixels[k])
        instances.append(ds)
    return instances


def radiograph(
    pixels: np.ndarray,
    *,
    name: str = "radiograph",
    modality: str = "DX",
    bits: int = 12,
    number: int = 1,
    photometric: str = "MONOCHROME2",
    pixel_spacing: tuple[float, float] | None = None,
    imager_pixel_spacing: tuple[float, float] | None = None,
) -> Dataset:
    """Without any place in the patient; unsigned. Those of one `name` are of one series."""
    (ds,) = series(name=name, modality=modality, shape=(1, 4, 4))
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        del ds[keyword]
    for keyword in ("FrameOfReferenceUID", "SliceThickness"):
        del ds[keyword]
    ds.InstanceNumber = number
    if number > 1:
        ds.SOPInstanceUID = derived_uid(name, "instance", number - 1)
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.PhotometricInterpretation = photometric
    if pixel_spacing:
        ds.PixelSpacing = list(pixel_spacing)
    if imager_pixel_spacing:
        ds.ImagerPixelSpacing = list(imager_pixel_spacing)
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, 0
    ds.PixelData = pixels.astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def enhanced(
    instances: Sequence[Dataset], *, parts: int = 1, name: str = "enhanced"
) -> list[Dataset]:
    """The instances of a series as a multi-frame object, or as a concatenation of several."""
    made = []
    size = -(-len(instances) // parts)
    for part in range(parts):
        frames = instances[part * size : (part + 1) * size]
        ds = Dataset()
        kept = (element for element in frames[0] if element.tag not in _PER_FRAME)
        ds.update({element.tag: copy.deepcopy(element) for element in kept})
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = frames[0].file_meta.TransferSyntaxUID
        ds.SOPClassUID = ENHANCED[frames[0].Modality]
        ds.SOPInstanceUID = derived_uid(name, "instance", part)
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.NumberOfFrames = len(frames)
        ds.InstanceNumber = part + 1
        if parts > 1:
            ds.ConcatenationUID = derived_uid(name, "concatenation")
            ds.InConcatenationNumber, ds.InConcatenationTotalNumber = part + 1, parts
            ds.ConcatenationFrameOffsetNumber = part * size
        organization = derived_uid(name, "dimensions")
        ds.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=organization)]
        ds.DimensionIndexSequence = [
            _item(
                DimensionOrganizationUID=organization,
                DimensionIndexPointer=0x00209057,
                FunctionalGroupPointer=0x00209111,
            )
        ]
        ds.SharedFunctionalGroupsSequence = [_shared_groups(frames[0])]
        ds.PerFrameFunctionalGroupsSequence = [
            _groups(frame, part * size + k + 1) for k, frame in enumerate(frames)
        ]
        ds.PixelData = b"".join(frame.PixelData for frame in frames)
        ds["PixelData"].VR = "OW"
        made.append(ds)
    return made


_PER_FRAME = {
    0x00200032,  # Image Position (Patient)
    0x00200037,  # Image Orientation (Patient)
    0x00280030,  # Pixel Spacing
    0x00180050,  # Slice Thickness
    0x00281052,  # Rescale Intercept
    0x00281053,  # Rescale Slope
    0x00281054,  # Rescale Type
    0x00180081,  # Echo Time
    0x7FE00010,  # Pixel Data
}


def _shared_groups(ds: Dataset) -> Dataset:
    measures = _item(PixelSpacing=ds.PixelSpacing, SliceThickness=ds.SliceThickness)
    return _item(
        PixelMeasuresSequence=[measures],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=ds.ImageOrientationPatient)],
    )


def _groups(ds: Dataset, number: int) -> Dataset:
    content = _item(StackID="1", InStackPositionNumber=number, DimensionIndexValues=[number])
    groups = _item(
        FrameContentSequence=[content],
        PlanePositionSequence=[_item(ImagePositionPatient=ds.ImagePositionPatient)],
    )
    if "EchoTime" in ds:
        groups.MREchoSequence = [_item(EffectiveEchoTime=float(ds.EchoTime))]
    if "RescaleSlope" in ds:
        groups.PixelValueTransformationSequence = [
            _item(
                RescaleSlope=ds.RescaleSlope,
                RescaleIntercept=ds.RescaleIntercept,
                RescaleType=ds.RescaleType,
            )
        ]
    return groups


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def asymmetric(
    shape: tuple[int, int, int], *, inside: int = 400, outside: int = -900
) -> np.ndarray:
    """A box towards low column indices (the patient's right in AXIAL), low rows, low slices."""
    pixels = np.full(shape, outside, np.int16)
    slices, rows, columns = (slice(size // 6, size // 2) for size in shape)
    pixels[slices, rows, columns] = inside
    return pixels


def write(instances: Sequence[Dataset], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, ds in enumerate(instances):
        path = folder / f"IM{index:04}.dcm"
        ds.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _header(
    *,
    name: str,
    modality: str,
    study: str,
    body_part: str,
    patient_name: str,
    patient_id: str,
    charset: str | list[str],
) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = charset
    ds.SOPClassUID = UID(SOP_CLASS[modality])
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20260102"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "101112"
    ds.AccessionNumber = "ACC-1"
    ds.Modality = modality
    ds.Manufacturer = "Phantom Works"
    ds.ReferringPhysicianName = "Referrer^R"
    ds.StudyDescription = "Phantom study"
    ds.SeriesDescription = name[:64]
    ds.PatientName = patient_name
    ds.PatientID = patient_id
    ds.IssuerOfPatientID = "Phantom Hospital"
    ds.PatientBirthDate = "19600101"
    ds.PatientSex = "O"
    ds.PatientAge = "066Y"
    ds.BodyPartExamined = body_part
    ds.PatientPosition = "HFS"
    ds.StudyInstanceUID = derived_uid(study, "study")
    ds.SeriesInstanceUID = derived_uid(name, "series")
    ds.FrameOfReferenceUID = derived_uid(study, "frame of reference")
    ds.PositionReferenceIndicator = None
    ds.StudyID = "1"
    ds.SeriesNumber = 2
    ds.AcquisitionNumber = 1
    ds.Laterality = None
    if modality == "CT":
        ds.KVP = "120"
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "HU"
    elif modality == "MR":
        ds.ScanningSequence, ds.SequenceVariant = "GR", "NONE"
        ds.ScanOptions, ds.MRAcquisitionType = "", "3D"
        ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength = "8", "3", "1"
    return ds


def _set_pixels(ds: Dataset, pixels: np.ndarray) -> None:
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.PixelData = pixels.astype("<i2").tobytes()
    ds["PixelData"].VR = "OW"
