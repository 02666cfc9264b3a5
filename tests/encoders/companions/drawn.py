"""Results over phantoms whose pixels are at hand, and what is drawn of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.encoders.marked.marked import marked
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.encoders.source.headers import in_order, stand_in
from dicom_ai_node.form import Form, Kind
from dicom_ai_node.loading.picture import pictures
from dicom_ai_node.result import BoxInImage, Finding, Result
from tests import dicom_factory
from tests.encoders import made
from tests.made import stored

NODULE = made.Code("27925004", "SCT", "Nodule")
COMPANIONS = (Kind.SUMMARY, Kind.KEY_IMAGES, Kind.PDF)


def drawn(
    result: Result,
    instances: Sequence[Dataset],
    folder: Path,
    run: Run | None = None,
    *,
    kinds: Sequence[Kind] = COMPANIONS,
    with_pixels: bool = True,
) -> dict[str, Path]:
    """Files by kind, further ones as "key_images-2" and so on; beside segmentation and report."""
    sources = stored(dicom_factory.write(instances, folder / "source"))
    objects = encode(
        result,
        made.without_pixels(instances),
        run or made.run(),
        ["seg", "sr"],
        forms=[Form(companions=tuple(kinds))],
        picture=pictures(sources) if with_pixels else None,
    )
    return made.written(objects, folder / "made")


def basis_of(result: Result, instances: Sequence[Dataset], run: Run | None = None) -> Basis:
    """What an encoder is given, for what needs no report beside it."""
    headers = in_order(made.without_pixels(instances))
    sources = [stand_in(header) for header in headers]
    run = run or made.run()
    parts = marked(result, sources, run.ids)
    return Basis(result=result, headers=headers, sources=sources, run=run, parts=parts)


def pixels_of(path: Path) -> np.ndarray:
    return pydicom.dcmread(path).pixel_array.astype(int)


def nodules(image: Dataset, count: int = 1, **more: object) -> tuple[Finding, ...]:
    """Boxes of 20 × 10 pixels, one beneath the other."""
    return tuple(
        Finding(
            tracking_identifier=f"Nodule {number + 1}",
            code=NODULE,
            region=BoxInImage(
                sop_instance_uid=image.SOPInstanceUID,
                low=(10, 5 + number % 3),
                high=(30, 15 + number % 3),
            ),
            **{"probability": 0.93, **more},
        )
        for number in range(count)
    )
