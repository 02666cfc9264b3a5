"""In the worker, which no model can reach: what was taken over from an attempt is compared with
what was stored, from the files alone."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from dicom_ai_node.errors import ResultMismatch
from dicom_ai_node.gate.gate import naming
from dicom_ai_node.gate.identity import Claim, check_distinct, check_identity
from dicom_ai_node.gate.object_file import read_object
from dicom_ai_node.header import read_head


class Told(Protocol):
    """An object as the report of an attempt tells of it."""

    @property
    def kind(self) -> str: ...
    @property
    def sop_class_uid(self) -> str: ...
    @property
    def sop_instance_uid(self) -> str: ...
    @property
    def series_instance_uid(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def sha256(self) -> str: ...


def check_told(folder: Path, told: Sequence[Told], source: Path, known: Collection[str]) -> None:
    """ResultMismatch unless every object is the one told of, is of the patient and study of the
    `source`, a stored instance, and speaks of nothing but `known` ones and its fellow objects."""
    header = read_head(source)
    claims = [
        Claim(
            sop_class_uid=each.sop_class_uid,
            sop_instance_uid=each.sop_instance_uid,
            series_instance_uid=each.series_instance_uid,
        )
        for each in told
    ]
    check_distinct(claims)
    known = {*known, *(claim.sop_instance_uid for claim in claims)}
    for each, claim in zip(told, claims, strict=True):
        with naming(each.kind):
            found = read_object(folder / each.file)
            if found.sha256 != each.sha256:
                raise ResultMismatch("it was altered after it was made")
            check_identity(found, claim, header, known)
