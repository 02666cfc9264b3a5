"""From a result to the objects that are sent, in every form that a destination may need."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from pydicom import Dataset

from dicom_ai_node.config.package import ResultKind
from dicom_ai_node.encoders.basis import Basis, Picture
from dicom_ai_node.encoders.companions.companion import encode_companion
from dicom_ai_node.encoders.follow_up import follow_up, study_date
from dicom_ai_node.encoders.marked.marked import marked
from dicom_ai_node.encoders.pm import encode_pm
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.encoders.seg.marks import Marks, encode_marks
from dicom_ai_node.encoders.source.headers import in_order, stand_in
from dicom_ai_node.encoders.sr.findings import ASSESSED
from dicom_ai_node.encoders.sr.report import encode_sr
from dicom_ai_node.form import ALONE, COMPANIONS, Form, Kind, ReportForm, Segmentation
from dicom_ai_node.log import get_logger
from dicom_ai_node.result import Result

log = get_logger(__name__)


class EncodedObject(NamedTuple):
    """`forms` are the labels of those that it is a part of.

    Save it before reading its text: unread text is written as the bytes that came.
    """

    kind: Kind
    dataset: Dataset
    forms: tuple[str, ...] = ()


def encode(
    result: Result,
    headers: Sequence[Dataset],
    run: Run,
    kinds: Collection[ResultKind],
    *,
    forms: Sequence[Form] = (ALONE,),
    evidence: Sequence[Dataset] = (),
    picture: Picture | None = None,
) -> list[EncodedObject]:
    """Segmentations first, then the reports, then maps that a route has asked for and what goes
    along; each once, however many forms it is a part of.

    `headers` are as they were read, without pixel data and in any order; `evidence` are those of
    further inputs, of this study or an earlier one, on which no result lies. `kinds` is what the
    model's package says that it gives.
    """
    ordered = in_order(headers)
    sources = [stand_in(header) for header in ordered]
    following = follow_up(result, run.earlier, study_date(ordered[0]))
    basis = Basis(
        result=result,
        headers=ordered,
        sources=sources,
        run=run,
        parts=marked(result, sources, run.ids, following),
        evidence=in_order(evidence),
        picture=picture,
        follow_up=following,
    )
    forms = list({form.label: form for form in forms}.values())
    objects: list[EncodedObject] = []
    marks = _marks(basis, forms, with_segmentation="seg" in kinds)
    for label, each in marks.items():
        part_of = tuple(form.label for form in forms if form.marks_label == label)
        objects += [EncodedObject(each.kind, ds, part_of) for ds in each.objects]
    further = _further(basis, forms)
    if "sr" in kinds:
        for form in forms:
            if form.report is not ReportForm.NONE:
                beside = [each.dataset for each in further if form.label in each.forms]
                report = encode_sr(basis, marks[form.marks_label], form, beside)
                objects.append(EncodedObject(Kind.SR, report, (form.label,)))
    objects += further
    return objects


def _marks(basis: Basis, forms: Sequence[Form], *, with_segmentation: bool) -> dict[str, Marks]:
    """By the label of what they have in common."""
    found: dict[str, Marks] = {}
    for form in forms:
        if form.marks_label not in found:
            wanted = form if with_segmentation else replace(form, segmentation=Segmentation.NONE)
            found[form.marks_label] = encode_marks(basis, wanted)
    return found


def _further(basis: Basis, forms: Sequence[Form]) -> list[EncodedObject]:
    """Maps, and what goes along with segmentation and report: the same in each form that has it."""
    result, every = basis.result, tuple(form.label for form in forms)
    maps = result.maps if result.outcome in ASSESSED else ()
    found = [
        EncodedObject(Kind.PM, encode_pm(each, basis.sources, basis.header, basis.run, k), every)
        for k, each in enumerate(maps)
    ]
    for kind in COMPANIONS:
        part_of = tuple(form.label for form in forms if kind in form.companions)
        if part_of:
            made = _along(kind, basis, forms)
            found += [EncodedObject(kind, ds, part_of) for ds in made]
    return found


def _along(kind: Kind, basis: Basis, forms: Sequence[Form]) -> Sequence[Dataset]:
    """A bug in what goes along costs nobody the segmentation and the report; it is left out, unless
    there is a form where no report says how it went."""
    try:
        return encode_companion(kind, basis)
    except MemoryError:
        raise
    except Exception:
        if any(kind in form.companions and form.report is ReportForm.NONE for form in forms):
            raise
        log.exception("companion_left_out", kind=kind)
        return []
