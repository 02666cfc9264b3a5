"""What an attempt hands over, without a model: an object of the study, and its report."""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage

from dicom_ai_node.encoders.modules import PATIENT, STUDY
from dicom_ai_node.encoders.source.headers import copy_keywords, encodings_of
from dicom_ai_node.form import DEFAULT
from dicom_ai_node.header import read_head
from dicom_ai_node.job import Outcome
from dicom_ai_node.report import REPORT, Report, WrittenObject


def object_of(source: Path) -> Dataset:
    """About the patient and study of a stored instance, and nothing else."""
    ds, header = Dataset(), read_head(source)
    ds.SOPClassUID = SegmentationStorage
    ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.Modality = "2.25.1", "2.25.2", "SEG"
    copy_keywords(header, ds, ("SpecificCharacterSet", *PATIENT, *STUDY))
    ds.set_original_encoding(False, True, encodings_of(header))
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def hand_over(folder: Path, ds: Dataset, *, name: str = "1-seg.dcm") -> Report:
    """The folder of a finished attempt."""
    folder.mkdir()
    ds.save_as(folder / name, enforce_file_format=True)
    content = (folder / name).read_bytes()
    written = WrittenObject(
        kind="seg",
        sop_class_uid=str(ds.SOPClassUID),
        sop_instance_uid=str(ds.SOPInstanceUID),
        series_instance_uid=str(ds.SeriesInstanceUID),
        file=name,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        forms=(DEFAULT.label,),
    )
    report = Report(
        outcome=Outcome.FINDINGS,
        reason=None,
        objects=(written,),
        measurements=(),
        timings={"predict": 1.0},
    )
    (folder / REPORT).write_text(json.dumps(asdict(report)))
    return report


def telling(report: Report, **changes: str) -> Report:
    """The same, but another thing said of its object."""
    (written,) = report.objects
    return replace(report, objects=(replace(written, **changes),))
