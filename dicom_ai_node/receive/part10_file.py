"""A Part 10 file of somebody else's, as the C-STORE request that it amounts to (PS3.10 7)."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, MediaStorageDirectoryStorage

from dicom_ai_node.header import DAMAGED, is_program
from dicom_ai_node.receive.answer import Answer, Status

_MAGIC_AT, _META_AT = 128, 132
_MAX_META = 1 << 16  # bytes; a private one may hold anything
_PIECE = 1 << 18
_UIDS = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")


class NotAnInstance(Exception):
    """No DICOM file at all, or the catalogue of a medium: something else that lies there."""


class Unacceptable(Exception):
    """A DICOM file that is not taken as an instance."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.comment)
        self.answer = answer


_PROGRAM = Answer(Status.CANNOT_UNDERSTAND, "it is a program as well: have it checked")
_META_DAMAGED = Answer(Status.CANNOT_UNDERSTAND, "the file meta information is damaged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part10File:
    """What the meta group says, and where the data set begins."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: UID
    begin: int
    size: int  # of the data set


def look_at(path: Path) -> Part10File:
    """Raises NotAnInstance, Unacceptable and OSError; reads no more than the meta group."""
    with path.open("rb") as file:
        beginning = file.read(_MAX_META)
        length = file.seek(0, 2)
    if beginning[_MAGIC_AT:_META_AT] != b"DICM":
        raise NotAnInstance
    meta, begin = _read_meta(beginning)
    sop_class, sop_instance, syntax = (_text(meta, keyword) for keyword in _UIDS)
    if sop_class == MediaStorageDirectoryStorage:
        raise NotAnInstance
    if is_program(beginning):
        raise Unacceptable(_PROGRAM)
    return Part10File(
        path=path,
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        transfer_syntax_uid=UID(syntax),
        begin=begin,
        size=length - begin,
    )


def _read_meta(beginning: bytes) -> tuple[Dataset, int]:
    """The group as far as it goes: its length is wrong in many files, and is not believed."""
    file = BytesIO(beginning)
    file.seek(_META_AT)
    try:
        meta = read_dataset(
            file, is_implicit_VR=False, is_little_endian=True, stop_when=_beyond_meta
        )
    except DAMAGED:
        raise Unacceptable(_META_DAMAGED) from None
    return meta, file.tell()


def _beyond_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != 2


def _text(meta: Dataset, keyword: str) -> str:
    try:
        value = meta[keyword].value
    except DAMAGED:  # a KeyError, where it is missing
        raise Unacceptable(_META_DAMAGED) from None
    if not isinstance(value, str) or not value:
        raise Unacceptable(_META_DAMAGED)
    return value


def files_below(folder: Path) -> Iterator[Path]:
    """Regular files, folder by folder, in the order of their names; and what cannot be looked into.

    Links to files are followed, those to folders are not.
    """
    closed: list[Path] = []
    for where, folders, names in os.walk(
        folder, onerror=lambda error: closed.append(Path(error.filename))
    ):
        folders.sort()
        yield from (path for name in sorted(names) if _may_be_a_file(path := Path(where, name)))
    yield from closed


def _may_be_a_file(path: Path) -> bool:
    """Not so a pipe, from which nothing ever comes."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:  # who reads it says so
        return True


@contextmanager
def pieces_of(found: Part10File) -> Iterator[Iterator[memoryview]]:
    """The bytes of the data set; each piece is good until the next one is asked for."""
    with found.path.open("rb", buffering=0) as file:
        file.seek(found.begin)
        yield _pieces(file)


def _pieces(file: BinaryIO) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(_PIECE))
    while number := file.readinto(buffer):  # type: ignore[attr-defined]
        yield buffer[:number]
