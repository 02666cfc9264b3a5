"""The demonstrations of the catalogue find what was drawn into a head that training never saw."""

import json
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset

from dicom_ai_node.config.store import read_description
from dicom_ai_node.input import ModelInput
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.installation.install import CATALOGUE, install_folder
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.result import Answer, Finding, Result
from examples.cases import centers
from examples.known_answers import PLACES as PLACES_OF
from examples.lesions import Lesion, drawn

NAMES = ["demo-detection", "demo-classification"]
PLACES = PLACES_OF["demo-detection"]


def given(volume: hd.Volume, modality: str = "MR") -> ModelInput:
    ds = Dataset()
    ds.Modality, ds.BodyPartExamined = modality, "HEAD"
    return ModelInput(headers=[ds], volume=volume)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def models(store: Path) -> dict[str, Model]:
    return {name: open_model(install_folder(CATALOGUE / name, store)) for name in NAMES}


def known_case(name: str) -> hd.Volume:
    """The coarse head with lesions that a package brings."""
    with np.load(CATALOGUE / name / "known_answer" / "case.npz") as file:
        return hd.Volume(
            file["array"].astype(np.float32),
            file["affine"],
            "PATIENT",
            frame_of_reference_uid="1.2.3",
        )


@pytest.fixture(scope="module")
def results(models: dict[str, Model]) -> dict[str, Result]:
    return {name: model.predict(given(known_case(name))) for name, model in models.items()}


def nearest(result: Result, place: tuple[float, float, float]) -> Finding:
    away = [float(np.linalg.norm(center - place)) for center in centers(result)]
    return result.findings[int(np.argmin(away))]


@pytest.mark.parametrize("name", NAMES)
def test_they_say_that_they_are_demonstrations(name: str) -> None:
    package = read_description(CATALOGUE / name)
    assert package.title.startswith("Demonstration")
    assert "Not for any patient" in package.intended_use
    card = (CATALOGUE / name / "MODEL_CARD.md").read_text()
    assert "Finds only lesions that were drawn into images. Not for any patient." in card
    assert not package.brings_code


@pytest.mark.parametrize("name", NAMES)
def test_they_are_small_enough_to_lie_in_the_repository(name: str) -> None:
    assert (CATALOGUE / name / "weights.safetensors").stat().st_size < 500_000
    assert (CATALOGUE / name / "known_answer" / "case.npz").stat().st_size < 300_000


@pytest.mark.parametrize("name", NAMES)
def test_they_give_their_known_answer(name: str, results: dict[str, Result]) -> None:
    wanted = json.loads((CATALOGUE / name / "known_answer" / "expected.json").read_text())
    result = results[name]
    assert result.outcome == wanted["outcome"]
    assert len(result.findings) == wanted["findings"]
    said = {each.tracking_identifier: each.probability for each in result.findings}
    for each in wanted["probabilities"]:
        assert said[each["finding"]] == pytest.approx(each["value"], abs=each["tolerance"])


def test_lesions_are_detected_where_they_were_drawn(results: dict[str, Result]) -> None:
    """LPS, mm, though the network saw another grid; and with about their size."""
    result = results["demo-detection"]
    assert len(result.findings) == len(PLACES)
    for place in PLACES:
        finding = nearest(result, place)
        assert finding.probability is not None
        assert 0.64 <= finding.probability <= 1
        center = finding.region.center  # type: ignore[union-attr]
        assert np.linalg.norm(center - place) < 4
        (length,) = finding.measurements
        assert 8 <= length.value <= 24


def test_they_find_the_same_in_a_head_that_is_stored_in_another_way(
    models: dict[str, Model], results: dict[str, Result]
) -> None:
    turned = known_case("demo-detection").to_patient_orientation("RAF")
    result = models["demo-detection"].predict(given(turned))
    for place in PLACES:
        before, after = nearest(results["demo-detection"], place), nearest(result, place)
        assert after.probability == pytest.approx(before.probability, abs=0.02)
        assert np.linalg.norm(before.region.center - after.region.center) < 1  # type: ignore[union-attr]


@pytest.mark.weights
def test_a_head_without_lesions_has_none(models: dict[str, Model], head: hd.Volume) -> None:
    for model in models.values():
        result = model.predict(given(head))
        assert result.outcome is Outcome.NONE
        (assessment,) = result.assessments
        assert assessment.answer is Answer.ABSENT
        assert assessment.code.meaning == "Lesion"


@pytest.mark.weights
def test_lesions_in_a_real_head_of_its_own_resolution(
    models: dict[str, Model], head: hd.Volume
) -> None:
    """One that training never saw; neither are these lesions of the known answer."""
    places = [np.array((-30.0, 20.0, 34.0)), np.array((24.0, -20.0, 36.0))]
    small = [Lesion(center=at, half_axes=np.diag([5.0, 6, 5.5]), value=208.0) for at in places]
    found = centers(models["demo-detection"].predict(given(drawn(head, small))))
    for place in places:
        assert min(np.linalg.norm(center - place) for center in found) < 3


@pytest.mark.weights
def test_a_large_lesion_in_a_real_head_is_present(
    models: dict[str, Model], head: hd.Volume
) -> None:
    large = Lesion(
        center=np.array((-30.0, 20.0, 34.0)), half_axes=np.diag([11.0, 12, 13]), value=208.0
    )
    (finding,) = models["demo-classification"].predict(given(drawn(head, [large]))).findings
    assert finding.region is None
    assert finding.code.meaning == "Lesion"
    assert finding.probability is not None
    assert 0.7 <= finding.probability <= 1


def test_anything_but_mr_of_the_head_is_refused(models: dict[str, Model]) -> None:
    for name, model in models.items():
        assert model.predict(given(known_case(name), modality="CT")).outcome is Outcome.NOT_SUITABLE
