"""Series in a folder of DICOM files, as `predict` finds them."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from dicom_ai_node.errors import InputError
from dicom_ai_node.header import DAMAGED, data_of, is_program, read_values
from dicom_ai_node.study import Described, Instance, Series, Values

_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


def series_of(folder: Path) -> list[Series]:
    """Image series below a folder, in the order of their UIDs; other files are passed over."""
    members: dict[str, list[tuple[str, Instance]]] = defaultdict(list)
    for instance, header in described(folder, ("Modality", "Rows")):
        if "Modality" in header and "Rows" in header:
            pair = str(header["Modality"][0]), instance
            members[instance.series_instance_uid].append(pair)
    return [
        Series(
            study_instance_uid=pairs[0][1].study_instance_uid,
            series_instance_uid=uid,
            modality=pairs[0][0],
            instances=tuple(instance for _, instance in pairs),
        )
        for uid, pairs in sorted(members.items())
    ]


def described(folder: Path, keywords: Iterable[str]) -> Iterator[Described]:
    """Every composite instance below a folder, with the values of these attributes."""
    wanted = {*_UIDS, *keywords}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            syntax = read_file_meta_info(path).get("TransferSyntaxUID")
            header = read_values(path, wanted) if syntax else {}
        except (InvalidDicomError, *DAMAGED):
            continue
        except OSError as error:
            raise InputError(
                f"{path} cannot be read ({error.strerror}): give a folder that may be read"
            ) from error
        _refuse_program(path)
        if all(keyword in header for keyword in _UIDS):
            yield _instance(path, header, str(syntax)), header


def _refuse_program(path: Path) -> None:
    with path.open("rb") as file:
        if is_program(file.read(4)):
            raise InputError(
                "A DICOM file of the study is a program as well: its preamble begins like an "
                "executable (PE, ELF or Mach-O). Nothing was analysed; have the files checked."
            )


def _instance(path: Path, header: Mapping[str, Values], syntax: str) -> Instance:
    def uid(keyword: str) -> str:
        return str(header[keyword][0])

    return Instance(
        study_instance_uid=uid("StudyInstanceUID"),
        series_instance_uid=uid("SeriesInstanceUID"),
        sop_class_uid=uid("SOPClassUID"),
        sop_instance_uid=uid("SOPInstanceUID"),
        transfer_syntax_uid=syntax,
        sha256=hashlib.sha256(data_of(path.read_bytes())).hexdigest(),
        path=path,
    )
