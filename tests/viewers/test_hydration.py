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
    return dicom_factory.series(name="hydrated", shape=(6, 32, 40), orientation=TURNED)


@pytest.fixture(scope="module")
def detections(stack: list[Dataset]) -> Case:
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
    return Case(name="detections", images=adapters.images_of(stack), object=report)


@pytest.fixture(scope="module")
def segments(stack: list[Dataset]) -> Case:
    report = made.encoded(made.findings(stack), stack)["sr"]
    return Case(name="segments", images=adapters.images_of(stack), object=report)


@pytest.fixture(scope="module", params=fetch.ADAPTERS)
def hydrated(
    request: pytest.FixtureRequest,
    detections: Case,
    segments: Case,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp(request.param)
    return adapters.read("reports.mjs", request.param, [detections, segments], folder)


@pytest.mark.result_rule(14)
def test_a_box_and_a_point_are_drawn_where_the_model_saw_them(
    hydrated: dict[str, Any], stack: list[Dataset]
) -> None:
    """SCOORD counts from the corner of the first pixel, space from its centre: half a pixel."""
    box, point = hydrated["detections"]["drawn"]
    assert (box["tool"], point["tool"]) == ("RectangleROI", "Probe")
    assert box["image"].endswith(f"{stack[1].SOPInstanceUID}/frames/1")
    assert point["image"].endswith(f"{stack[2].SOPInstanceUID}/frames/1")
    (left, top), (right, bottom) = BOX
    corners = [(x, y) for x in (left, right) for y in (top, bottom)]
    assert _rounded(box["points"]) == _rounded([_place(stack[1], *each) for each in corners])
    assert _rounded(point["points"][:1]) == _rounded([_place(stack[2], *POINT[0])])


@pytest.mark.result_rule(14)
def test_the_label_says_what_and_how_sure(hydrated: dict[str, Any]) -> None:
    print(hydrated)
    labels = [each["label"] for each in hydrated["detections"]["drawn"]]
    assert labels == ["AI Nodule 1 (93 %)", "AI Nodule 2 (93 %)"]


def test_each_segment_has_its_outline(hydrated: dict[str, Any]) -> None:
    print(hydrated["segments"])
    assert len(hydrated["segments"]["drawn"]) == 2


def _place(ds: Dataset, column: float, row: float) -> NDArray[np.float64]:
    """LPS mm (PS3.3 C.7.6.2.1.1) of a place in the image (PS3.3 C.18.6.1.1)."""
    along_row, along_column = np.reshape(np.array(ds.ImageOrientationPatient, float), (2, 3))
    row_mm, column_mm = ds.PixelSpacing
    origin = np.array(ds.ImagePositionPatient, float)
    return origin + (column - 0.5) * column_mm * along_row + (row - 0.5) * row_mm * along_column


def _rounded(points: Any) -> set[tuple[float, ...]]:
    return {tuple(point) for point in (np.round(points, 2) + 0.0).tolist()}


@pytest.mark.parametrize("version", fetch.ADAPTERS)
def test_a_map_has_its_numbers_on_each_image(
    stack: list[Dataset], version: str, tmp_path: Path
) -> None:
    volume = hd.get_volume_from_series(stack)
    values = np.random.default_rng(5).random(volume.spatial_shape, dtype=np.float32)
    saliency = ResultMap(
        kind=MapKind.SALIENCY, label="Saliency", volume=volume.with_array(values)
    )
    result = Result(outcome=Outcome.NONE, maps=(saliency,))
    pm = made.encoded(result, stack)["pm"]
    case = Case(name="map", images=adapters.images_of(stack), object=pm)
    answer = adapters.read("maps.mjs", version, [case], tmp_path / "map")["map"]
    assert "error" not in answer, answer
    found = np.frombuffer(answer["out"].read_bytes(), "<f4").reshape(values.shape)
    by_image = [volume.with_array(values).map_reference_to_indices(
        np.array([ds.ImagePositionPatient], float))[0][0] for ds in stack]
    assert np.array_equal(found, values[np.rint(by_image).astype(int)])
