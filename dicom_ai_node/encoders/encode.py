"""From a result to the objects that are sent."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from pydicom import Dataset

from dicom_ai_node.config.package import ResultKind
from dicom_ai_node.encoders.check import check
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.encoders.seg import encode_seg
from dicom_ai_node.encoders.sr import encode_sr
from dicom_ai_node.result import Result


class EncodedObject(NamedTuple):
    """Save it before reading its text: unread text is written as the bytes that came."""

    kind: ResultKind
    dataset: Dataset


def encode(
    result: Result, headers: Sequence[Dataset], run: Run, kinds: Collection[ResultKind]
) -> list[EncodedObject]:
    """SEG first, where there is a mask; the report always, where it is wanted. Already checked.

    `headers` are as they were read, without pixel data and in any order.
    """
    objects: list[EncodedObject] = []
    seg = encode_seg(result, headers, run) if "seg" in kinds else None
    if seg is not None:
        objects.append(EncodedObject("seg", seg))
    if "sr" in kinds:
        objects.append(EncodedObject("sr", encode_sr(result, headers, run, seg)))
    superseded = [run.predecessor.uid("sr", "instance")] if run.predecessor else []
    check([encoded.dataset for encoded in objects], headers, also=superseded)
    return objects
