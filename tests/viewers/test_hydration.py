"""What OHIF's adapters make of a report: each place is drawn, at the very coordinates."""

from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.job import Outcome
from dicom_ai_node.result import BoxInImage, Finding, MapKind, Result, ResultMap
from tests import dicom_factory
from tests.encoders import made
from tests.viewers import adapters, fetch
from tests.viewers.adapters import Case

pytestmark = pytest.mark.viewers

NODULE = made.Code("27925004", "SCT", "Nodule")
BOX, POINT = ((4.5, 3.5), (12.5, 20.5)), ((30.5, 7.5), (30.5, 7.5))  # column, row; +0.5 the centre
TURNED = (0.96, 0.28, 0.0, -0.28 * 0.8, 0.96 * 0.8, 0.6)


@pytest.fixture(scope="module")
def stack() -> list[Dataset]:
    return _series("hydrated", (2.0, 2.0))


def _series(name: str, pixel_spacing: tuple[float, float]) -> list[Dataset]:
    spacing = (5.0, *pixel_spacing)
    return dicom_factory.series(name=name, shape=(6, 32, 40), spacing=spacing, orientation=TURNED)


@pytest.fixture(scope="module", params=fetch.ADAPTERS)
def drawn(
    request: pytest.FixtureRequest,
    stack: list[Dataset],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[dict[str, Any]]:
    return _drawn(stack, request.param, tmp_path_factory.mktemp(request.param))


def _drawn(stack: list[Dataset], version: str, folder: Path) -> list[dict[str, Any]]:
    """Of a box on the second image, and a point on the third."""
    findings = tuple(
        Finding(
            tracking_identifier=f"Nodule {number}",
            code=NODULE,
            region=BoxInImage(sop_instance_uid=stack[number].SOPInstanceUID, low=low, high=high),
            probability=0.931,
        )
        for number, (low, high) in enumerate((BOX, POINT), 1)
    )
    report = made.encoded(Result(outcome=Outcome.FINDINGS, findings=findings), stack)["sr"]
    case = Case(name="report", images=adapters.images_of(stack), object=report)
    return list(adapters.read("reports.mjs", version, [case], folder)["report"]["drawn"])


@pytest.mark.result_rule(14)
def test_a_box_and_a_point_are_drawn_where_the_model_saw_them(
    drawn: list[dict[str, Any]], stack: list[Dataset]
) -> None:
    """SCOORD counts from the corner of the first pixel, space from its centre: half a pixel."""
    _lie_where_they_should(drawn, stack)


@pytest.mark.xfail(strict=True, reason="cornerstone takes the spacing of rows for that of columns")
def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    """imageToWorldCoords of @cornerstonejs/core; docs/viewers.md warns of it."""
    stack = _series("oblong", (1.5, 2.0))
    _lie_where_they_should(_drawn(stack, fetch.ADAPTERS[0], tmp_path / "oblong"), stack)


def _lie_where_they_should(drawn: list[dict[str, Any]], stack: list[Dataset]) -> None:
    box, point = drawn
    assert (box["tool"], point["tool"]) == ("RectangleROI", "Probe")
    assert box["image"].endswith(f"{stack[1].SOPInstanceUID}/frames/1")
    assert point["image"].endswith(f"{stack[2].SOPInstanceUID}/frames/1")
    (left, top), (right, bottom) = BOX
    corners = [(x, y) for x in (left, right) for y in (top, bottom)]
    assert _rounded(box["points"]) == _rounded([_place(stack[1], *each) for each in corners])
    assert _rounded(point["points"][:1]) == _rounded([_place(stack[2], *POINT[0])])


@pytest.mark.result_rule(14)
def test_the_label_says_what_and_how_sure(drawn: list[dict[str, Any]]) -> None:
    assert [each["label"] for each in drawn] == ["AI Nodule 1 (93 %)", "AI Nodule 2 (93 %)"]


def _place(ds: Dataset, column: float, row: float) -> NDArray[np.float64]:
    """LPS mm (PS3.3 C.7.6.2.1.1) of a place in the image (PS3.3 C.18.6.1.1)."""
    along_row, along_column = np.reshape(np.array(ds.ImageOrientationPatient, float), (2, 3))
    row_mm, column_mm = ds.PixelSpacing
    origin = np.array(ds.ImagePositionPatient, float)
    return origin + (column - 0.5) * column_mm * along_row + (row - 0.5) * row_mm * along_column


def _rounded(points: Any) -> set[tuple[float, ...]]:
    return {tuple(point) for point in (np.round(points, 2) + 0.0).tolist()}


@pytest.mark.parametrize("version", fetch.ADAPTERS)
def test_a_map_keeps_every_number(stack: list[Dataset], version: str, tmp_path: Path) -> None:
    """Frame by frame as they are stored."""
    volume = hd.get_volume_from_series(stack)
    values = np.random.default_rng(5).random(volume.spatial_shape, dtype=np.float32)
    kept = ResultMap(kind=MapKind.SALIENCY, label="Saliency", volume=volume.with_array(values))
    pm = made.encoded(Result(outcome=Outcome.NONE, maps=(kept,)), stack)["pm"]
    case = Case(name="map", images=adapters.images_of(stack), object=pm)
    answer = adapters.read("maps.mjs", version, [case], tmp_path / "map")["map"]
    assert "error" not in answer, answer
    stored = np.frombuffer(pm.FloatPixelData, "<f4")
    assert np.array_equal(np.frombuffer(answer["out"].read_bytes(), "<f4"), stored)
    assert np.array_equal(np.sort(stored), np.sort(values.ravel()))
