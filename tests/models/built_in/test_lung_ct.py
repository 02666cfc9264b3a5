"""Both lungs of chests that were drawn, whichever way their voxels are stored."""

import json
from collections.abc import Callable

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset

from dicom_ai_node.config.store import read_description
from dicom_ai_node.input import ModelInput
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.built_in.lung_ct import CUT, NO_LUNGS, LungCt
from dicom_ai_node.models.built_in.lung_ct_anatomy import apart
from dicom_ai_node.models.gate import GatedModel
from dicom_ai_node.models.installation.install import CATALOGUE
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.result import Result
from scripts.known_answers import expected, input_of
from scripts.synthetic_bodies import Body, abdomen, thorax

COARSE = (4.0, 4.0, 6.0)  # mm; small phantoms keep the tests fast


@pytest.fixture(scope="module")
def model() -> Model:
    package = read_description(CATALOGUE / "lung-ct")
    return GatedModel(LungCt(package), package)


@pytest.fixture(scope="module")
def chest() -> Body:
    return thorax(spacing=COARSE)


def volume_of(body: Body) -> hd.Volume:
    return hd.Volume(body.array.astype(np.float32), body.affine, "PATIENT")


def given(volume: hd.Volume, **header: str) -> ModelInput:
    ds = Dataset()
    for keyword, value in ({"Modality": "CT", "BodyPartExamined": "CHEST"} | header).items():
        setattr(ds, keyword, value)
    return ModelInput(headers=[ds], volume=volume)


def millilitres(result: Result) -> dict[int, float]:
    return {f.segment_number: f.measurements[0].value for f in result.findings}


def dice(result: Result, body: Body, number: int) -> float:
    found, true = result.masks[0].array == number, body.truth == number
    return 2 * np.count_nonzero(found & true) / (found.sum() + true.sum())


def test_the_left_lung_and_the_right_one_are_those_that_were_drawn(
    model: Model, chest: Body
) -> None:
    result = model.predict(given(volume_of(chest)))
    assert result.outcome is Outcome.FINDINGS
    assert [finding.code.meaning for finding in result.findings] == ["Left lung", "Right lung"]
    for number in (1, 2):
        assert millilitres(result)[number] == pytest.approx(chest.ml(number), rel=0.02)
        assert dice(result, chest, number) > 0.98


def test_density_and_emphysema_are_measured(model: Model, chest: Body) -> None:
    left, right = model.predict(given(volume_of(chest))).findings
    units = [m.unit.value for m in left.measurements]
    assert units == ["mL", "[hnsf'U]", "%"]
    assert left.measurements[1].value == pytest.approx(-848, abs=10)
    assert left.measurements[2].value == pytest.approx(0, abs=0.2)
    emphysema = chest.array[chest.truth == 2] < -950
    assert right.measurements[2].value == pytest.approx(100 * emphysema.mean(), abs=0.2)
    assert right.measurements[2].value > 1


@pytest.mark.parametrize(
    "store",
    [
        lambda v: v.to_patient_orientation("HPL"),
        lambda v: v.to_patient_orientation("FAR"),
        lambda v: v.to_patient_orientation("RHP"),
        lambda v: v.to_patient_orientation("AFL"),
    ],
    ids=["axial", "axial from above, mirrored", "sagittal", "coronal"],
)
def test_sides_are_the_patients_whatever_the_order_of_voxels(
    model: Model, chest: Body, store: Callable[[hd.Volume], hd.Volume]
) -> None:
    """The right lung was drawn larger, with an emphysema."""
    volume = store(volume_of(chest))
    result = model.predict(given(volume))
    assert result.masks[0].geometry_equal(volume)
    assert result.findings == model.predict(given(volume_of(chest))).findings
    assert millilitres(result)[2] > 1.3 * millilitres(result)[1]


def test_an_oblique_scan_gives_nearly_the_same(model: Model, chest: Body) -> None:
    turn = np.eye(4)
    c, s = np.cos(np.radians(12)), np.sin(np.radians(12))
    turn[:2, :2] = [[c, -s], [s, c]]
    volume = hd.Volume(chest.array.astype(np.float32), turn @ chest.affine, "PATIENT")
    found = millilitres(model.predict(given(volume)))
    assert found[1] == pytest.approx(chest.ml(1), rel=0.02)
    assert found[2] == pytest.approx(chest.ml(2), rel=0.02)


@pytest.mark.parametrize(
    "drawn",
    [
        {"noise": 60.0},
        {"touching": True},
        {"spacing": (2.5, 2.5, 9.0)},
        {"spacing": (1.5, 1.5, 3.0), "size": 0.4},
        {"spacing": (1.2, 1.2, 3.0), "size": 0.32},
        {"cut": (-60, 150)},
    ],
    ids=["noise", "lungs touch", "few thick slices", "a child", "a newborn", "cut below"],
)
def test_harder_chests(model: Model, drawn: dict[str, float]) -> None:
    body = thorax(**({"spacing": COARSE} | drawn))
    result = model.predict(given(volume_of(body)))
    assert result.outcome is Outcome.FINDINGS, result.reason
    for number in (1, 2):
        assert millilitres(result)[number] == pytest.approx(body.ml(number), rel=0.03)
        assert dice(result, body, number) > 0.96


@pytest.mark.parametrize(("gone", "number"), [("left", 2), ("right", 1)])
def test_one_lung_has_its_side(model: Model, gone: str, number: int) -> None:
    """After a pneumonectomy nothing stands opposite to compare it with."""
    body = thorax(spacing=COARSE, **{gone: False})
    result = model.predict(given(volume_of(body)))
    assert list(millilitres(result)) == [number]
    assert [segment.number for segment in result.segments] == [number]
    assert millilitres(result)[number] == pytest.approx(body.ml(number), rel=0.02)


def test_touching_lungs_are_parted_between_them() -> None:
    region = np.zeros((12, 30, 60), bool)
    region[:, 4:26, 4:28] = region[:, 4:26, 32:56] = True
    region[3:9, 4:8, 28:32] = True  # the anterior junction
    parts = apart(region, (5.0, 2.5, 2.5), middle=29.5)
    assert len(parts) == 2
    assert (parts[0] ^ parts[1]).sum() == region.sum()
    centers = sorted(np.nonzero(part)[2].mean() for part in parts)
    assert centers == pytest.approx([15.5, 43.5], abs=1)


@pytest.mark.fault("D25")
def test_an_abdomen_has_no_lungs(model: Model) -> None:
    body = abdomen(spacing=COARSE)
    assert model.predict(given(volume_of(body))) == Result.not_suitable(NO_LUNGS)


@pytest.mark.fault("D25")
def test_lungs_that_were_cut_above_are_not_measured(model: Model) -> None:
    body = thorax(spacing=COARSE, cut=(-150, 20))
    assert model.predict(given(volume_of(body))) == Result.not_suitable(CUT)


@pytest.mark.fault("D25")
@pytest.mark.fault("E4")
@pytest.mark.parametrize("value", [-1000.0, -850.0, 40.0])
def test_images_of_one_value_have_no_lungs(model: Model, value: float) -> None:
    """A scan of air, of lung only, and of a water phantom."""
    volume = hd.Volume(np.full((80, 60, 40), value, np.float32), np.diag([4, 4, 6, 1]), "PATIENT")
    assert model.predict(given(volume)).outcome is Outcome.NOT_SUITABLE


def test_the_known_answer_is_given(model: Model) -> None:
    folder = CATALOGUE / "lung-ct" / "known_answer"
    with np.load(folder / "case.npz") as case:
        result = model.predict(input_of(dict(case)))
    known = json.loads((folder / "expected.json").read_text())
    for due, found in zip(known["measurements"], expected(result)["measurements"], strict=True):
        assert (found["finding"], found["name"]) == (due["finding"], due["name"])
        assert abs(found["value"] - due["value"]) <= due["tolerance"]
