"""Results over phantoms, and what is made of them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.sr.coding import Code

from dicom_ai_node.config.kinds import ThresholdPackage
from dicom_ai_node.encoders.encode import EncodedObject, encode
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Finding, Measurement, Result, Segment

ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
LUNG = Code("39607008", "SCT", "Lung")
HEART = Code("80891009", "SCT", "Heart")
VOLUME = Code("118565006", "SCT", "Volume")
MILLILITER = Code("mL", "UCUM", "mL")
SEGMENTS = (
    Segment(number=1, label="Lung", category=ANATOMY, type=LUNG),
    Segment(number=2, label="Never seen", category=ANATOMY, type=HEART),
    Segment(number=3, label="Heart", category=ANATOMY, type=HEART, color=(60, 120, 230)),
)
PACKAGE = ThresholdPackage.model_validate(
    {
        "name": "phantom-box",
        "version": "1.2",
        "title": "Phantom box",
        "kind": "threshold",
        "between": (300, 500),
        "segments": [
            {"number": 1, "label": "Lung", "category": "SCT:123037004:A", "type": "SCT:39607008:L"}
        ],
    }
)
FINISHED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def run(**changes: object) -> Run:
    standard = {
        "ids": DerivedIds(job_key="a" * 64),
        "package": PACKAGE,
        "model_sha256": "0123456789abcdef" * 4,
        "finished_at": FINISHED,
    }
    return Run(**{**standard, **changes})


def findings(instances: Sequence[Dataset], *, numbers: Sequence[int] = (1, 3)) -> Result:
    """The phantom's box as the first segment; a part of its first slices as the second."""
    volume = hd.get_volume_from_series(list(instances))
    mask = np.where(volume.array > 0, np.uint8(numbers[0]), np.uint8(0))
    inside = np.argwhere(mask)
    low, high = inside.min(axis=0), inside.max(axis=0) + 1
    if len(numbers) > 1:
        mask[low[0] : low[0] + 2, low[1] : high[1], low[2] : low[2] + 3] = numbers[1]
    return Result(
        outcome=Outcome.FINDINGS,
        masks=(volume.with_array(mask),),
        segments=SEGMENTS,
        findings=tuple(finding(number, volume, mask) for number in numbers),
    )


def finding(number: int, volume: hd.Volume, mask: np.ndarray) -> Finding:
    segment = SEGMENTS[number - 1]
    millilitres = np.count_nonzero(mask == number) * abs(np.linalg.det(volume.affine[:3, :3])) / 1e3
    return Finding(
        tracking_identifier=f"{segment.label} volume",
        code=segment.type,
        segment_number=number,
        measurements=(Measurement(name=VOLUME, value=float(millilitres), unit=MILLILITER),),
    )


def without_pixels(instances: Sequence[Dataset]) -> list[Dataset]:
    """As the node reads them: from Part 10, nothing decoded yet."""
    return [reread(ds, stop_before_pixels=True) for ds in instances]


def written(encoded: Sequence[EncodedObject], folder: Path) -> dict[str, Path]:
    """By "seg", and further ones of a kind as "seg-2" and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for kind, ds, _ in encoded:
        before = sum(name.startswith(kind) for name in paths)
        name = f"{kind}-{before + 1}" if before else kind
        paths[name] = folder / f"{name}.dcm"
        ds.save_as(paths[name], enforce_file_format=True)
    return paths


def encoded(
    result: Result, instances: Sequence[Dataset], this_run: Run | None = None
) -> dict[str, Dataset]:
    """Each object by its kind, after a turn through bytes."""
    return dict(every(result, instances, this_run))


def every(
    result: Result,
    instances: Sequence[Dataset],
    this_run: Run | None = None,
    kinds: Sequence[str] = ("seg", "sr"),
) -> list[tuple[str, Dataset]]:
    """All objects, also of one kind, after a turn through bytes."""
    objects = encode(result, without_pixels(instances), this_run or run(), kinds)
    return [(kind, reread(ds)) for kind, ds, _ in objects]


def walk(item: Dataset) -> Iterator[Dataset]:
    """Every content item of a report."""
    yield item
    for child in item.get("ContentSequence", []):
        yield from walk(child)


def named(ds: Dataset, value: str) -> list[Dataset]:
    """Content items whose concept name has this code value."""
    return [
        item
        for item in walk(ds)
        if "ConceptNameCodeSequence" in item
        and item.ConceptNameCodeSequence[0].get("CodeValue") == value
    ]


def coded(item: Dataset) -> str:
    return str(item.ConceptCodeSequence[0].CodeValue)


def groups(sr: Dataset, template: str) -> list[Dataset]:
    return [
        item
        for item in walk(sr)
        if item.get("ContentTemplateSequence")
        and item.ContentTemplateSequence[0].TemplateIdentifier == template
    ]


def reread(ds: Dataset, **options: object) -> Dataset:
    with BytesIO() as file:
        ds.save_as(file, enforce_file_format=True)
        return pydicom.dcmread(BytesIO(file.getvalue()), **options)
