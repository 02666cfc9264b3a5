"""Whose an object is, which one it is, and of what it speaks."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from dicom_ai_node.errors import ResultMismatch
from dicom_ai_node.gate.object_file import ObjectFile
from dicom_ai_node.gate.patient import differing

REFERENCED_SOP_INSTANCE_UID = tag_for_keyword("ReferencedSOPInstanceUID")
# copied with the study, and compared there: they refer to other things than what was analysed
COPIED = frozenset(
    tag_for_keyword(keyword)
    for keyword in (
        "ReferencedStudySequence",
        "ReferencedPatientSequence",
        "ReferencedPatientPhotoSequence",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the run says of an object: its UIDs."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str


def check_identity(file: ObjectFile, claim: Claim, source: Dataset, known: Collection[str]) -> None:
    """ResultMismatch unless it is the object that it is said to be, of the source's patient and
    study, without private elements (PS3.5 7.8), and speaks of nothing but `known` instances."""
    check_claim(file, claim)
    if wrong := differing(file.header, source):
        raise ResultMismatch(f"{', '.join(wrong)} differs from the images")
    spoken_of, is_private = _scan(file)
    if is_private:
        raise ResultMismatch("it holds private elements")
    # RT objects refer to the study by its UID
    if spoken_of - {*known, str(source.StudyInstanceUID)}:
        raise ResultMismatch("it refers to an instance that was not analysed")


def check_claim(file: ObjectFile, claim: Claim) -> None:
    """ResultMismatch unless its UIDs are those, in the file meta information too (PS3.10 7.1)."""
    ds, meta = file.header, file.header.file_meta
    for keyword, uid in (
        ("SOPClassUID", claim.sop_class_uid),
        ("SOPInstanceUID", claim.sop_instance_uid),
        ("SeriesInstanceUID", claim.series_instance_uid),
    ):
        if str(ds.get(keyword) or "") != uid:
            raise ResultMismatch(f"its {keyword} is another one")
    named = (meta.get("MediaStorageSOPClassUID"), meta.get("MediaStorageSOPInstanceUID"))
    if named != (claim.sop_class_uid, claim.sop_instance_uid):
        raise ResultMismatch("its file meta information names another object")


def check_distinct(claims: Iterable[Claim]) -> None:
    """ResultMismatch where two objects share their UID, or two kinds of them a series."""
    found = list(claims)
    series = {(claim.series_instance_uid, claim.sop_class_uid) for claim in found}
    if len({claim.sop_instance_uid for claim in found}) != len(found) or len(series) != len(
        {uid for uid, _ in series}
    ):
        raise ResultMismatch("two objects share a UID")


def check_frame_of_reference(file: ObjectFile, headers: Iterable[Dataset]) -> None:
    """ResultMismatch where the object has one that is not that of all images."""
    if "FrameOfReferenceUID" not in file.header:
        return
    theirs = {str(header.get("FrameOfReferenceUID") or "") for header in headers}
    if theirs != {str(file.header.FrameOfReferenceUID or "")}:
        raise ResultMismatch("its FrameOfReferenceUID differs from the images")


def _scan(file: ObjectFile) -> tuple[set[str], bool]:
    """Every Referenced SOP Instance UID at any depth; and whether any element is private."""
    groups = {tag >> 16 for tag in file.places}
    spoken_of: set[bytes] = set()
    for sequence, inside in file.nested.items():
        for tag, begin, end in inside if sequence not in COPIED else ():
            groups.add(tag >> 16)
            if tag == REFERENCED_SOP_INSTANCE_UID:
                spoken_of.add(file.head[begin:end])
    uids = {each.decode("ascii", "replace").rstrip("\0 ") for each in spoken_of}
    return uids, any(group & 1 for group in groups)
