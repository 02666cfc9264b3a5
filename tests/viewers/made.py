"""Results over a CT, an MR and radiographs, as objects of one study each."""

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from pydicom import Dataset

from dicom_ai_node.encoders.encode import EncodedObject, encode
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.form import ALONE, Form, Kind
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import BoxInImage, Finding, MapKind, Result, ResultMap
from tests import dicom_factory
from tests.encoders import made

NODULE = made.Code("27925004", "SCT", "Nodule")
TURNED = (0.96, 0.28, 0.0, -0.28 * 0.8, 0.96 * 0.8, 0.6)
BOX, POINT = ((4.5, 3.5), (30.5, 20.5)), ((40.5, 7.5), (40.5, 7.5))  # column, row


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A result over a source, and its objects."""

    source: Sequence[Dataset]
    result: Result
    objects: Sequence[EncodedObject]

    def every(self, kind: Kind) -> list[Dataset]:
        return [each.dataset for each in self.objects if each.kind is kind]

    def one(self, kind: Kind) -> Dataset:
        (ds,) = self.every(kind)
        return ds

    @property
    def datasets(self) -> list[Dataset]:
        return [each.dataset for each in self.objects]


def run(title: str) -> Run:
    """Titles tell series apart in a viewer's list."""
    package = made.PACKAGE.model_copy(update={"title": title})
    return made.run(package=package, ids=DerivedIds(job_key=title.encode().hex()))


def objects_of(title: str, result: Result, source: Sequence[Dataset], form: Form = ALONE) -> Made:
    headers = made.without_pixels(source)
    objects = encode(result, headers, run(title), ("seg", "sr"), forms=[form])
    return Made(source=source, result=result, objects=objects)


def stack(name: str, **changes: object) -> list[Dataset]:
    arguments = {"shape": (12, 64, 64), "spacing": (5.0, 2.0, 2.0), "study": "stacks", **changes}
    return dicom_factory.series(name=name, **arguments)


def overlapping(source: Sequence[Dataset]) -> Result:
    """The heart lies within the lung: two masks, a SEG each."""
    whole = made.findings(source, numbers=(1,))
    (lung,) = whole.masks
    heart = np.zeros_like(lung.array)
    low = np.argwhere(lung.array).min(axis=0)
    heart[low[0] : low[0] + 2, low[1] + 2 : low[1] + 9, low[2] + 1 : low[2] + 6] = 3
    return Result(
        outcome=Outcome.FINDINGS,
        masks=(lung, lung.with_array(heart)),
        segments=made.SEGMENTS,
        findings=(*whole.findings, made.finding(3, lung, heart)),
    )


def detections(source: Sequence[Dataset]) -> Result:
    """A box on the second image, a point on the third."""
    places = zip(source[1:3], (BOX, POINT), strict=True)
    return Result(
        outcome=Outcome.FINDINGS,
        findings=tuple(
            Finding(
                tracking_identifier=f"Nodule {number}",
                code=NODULE,
                region=BoxInImage(sop_instance_uid=image.SOPInstanceUID, low=low, high=high),
                probability=0.931,
            )
            for number, (image, (low, high)) in enumerate(places, 1)
        ),
    )


def saliency(source: Sequence[Dataset]) -> Result:
    volume = hd.get_volume_from_series(list(source))
    values = np.linspace(0, 1, volume.array.size, dtype=np.float32).reshape(volume.array.shape)
    kept = ResultMap(kind=MapKind.SALIENCY, label="Saliency", volume=volume.with_array(values))
    return Result(outcome=Outcome.NONE, maps=(kept,))
