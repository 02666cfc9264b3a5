"""From a result to the objects that are sent."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from pydicom import Dataset

from dicom_ai_node.config.package import ResultKind
from dicom_ai_node.encoders.check import check
from dicom_ai_node.encoders.marked.marked import marked
from dicom_ai_node.encoders.pm import encode_pm
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.encoders.seg.binary import encode_seg
from dicom_ai_node.encoders.source.headers import in_order, stand_in
from dicom_ai_node.encoders.sr.findings import ASSESSED
from dicom_ai_node.encoders.sr.report import encode_sr
from dicom_ai_node.result import Result


class EncodedObject(NamedTuple):
    """Save it before reading its text: unread text is written as the bytes that came."""

    kind: ResultKind
    dataset: Dataset


def encode(
    result: Result,
    headers: Sequence[Dataset],
    run: Run,
    kinds: Collection[ResultKind],
    *,
    evidence: Sequence[Dataset] = (),
) -> list[EncodedObject]:
    """SEGs first, where there are masks; the report always, where it is wanted; then the maps,
    which a route has asked for where there are any. Already checked.

    `headers` are as they were read, without pixel data and in any order; `evidence` are those of
    further inputs, of this study or an earlier one, on which no result lies.
    """
    ordered = in_order(headers)
    sources = [stand_in(header) for header in ordered]
    parts = marked(result, sources, run.ids)
    segs: list[Dataset | None] = []
    if "seg" in kinds:
        segs = [encode_seg(part, ordered[0], run, number) for number, part in enumerate(parts)]
    objects = [EncodedObject("seg", seg) for seg in segs if seg is not None]
    if "sr" in kinds:
        report = encode_sr(result, ordered, sources, run, parts, segs, in_order(evidence))
        objects.append(EncodedObject("sr", report))
    for number, each in enumerate(result.maps if result.outcome in ASSESSED else ()):
        objects.append(EncodedObject("pm", encode_pm(each, sources, ordered[0], run, number)))
    superseded = [run.predecessor.uid("sr", "instance")] if run.predecessor else []
    check([encoded.dataset for encoded in objects], headers, evidence, also=superseded)
    return objects
