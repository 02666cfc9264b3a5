"""What a result marks, as the objects of one form."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.rtstruct import encode_rtstruct
from dicom_ai_node.encoders.seg.binary import encode_seg
from dicom_ai_node.form import KIND_OF_SEGMENTATION, Form, Kind, Segmentation


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """`segs[k]` is the SEG of `parts[k]`, for a report to refer to its segments; empty where the
    form has none, and None where a part cannot have one. `objects` are all that are sent."""

    kind: Kind = Kind.SEG
    parts: Sequence[Marked]
    segs: Sequence[Dataset | None] = ()
    objects: Sequence[Dataset] = ()


def encode_marks(basis: Basis, form: Form) -> Marks:
    if form.segmentation is Segmentation.NONE:
        return Marks(parts=basis.parts)
    if form.segmentation is Segmentation.RTSTRUCT:
        structures = encode_rtstruct(basis)
        objects = [] if structures is None else [structures]
        return Marks(kind=Kind.RTSTRUCT, parts=basis.parts, objects=objects)
    segs = [
        encode_seg(part, basis.header, basis.run, number) for number, part in enumerate(basis.parts)
    ]
    return Marks(
        kind=KIND_OF_SEGMENTATION[form.segmentation],
        parts=basis.parts,
        segs=segs,
        objects=[seg for seg in segs if seg is not None],
    )
