"""A CT series and seeded ellipsoids in it: as a mask, as an NRRD, and as a model's result."""

import json
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Finding, Result, Segment
from tests.dicom_factory import series, write
from tests.encoders.made import ANATOMY, LUNG

SPACING = (1.0, 0.8, 0.8)
ORIGIN = (-200.0, -200.0, -150.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phantom:
    """`folder` has the mask as mask.npy and mask.nrrd, and dcmqi's account of it as mask.json."""

    series: Path
    folder: Path
    segments: int

    def headers(self) -> list[Dataset]:
        return [pydicom.dcmread(path, stop_before_pixels=True) for path in self.series.iterdir()]

    def mask(self) -> NDArray[np.uint8]:
        """Its first slice is that of the series."""
        return np.asarray(np.load(self.folder / "mask.npy"))

    def result(self) -> Result:
        header = next(iter(self.headers()))
        affine = np.zeros((4, 4))
        affine[2, 0], affine[1, 1], affine[0, 2] = SPACING
        affine[:, 3] = (*ORIGIN, 1)
        volume = hd.Volume(
            self.mask(), affine, "PATIENT", frame_of_reference_uid=header.FrameOfReferenceUID
        )
        segments = [
            Segment(number=number, label=f"Organ {number}", category=ANATOMY, type=LUNG)
            for number in range(1, self.segments + 1)
        ]
        findings = [
            Finding(tracking_identifier=segment.label, code=LUNG, segment_number=segment.number)
            for segment in segments
        ]
        return Result(
            outcome=Outcome.FINDINGS,
            masks=(volume,),
            segments=tuple(segments),
            findings=tuple(findings),
        )


def make_series(folder: Path, slices: int, size: int) -> Path:
    """Its pixels do not matter here, but for the time to read them."""
    pixels = np.zeros((slices, size, size), np.int16)
    shape = (slices, size, size)
    write(series(name="encode", shape=shape, spacing=SPACING, origin=ORIGIN, pixels=pixels), folder)
    return folder


def make_mask(folder: Path, ct: Path, segments: int) -> Phantom:
    folder.mkdir()
    first = pydicom.dcmread(next(ct.iterdir()), stop_before_pixels=True)
    mask = ellipsoids((len(list(ct.iterdir())), first.Rows, first.Columns), segments)
    np.save(folder / "mask.npy", mask)
    _write_nrrd(mask, folder / "mask.nrrd")
    (folder / "mask.json").write_text(json.dumps(_account(segments)))
    return Phantom(series=ct, folder=folder, segments=segments)


def ellipsoids(shape: tuple[int, int, int], segments: int) -> NDArray[np.uint8]:
    """Disjoint: a later one takes voxels of an earlier one, and leaves it some."""
    rng = np.random.default_rng(42)
    mask = np.zeros(shape, np.uint8)
    for number in range(1, segments + 1):
        radii = rng.uniform(0.04, 0.1, 3) * shape
        centre = rng.uniform(radii, shape - radii)
        low = np.floor(centre - radii).astype(int)
        box = tuple(
            slice(max(at, 0), at + int(2 * r) + 3) for at, r in zip(low, radii, strict=True)
        )
        axes = np.ogrid[box]
        apart = sum(((axes[k] - centre[k]) / radii[k]) ** 2 for k in range(3))
        mask[box][(apart < 1)[tuple(slice(size) for size in mask[box].shape)]] = number
    assert len(np.unique(mask)) == segments + 1
    return mask


def _write_nrrd(mask: NDArray[np.uint8], path: Path) -> None:
    slices, rows, columns = mask.shape
    slice_mm, row_mm, column_mm = SPACING
    head = (
        "NRRD0004",
        "type: uint8",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {columns} {rows} {slices}",
        f"space directions: ({column_mm},0,0) (0,{row_mm},0) (0,0,{slice_mm})",
        "kinds: domain domain domain",
        "encoding: raw",
        "space origin: ({},{},{})".format(*ORIGIN),
    )
    with path.open("wb") as file:
        file.write(("\n".join(head) + "\n\n").encode())
        file.write(mask.data)


def _account(segments: int) -> dict[str, object]:
    category, kind = (
        {"CodeValue": code.value, "CodingSchemeDesignator": "SCT", "CodeMeaning": code.meaning}
        for code in (ANATOMY, LUNG)
    )
    attributes = [
        {
            "labelID": number,
            "SegmentLabel": f"Organ {number}",
            "SegmentDescription": f"Organ {number}",
            "SegmentAlgorithmType": "AUTOMATIC",
            "SegmentAlgorithmName": "Ellipsoids",
            "SegmentedPropertyCategoryCodeSequence": category,
            "SegmentedPropertyTypeCodeSequence": kind,
            "recommendedDisplayRGBValue": [200, 100, 50],
        }
        for number in range(1, segments + 1)
    ]
    return {
        "ContentCreatorName": "Benchmark",
        "ContentLabel": "SEGMENTATION",
        "ContentDescription": "Ellipsoids",
        "SeriesDescription": "Ellipsoids",
        "SeriesNumber": "300",
        "InstanceNumber": "1",
        "segmentAttributes": [attributes],
    }
