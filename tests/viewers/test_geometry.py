"""A mask lies on the same voxels in every reader, however its source lies: zero are off."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.form import Form, Kind, Segmentation
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import ImageMask, Result
from tests import dicom_factory
from tests.encoders import made
from tests.nrrd import places
from tests.validators import segimage2itkimage
from tests.viewers import adapters, fetch
from tests.viewers.adapters import Case
from tests.viewers.made import objects_of

pytestmark = pytest.mark.viewers

# rows and columns of other sizes, and rows that are no whole number of bytes
SHAPE, SPACING = (9, 35, 27), (4.0, 1.5, 2.0)
TURNED = (0.96, 0.28, 0.0, -0.28 * 0.8, 0.96 * 0.8, 0.6)
NUMBERS = (1, 3)  # of made.SEGMENTS; 1 and 2 in the objects


def labels() -> NDArray[np.int16]:
    """By lot, so that no mirror or turn hides; the first slice and the last are empty."""
    lots = np.random.default_rng(7).choice([0, *NUMBERS], SHAPE, p=[0.7, 0.2, 0.1])
    lots[[0, -1]] = 0
    return lots.astype(np.int16)


def source(name: str, **changes: Any) -> list[Dataset]:
    """Its pixels are the mask to be."""
    arguments = {"shape": SHAPE, "spacing": SPACING, "pixels": labels(), **changes}
    return dicom_factory.series(name=name, **arguments)


def feet_first() -> list[Dataset]:
    instances = source("feet first", orientation=(-1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    for ds in instances:
        ds.PatientPosition = "FFS"
    return instances


def shuffled(instances: list[Dataset]) -> list[Dataset]:
    order = np.random.default_rng(3).permutation(len(instances))
    return [instances[k] for k in order]


STACKS: dict[str, Callable[[], list[Dataset]]] = {
    "axial": lambda: source("axial"),
    "MR": lambda: source("magnetic", modality="MR"),
    "reversed": lambda: source("reversed")[::-1],
    "shuffled": lambda: shuffled(source("shuffled")),
    "coronal": lambda: source("coronal", orientation=dicom_factory.CORONAL),
    "sagittal": lambda: source("sagittal", orientation=dicom_factory.SAGITTAL),
    "oblique": lambda: source("oblique", orientation=TURNED),
    "feet first": feet_first,
    "tilted": lambda: source("tilted", tilt_deg=15.0),
    "multi-frame": lambda: dicom_factory.enhanced(source("frames")[::-1]),
    "concatenation": lambda: dicom_factory.enhanced(source("parts"), parts=3, name="parts"),
}
STACKS_IN_ONE = [name for name in STACKS if name != "concatenation"]


def mask_of(instances: Sequence[Dataset]) -> Result:
    """The numbers in the pixels, as a model gives them: a volume; where slices lie aside of each
    other, slice by slice."""
    if "NumberOfFrames" in instances[0]:
        mask = _volume(np.concatenate([ds.pixel_array for ds in instances]), instances)
        return _result(masks=(mask,))
    try:
        volume = hd.get_volume_from_series(list(instances))
    except ValueError:
        single = [
            ImageMask(sop_instance_uid=ds.SOPInstanceUID, array=ds.pixel_array.astype(np.uint8))
            for ds in instances
        ]
        return _result(image_masks=tuple(single))
    return _result(masks=(volume.with_array(volume.array.astype(np.uint8)),))


def _result(**masks: Any) -> Result:
    return Result(outcome=Outcome.FINDINGS, segments=made.SEGMENTS, **masks)


def _volume(frames: NDArray[np.int16], instances: Sequence[Dataset]) -> hd.Volume:
    """Frames in the order in which they are stored."""
    images = adapters.images_of(instances)
    (first, second), (along_row, along_column) = (
        [np.array(image["position"]) for image in images[:2]],
        np.reshape(images[0]["orientation"], (2, 3)),
    )
    affine = np.eye(4)
    affine[:3, 0] = second - first
    affine[:3, 1], affine[:3, 2] = along_column * SPACING[1], along_row * SPACING[2]
    affine[:3, 3] = first
    return hd.Volume(
        frames.astype(np.uint8),
        affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=instances[0].FrameOfReferenceUID,
    )


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    found = {}
    for name, make in STACKS.items():
        instances = make()
        seg = made.encoded(mask_of(instances), instances)["seg"]
        found[name] = Case(name=name, images=adapters.images_of(instances), object=seg)
    return found


def expected(name: str) -> NDArray[np.uint8]:
    """Numbers of the objects' segments, frame by frame in the order of the case's images."""
    pixels = [ds.pixel_array.reshape(-1, *SHAPE[1:]) for ds in STACKS[name]()]
    stored = np.concatenate(pixels)
    return np.select([stored == number for number in NUMBERS], [1, 2]).astype(np.uint8)


@pytest.fixture(scope="module", params=fetch.ADAPTERS)
def read_by_adapter(
    request: pytest.FixtureRequest,
    cases: dict[str, Case],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp(request.param)
    return adapters.read("segmentations.mjs", request.param, list(cases.values()), folder)


@pytest.mark.result_rule(7, 8, 9)
@pytest.mark.parametrize("name", STACKS_IN_ONE)
def test_ohif_reads_every_voxel_where_it_was(
    name: str, cases: dict[str, Case], read_by_adapter: dict[str, Any]
) -> None:
    """One group: no segments overlap, which would cost OHIF minutes. Of a concatenation it takes
    frames of one number for the same."""
    groups = adapters.groups_of(read_by_adapter[name], cases[name])
    assert len(groups) == 1
    assert np.array_equal(groups[0], expected(name))
    assert read_by_adapter[name]["segments"] == ["Lung", "Heart"]


def test_ohif_reads_label_maps(tmp_path: Path) -> None:
    """Adapters of version 5; those of version 4 know BINARY alone."""
    cases = []
    for name in ("axial", "shuffled", "oblique", "feet first", "tilted"):
        instances = STACKS[name]()
        form = Form(segmentation=Segmentation.LABELMAP, companions=())
        this = objects_of(name, mask_of(instances), instances, form)
        images = adapters.images_of(instances)
        cases.append(Case(name=name, images=images, object=this.one(Kind.LABELMAP)))
    answers = adapters.read("segmentations.mjs", fetch.ADAPTERS[0], cases, tmp_path)
    for case in cases:
        (group,) = adapters.groups_of(answers[case.name], case)
        assert np.array_equal(group, expected(case.name)), case.name


@pytest.mark.result_rule(7, 8)
@pytest.mark.parametrize("name", STACKS_IN_ONE)
def test_highdicom_reads_every_voxel_where_it_was(name: str, cases: dict[str, Case]) -> None:
    """By the images that frames refer to; it takes those of several objects for the same."""
    case = cases[name]
    seg = hd.seg.Segmentation.from_dataset(case.object)
    frames: dict[str, list[int]] = {}
    for image in case.images:
        frames.setdefault(image["sop"], []).append(image["frame"])
    options = {"combine_segments": True, "assert_missing_frames_are_empty": True}
    if any(len(numbers) > 1 for numbers in frames.values()):
        parts = [seg.get_pixels_by_source_frame(*each, **options) for each in frames.items()]
        found = np.concatenate(parts)
    else:
        found = seg.get_pixels_by_source_instance([*frames], **options)
    assert np.array_equal(found, expected(name))


@pytest.mark.result_rule(7, 8)
@pytest.mark.validators
@pytest.mark.parametrize("name", [name for name in STACKS if name != "tilted"])
def test_slicer_reads_every_voxel_where_it_was(
    name: str, cases: dict[str, Case], tmp_path: Path
) -> None:
    """Its reader is dcmqi, which knows straight stacks alone."""
    case = cases[name]
    case.object.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    files = segimage2itkimage(tmp_path / "seg.dcm", tmp_path / "nrrd")
    assert len(files) == len(NUMBERS)
    for number, file in enumerate(files, 1):
        assert places(file) == _places(case, expected(name) == number)


def _places(case: Case, voxels: NDArray[np.bool_]) -> set[tuple[float, ...]]:
    """From the headers alone (PS3.3 C.7.6.2.1.1)."""
    found: set[tuple[float, ...]] = set()
    for image, here in zip(case.images, voxels, strict=True):
        along_row, along_column = np.reshape(image["orientation"], (2, 3))
        row_mm, column_mm = image["spacing"]
        rows, columns = np.argwhere(here).T[:, :, None]
        lie = image["position"] + rows * row_mm * along_column + columns * column_mm * along_row
        found |= {tuple(place) for place in (np.round(lie, 2) + 0.0).tolist()}
    return found
