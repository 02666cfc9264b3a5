"""In the attempt: everything that was written, read back and compared with the result."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.encoders.source.frames import CROSS_SECTIONAL
from dicom_ai_node.encoders.source.headers import stand_in
from dicom_ai_node.encoders.source.planes import SHOWN, planes_of
from dicom_ai_node.encoders.sr.findings import ASSESSED
from dicom_ai_node.errors import ResultMismatch
from dicom_ai_node.form import Form, Kind, Segmentation
from dicom_ai_node.gate.identity import (
    Claim,
    check_distinct,
    check_frame_of_reference,
    check_identity,
)
from dicom_ai_node.gate.layers import Layer, OfImage, OfVolume, layers_of
from dicom_ai_node.gate.numbers import check_report
from dicom_ai_node.gate.object_file import ObjectFile
from dicom_ai_node.gate.sides import check_sides
from dicom_ai_node.gate.voxels import Held, Positions, check_map, check_segmentation
from dicom_ai_node.header import numbers_of, words_of
from dicom_ai_node.image_spacing import spacing_in_image
from dicom_ai_node.result import Finding, Result

# (layer, segment number) of all that has voxels
Marks: TypeAlias = frozenset[tuple[int, int]]
NOWHERE = (np.nan, np.nan, np.nan)
VOXELS = (Kind.SEG, Kind.LABELMAP, Kind.FRACTIONAL)
OF_VOXELS = (Segmentation.BINARY, Segmentation.LABELMAP, Segmentation.FRACTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One object on disk, what the run calls it, and the labels of the forms that it is part of."""

    kind: Kind
    claim: Claim
    file: ObjectFile
    forms: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the objects are to be about. `headers` are of all images on which the result lies,
    `evidence` those of further inputs, `source` is the one that patient and study are from;
    `superseded` are UIDs of objects of earlier runs that may be referred to."""

    result: Result
    headers: Sequence[Dataset]
    source: Dataset
    forms: Sequence[Form]
    with_segmentation: bool = True
    evidence: Sequence[Dataset] = ()
    superseded: Collection[str] = field(default_factory=set)


def check(written: Sequence[Written], work: Work) -> None:
    """ResultMismatch, which says what is wrong with which kind of object, unless all is right."""
    check_distinct(each.claim for each in written)
    check_one_patient(work)
    known = {str(ds.SOPInstanceUID) for ds in (*work.headers, *work.evidence)}
    known |= {each.claim.sop_instance_uid for each in written} | {*work.superseded}
    for each in written:
        with naming(each.kind):
            check_identity(each.file, each.claim, work.source, known)
            check_frame_of_reference(each.file, work.headers)
    result = work.result if work.result.outcome in SHOWN else _without_marks(work.result)
    layers = layers_of(result.masks, result.image_masks)
    positions = _positions(work) if {each.kind for each in written} & {*VOXELS, Kind.PM} else {}
    marks = _check_segmentations(written, work, layers, positions)
    _check_maps(written, work, positions)
    with naming(Kind.SEG):
        check_sides(result, work.headers)
    findings = _placed(result.findings, layers, marks)
    for each in written:
        if each.kind is Kind.SR:
            with naming(each.kind):
                check_report(each.file, result, findings)


def _without_marks(result: Result) -> Result:
    """What an outcome vouches for that is none."""
    return replace(result, masks=(), image_masks=(), findings=())


@contextmanager
def naming(kind: str) -> Iterator[None]:
    """What is wrong with an object says which one it is."""
    try:
        yield
    except ResultMismatch as error:
        raise ResultMismatch(f"{kind}: {error}") from error


def _check_segmentations(
    written: Sequence[Written], work: Work, layers: Sequence[Layer], positions: Positions
) -> Marks:
    """Each of them, and that those of a form hold all that is marked: that."""
    candidates = [(k, segment) for k in range(len(layers)) for segment in work.result.segments]
    found: dict[str, list[Held]] = {form.label: [] for form in work.forms}
    for each in written:
        if each.kind in VOXELS:
            with naming(each.kind):
                held = check_segmentation(each.file, layers, candidates, positions)
            for label in each.forms:
                found[label].append(held)
    headers = {str(header.SOPInstanceUID): header for header in work.headers}
    of_objects = [k for k, layer in enumerate(layers) if not _has_no_object(layer, headers)]
    marked = sum(layers[k].size for k in of_objects)
    marks: Marks | None = None
    for form in work.forms:
        if work.with_segmentation and form.segmentation in OF_VOXELS:
            if sum(held.voxels for held in found[form.label]) != marked:
                raise ResultMismatch(f"{form.segmentation}: a part of what is marked is missing")
            if len(of_objects) == len(layers):
                marks = frozenset().union(*(held.marks for held in found[form.label]))
    if marks is None:
        marks = frozenset((k, n) for k, layer in enumerate(layers) for n in layer.numbers)
    return marks


def _has_no_object(layer: Layer, headers: Mapping[str, Dataset]) -> bool:
    """A slice that does not say where it lies has no Segmentation (PS3.3 A.51)."""
    if not isinstance(layer, OfImage):
        return False
    header = headers[layer.mask.sop_instance_uid]
    is_placed = (
        header.get("FrameOfReferenceUID")
        and header.get("PixelSpacing")
        and spacing_in_image(header) is not None
        and planes_of(stand_in(header))
    )
    return header.get("Modality") in CROSS_SECTIONAL and not is_placed


def _check_maps(written: Sequence[Written], work: Work, positions: Positions) -> None:
    """Each map of the result is there once."""
    maps = work.result.maps if work.result.outcome in ASSESSED else ()
    volumes = [OfVolume(volume=each.volume) for each in maps]
    files = [each.file for each in written if each.kind is Kind.PM]
    with naming(Kind.PM):
        left = set(range(len(volumes)))
        for file in files:
            found = check_map(file, volumes, positions) & left
            left -= {min(found)} if found else set()
        if left or len(files) != len(volumes):
            raise ResultMismatch("a map is missing, or there twice")


def _positions(work: Work) -> Positions:
    found: dict[tuple[str, int | None], NDArray[np.float64]] = {}
    for header in work.headers:
        uid = str(header.SOPInstanceUID)
        if "PerFrameFunctionalGroupsSequence" in header:
            for plane in planes_of(stand_in(header)):
                found[uid, plane.frame_number] = plane.position
        else:
            found[uid, None] = np.array(numbers_of(header, "ImagePositionPatient") or NOWHERE)
    return found


def check_one_patient(work: Work) -> None:
    """ResultMismatch where an input is of another patient, or an image of another study."""
    for keyword, headers in (
        ("PatientID", (*work.headers, *work.evidence)),
        ("StudyInstanceUID", work.headers),
    ):
        if {words_of(each, keyword) for each in headers} != {words_of(work.source, keyword)}:
            raise ResultMismatch(f"the {keyword} of its images is not the same in all of them")


def _placed(findings: Sequence[Finding], layers: Sequence[Layer], marks: Marks) -> list[Finding]:
    """Without those whose segment has no voxel (on its image, where it names one): they are absent,
    and the report does not speak of them."""
    images = {k: x.mask.sop_instance_uid for k, x in enumerate(layers) if isinstance(x, OfImage)}
    return [
        finding
        for finding in findings
        if finding.segment_number is None
        or any(
            number == finding.segment_number
            and (k not in images or finding.image in (None, images[k]))
            for k, number in marks
        )
    ]
