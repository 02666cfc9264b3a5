"""Series in a folder of DICOM files, as `predict` finds them."""

import hashlib
from collections import defaultdict
from pathlib import Path

from pydicom import Dataset
from pydicom.errors import InvalidDicomError

from dicom_ai_node.errors import InputError
from dicom_ai_node.header import data_of, is_program, read_header, values_of
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
    members: dict[str, list[tuple[str, Instance]]] = defaultdict(list)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            header = read_header(path, _KEYWORDS)
        except (InvalidDicomError, EOFError):
            continue
        _refuse_program(path)
        if all(values_of(header, keyword) for keyword in _KEYWORDS):
            instance = _instance(path, header)
            members[instance.series_instance_uid].append((_text(header, "Modality"), instance))
    return [
        Series(
            study_instance_uid=pairs[0][1].study_instance_uid,
            series_instance_uid=uid,
            modality=pairs[0][0],
            instances=tuple(instance for _, instance in pairs),
        )
        for uid, pairs in sorted(members.items())
    ]


def _refuse_program(path: Path) -> None:
    with path.open("rb") as file:
        if is_program(file.read(4)):
            raise InputError(
                "A DICOM file of the study is a program as well: its preamble begins like an "
                "executable (PE, ELF or Mach-O). Nothing was analysed; have the files checked."
            )


def _instance(path: Path, header: Dataset) -> Instance:
    content = data_of(path.read_bytes())
    return Instance(
        study_instance_uid=_text(header, "StudyInstanceUID"),
        series_instance_uid=_text(header, "SeriesInstanceUID"),
        sop_class_uid=_text(header, "SOPClassUID"),
        sop_instance_uid=_text(header, "SOPInstanceUID"),
        transfer_syntax_uid=str(header.file_meta.TransferSyntaxUID),
        sha256=hashlib.sha256(content).hexdigest(),
        path=path,
    )


def _text(header: Dataset, keyword: str) -> str:
    return str(values_of(header, keyword)[0])
