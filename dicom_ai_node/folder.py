"""Series in a folder of DICOM files, as `predict` finds them."""

import hashlib
from collections import defaultdict
from pathlib import Path

from pydicom import Dataset
from pydicom.errors import InvalidDicomError

from dicom_ai_node.header import data_of, read_header
from dicom_ai_node.study import Instance, Series

_KEYWORDS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "Rows",
)


def series_of(folder: Path) -> list[Series]:
    """Image series below a folder, in the order of their UIDs; other files are passed over."""
    members: dict[str, list[tuple[Dataset, Instance]]] = defaultdict(list)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            header = read_header(path, _KEYWORDS)
        except (InvalidDicomError, EOFError):
            continue
        if all(header.get(keyword) for keyword in _KEYWORDS):
            members[header.SeriesInstanceUID].append((header, _instance(path, header)))
    return [
        Series(
            study_instance_uid=pairs[0][1].study_instance_uid,
            series_instance_uid=uid,
            modality=str(pairs[0][0].Modality),
            instances=tuple(instance for _, instance in pairs),
        )
        for uid, pairs in sorted(members.items())
    ]


def _instance(path: Path, header: Dataset) -> Instance:
    content = data_of(path.read_bytes())
    return Instance(
        study_instance_uid=str(header.StudyInstanceUID),
        series_instance_uid=str(header.SeriesInstanceUID),
        sop_class_uid=str(header.SOPClassUID),
        sop_instance_uid=str(header.SOPInstanceUID),
        transfer_syntax_uid=str(header.file_meta.TransferSyntaxUID),
        sha256=hashlib.sha256(content).hexdigest(),
        path=path,
    )
