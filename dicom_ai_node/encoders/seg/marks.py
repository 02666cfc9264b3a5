"""What a result marks, as the objects of one form."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pydicom import Dataset

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.rtstruct import encode_rtstruct
from dicom_ai_node.encoders.seg.binary import encode_binary
from dicom_ai_node.encoders.seg.fractional import encode_fractional
from dicom_ai_node.encoders.seg.labelmap import encode_labelmap
from dicom_ai_node.encoders.source.frames import CROSS_SECTIONAL
from dicom_ai_node.form import KIND_OF_SEGMENTATION, Form, Kind, Segmentation


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """`segs[k]` is the SEG of `parts[k]`, for a report to refer to its segments; empty where the
    form has none, and None where a part cannot have one. `objects` are all that are sent."""

    kind: Kind = Kind.SEG
    parts: Sequence[Marked]
    segs: Sequence[Dataset | None] = ()
    objects: Sequence[Dataset] = ()


class _EncodePart(Protocol):
    def __call__(
        self, part: Marked, header: Dataset, identity: Identity, *, whole: bool
    ) -> Dataset: ...


ENCODERS: Mapping[Segmentation, _EncodePart] = {
    Segmentation.BINARY: encode_binary,
    Segmentation.LABELMAP: encode_labelmap,
    Segmentation.FRACTIONAL: encode_fractional,
}


def encode_marks(basis: Basis, form: Form) -> Marks:
    """Frames without voxels and segments without frames are left out; each frame names its source.

    A part of slices that do not say where they lie, against the rules of their own object, has no
    SEG: the report alone shows what was marked on it.
    """
    # segmentations of one kind in different forms are different objects
    variant = form.marks_label.removeprefix(form.segmentation).lstrip("+")
    if form.segmentation is Segmentation.RTSTRUCT:
        structures = encode_rtstruct(basis, variant)
        objects = [] if structures is None else [structures]
        return Marks(kind=Kind.RTSTRUCT, parts=basis.parts, objects=objects)
    if form.segmentation not in ENCODERS:
        return Marks(parts=basis.parts)
    kind = KIND_OF_SEGMENTATION[form.segmentation]
    parts = [few for part in basis.parts for few in _split(part, form.split_every)]
    segs: list[Dataset | None] = []
    for number, part in enumerate(parts):
        identity = Identity(run=basis.run, kind=kind, number=number, variant=variant)
        segs.append(
            ENCODERS[form.segmentation](part, basis.header, identity, whole=form.keep_empty_frames)
            if _can_be_placed(part)
            else None
        )
    return Marks(
        kind=kind, parts=parts, segs=segs, objects=[seg for seg in segs if seg is not None]
    )


def _split(part: Marked, at_most: int | None) -> Iterator[Marked]:
    """At most so many segments each, with numbers from 1 in each; what they are called stays."""
    step = at_most or len(part.segments)
    for first in range(0, len(part.segments), step):
        some = part.segments[first : first + step]
        segments = [replace(segment, number=number) for number, segment in enumerate(some, 1)]
        yield replace(part, segments=segments)


def _can_be_placed(part: Marked) -> bool:
    first = part.mask.planes[0]
    return first.has_place or first.header.get("Modality") not in CROSS_SECTIONAL
