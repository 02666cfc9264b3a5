"""Sources of every geometry, and masks that lie on their images one by one."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from pydicom import Dataset

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.marked.marked import Marked
from dicom_ai_node.encoders.marked.segments import present_segments
from dicom_ai_node.encoders.source.headers import in_order, stand_in
from dicom_ai_node.encoders.source.planes import OnSource, SourcePlane, source_planes
from dicom_ai_node.form import Form, Segmentation
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Result
from tests.dicom_factory import CORONAL, SAGITTAL, enhanced, series
from tests.encoders import made

SHAPE = (7, 13, 11)  # 143 pixels: bits run on across frames
OBLIQUE = (0.96, 0.28, 0.0, -0.28 * 0.8, 0.96 * 0.8, 0.6)
FEET_FIRST = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def phantom(**changes: object) -> list[Dataset]:
    return series(**{"name": "geometry", "shape": SHAPE, "spacing": (2.5, 1.0, 1.25), **changes})


def _shuffled() -> list[Dataset]:
    instances = phantom()
    return [instances[k] for k in np.random.default_rng(7).permutation(len(instances))]


GEOMETRIES: dict[str, Callable[[], list[Dataset]]] = {
    "axial": phantom,
    "reversed": lambda: phantom()[::-1],
    "shuffled": _shuffled,
    "coronal": lambda: phantom(orientation=CORONAL),
    "sagittal": lambda: phantom(orientation=SAGITTAL),
    "oblique": lambda: phantom(orientation=OBLIQUE),
    "feet first": lambda: phantom(orientation=FEET_FIRST),
    "tilted": lambda: phantom(tilt_deg=15.0),
    "enhanced": lambda: enhanced(phantom()[::-1]),
    "concatenation": lambda: enhanced(phantom()[::-1], parts=3),
}
FORMS = [Segmentation.BINARY, Segmentation.LABELMAP, Segmentation.FRACTIONAL]


def basis(instances: Sequence[Dataset], *, numbers: Sequence[int] = (1, 3)) -> Basis:
    """Spots without any symmetry; the first image has none, and the last only of one segment."""
    headers = in_order(made.without_pixels(instances))
    sources = [stand_in(header) for header in headers]
    planes = source_planes(sources)
    shape = int(headers[0].Rows), int(headers[0].Columns)
    rng = np.random.default_rng(3)
    array = rng.choice([0, 0, 0, *numbers], (len(planes), *shape)).astype(np.uint8)
    array[0] = 0
    array[-1][array[-1] != numbers[-1]] = 0
    mask = OnSource(planes=planes, array=array, spacing=(2.5, 1.0, 1.25))
    result = Result(outcome=Outcome.FINDINGS, segments=made.SEGMENTS)
    run = made.run()
    segments = present_segments(result, mask, run.ids)
    part = Marked(mask=mask, segments=segments, of_images=False)
    return Basis(result=result, headers=headers, sources=sources, run=run, parts=[part])


def without_the_last(whole: Basis) -> Basis:
    """Only the first segment, which leaves the last image empty."""
    (part,) = whole.parts
    array = np.where(part.mask.array == 3, np.uint8(0), part.mask.array)
    mask = replace(part.mask, array=array)
    return replace(whole, parts=[replace(part, mask=mask, segments=part.segments[:1])])


def form(segmentation: Segmentation, **changes: object) -> Form:
    return Form(segmentation=segmentation, companions=(), **changes)


def plane_key(plane: SourcePlane) -> tuple[str, int | None]:
    return str(plane.header.SOPInstanceUID), plane.frame_number
