"""The case that a package brings, and what is said when the model answers it otherwise."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from pydicom.sr.coding import Code

from dicom_ai_node.config.expected import Expected
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.errors import ConfigError, ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.known_answer.check import case, check_answer, compare_answer, require_answer
from dicom_ai_node.known_answer.record import as_installed, record
from dicom_ai_node.models.answering.case import arrays_of, case_of
from dicom_ai_node.models.answering.comparison import compare, dice_of
from dicom_ai_node.models.installation.install import Terms, install_folder
from dicom_ai_node.models.threshold import Threshold
from dicom_ai_node.result import Answer, Assessment, BoxInPatient, Finding, Result
from tests import dicom_factory
from tests.models import phantom
from tests.models.answering import case_package as made

CODE = Code("52988006", "SCT", "Lesion")


def author(folder: Path) -> InstalledModel:
    return as_installed(folder, trusted=False)


def differences(model: InstalledModel) -> list[str]:
    return [line.what for line in compare_answer(model) if not line.agrees]


def test_a_model_that_gives_its_known_answer_is_taken_in(tmp_path: Path) -> None:
    """In a process of its own, before it enters the store."""
    package = made.threshold(tmp_path / "package")
    model = install_folder(package, tmp_path / "store", Terms(check=require_answer))
    lines = check_answer(model)
    assert [(line.what, line.found, line.agrees) for line in lines] == [
        ("outcome", "findings", True),
        ("Bone 1: Volume", "3", True),
    ]


def test_a_model_that_answers_otherwise_does_not_enter_the_store(tmp_path: Path) -> None:
    """A wrong preprocessing, say, is found before the first patient."""
    wrong = made.EXPECTED | {"measurements": [made.EXPECTED["measurements"][0] | {"value": 3.1}]}
    package = made.threshold(tmp_path / "package", wrong)
    with pytest.raises(ModelError, match=r"Bone 1: Volume: 3, and 3\.1 ± 0\.01 was due"):
        install_folder(package, tmp_path / "store", Terms(check=require_answer))
    assert list((tmp_path / "store").iterdir()) == []


def test_case_and_header_are_what_the_model_is_given(tmp_path: Path) -> None:
    """Patient coordinates (LPS); a header for each plane of the first axis."""
    package = made.threshold(
        tmp_path / "package", body_part="CHEST", PatientAge="050Y", array=made.array()[:4]
    )
    data = case(author(package))
    volume = data.needed_volume()
    assert (volume.affine == made.AFFINE).all()
    assert volume.dtype == np.float32
    last = data.headers[3]
    assert len(data.headers) == 4
    assert (last.Modality, last.BodyPartExamined, last.PatientAge) == ("CT", "CHEST", "050Y")
    assert last.PixelSpacing == [3, 5]
    assert last.ImagePositionPatient == [-1, 7, 9]
    assert last.ImageOrientationPatient == [0, 0, 1, 0, 1, 0]


def test_the_gate_is_part_of_the_answer(tmp_path: Path) -> None:
    package = made.threshold(tmp_path / "package", {"outcome": "not_suitable"}, modality="MR")
    assert differences(author(package)) == []


def test_further_inputs_and_images(tmp_path: Path) -> None:
    """`NAME_array` on the grid of the first; images are rows × columns, or several of them."""
    package = phantom.package(inputs=("image", "prior"), between={"image": (0, 1), "prior": (0, 1)})
    prior = np.ones((20, 10, 10), np.float32)
    arrays = {"array": made.array(), "affine": made.AFFINE, "prior_array": prior}
    data = case_of(arrays, package)
    assert (data.others["prior"].array == 1).all()
    with pytest.raises(ModelError, match=r"prior_array is \(20, 10\) where \(20, 10, 10\)"):
        case_of(arrays | {"prior_array": prior[..., 0]}, package)
    images = case_of(
        {"array": made.array()[:2], "pixel_spacing": np.array([0.5, 0.4]), "ViewPosition": "PA"}
        | {"ViewPosition": np.array("PA"), "PatientOrientation": np.array(["L", "F"])},
        phantom.package(input="images"),
    )
    assert [image.pixel_spacing for image in images.images] == [(0.5, 0.4)] * 2
    assert images.headers[0].ViewPosition == "PA"
    assert images.headers[1].PatientOrientation == ["L", "F"]
    assert images.headers[1].SOPInstanceUID == images.images[1].sop_instance_uid
    one = case_of({"array": made.array()[0]}, phantom.package(input="images"))
    assert [image.array.shape for image in one.images] == [(10, 10)]


def test_what_was_loaded_is_the_same_case_again(tmp_path: Path) -> None:
    data = phantom.model_input()
    again = case_of(arrays_of(data), phantom.package())
    assert again.needed_volume().geometry_equal(data.needed_volume())
    assert (again.needed_volume().array == data.needed_volume().array).all()
    assert arrays_of(data)["array"].dtype == np.int16


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"array": np.zeros((3, 3))}, "array has 2 dimensions where a volume has 3"),
        ({"affine": np.eye(3)}, r"affine is \(3, 3\)"),
        ({"array": np.array([{}], object)}, "no .npz file of plain arrays"),
    ],
)
def test_a_case_that_cannot_be_read_says_what_is_wrong(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    package = made.threshold(tmp_path / "package", **arrays)
    with pytest.raises(ModelError, match=message):
        case(author(package))


def test_a_case_may_be_dicom_files(tmp_path: Path) -> None:
    package = made.threshold(tmp_path / "package", {"outcome": "findings"})
    (package / "known_answer" / "case.npz").unlink()
    dicom_factory.write(dicom_factory.series(), package / "known_answer" / "case")
    assert differences(author(package)) == []
    assert (
        len(case(author(package)).instances["image"]) == 12
    )  # for a model that reads DICOM itself
    shutil.rmtree(package / "known_answer" / "case")
    with pytest.raises(ModelError, match="brings no known case: see `models record`"):
        case(author(package))


@pytest.mark.parametrize("name", ["expected.json", "expected.yaml"])
def test_a_known_answer_is_json_or_yaml(tmp_path: Path, name: str) -> None:
    package = made.threshold(tmp_path / "package")
    known = package / "known_answer"
    (known / "expected.json").unlink()
    text = "outcome: findings\n" if name.endswith("yaml") else '{"outcome": "findings"}'
    (known / name).write_text(text)
    assert differences(author(package)) == []
    (known / name).write_text(text.replace("outcome", "outcomes"))
    with pytest.raises(ConfigError, match=rf"{name}: outcome: is missing"):
        compare_answer(author(package))


def test_a_mask_is_compared_segment_by_segment(tmp_path: Path) -> None:
    package = made.threshold(tmp_path / "package")
    mask = (made.array() > 0).astype(np.uint8)
    path = package / "known_answer" / "mask.npz"
    np.savez_compressed(path, mask=mask)
    assert differences(author(package)) == []
    mask[3, :, :2] = 0
    np.savez_compressed(path, mask=mask)
    assert differences(author(package)) == ["segment 1: Dice"]
    np.savez_compressed(path, mask=mask[:5])
    assert differences(author(package)) == ["mask"]


def test_dice_is_of_each_number() -> None:
    """Also of one that only one of them holds; layers are one place."""
    one = np.array([[[1, 1, 0, 0]], [[0, 2, 2, 0]]], np.uint8)
    other = np.array([[[1, 0, 0, 3]], [[2, 2, 0, 0]]], np.uint8)
    assert dice_of(one, other) == {1: pytest.approx(2 / 3), 2: pytest.approx(0.5), 3: 0.0}


RESULT = Result(
    outcome=Outcome.FINDINGS,
    findings=(
        Finding(tracking_identifier="Lesion 1", code=CODE, probability=0.9),
        Finding(
            tracking_identifier="Lesion 2",
            code=CODE,
            probability=0.7,
            region=BoxInPatient(center=np.array([1.0, 2.0, 3.0]), half_axes=np.eye(3)),
        ),
    ),
    assessments=(
        Assessment(code=Code("1", "X", "Fracture"), answer=Answer.ABSENT, probability=0.1),
    ),
)


@pytest.mark.parametrize(
    ("expected", "wrong"),
    [
        ({"findings": 2}, []),
        ({"findings": 1}, ["findings"]),
        ({"outcome": "none"}, ["outcome"]),
        ({"probabilities": [{"finding": "Lesion 2", "value": 0.71, "tolerance": 0.02}]}, []),
        ({"probabilities": [{"finding": "Lesion 2", "value": 0.75}]}, ["Lesion 2: probability"]),
        ({"probabilities": [{"finding": "Fracture", "value": 0.1}]}, []),
        ({"probabilities": [{"finding": "Mass", "value": 0.1}]}, ["Mass: probability"]),
        # by the code, one after the other
        ({"probabilities": [{"finding": "Lesion", "value": v} for v in (0.9, 0.7)]}, []),
        (
            {"probabilities": [{"finding": "Lesion", "value": v} for v in (0.9, 0.9)]},
            ["Lesion: probability"],
        ),
        ({"places": [{"finding": "Lesion 2", "center": [1, 2, 4], "tolerance": 1.5}]}, []),
        (
            {"places": [{"finding": "Lesion 2", "center": [1, 2, 9], "tolerance": 1.5}]},
            ["Lesion 2: centre (LPS, mm)"],
        ),
        (
            {"places": [{"finding": "Lesion 1", "center": [1, 2, 3]}]},
            ["Lesion 1: centre (LPS, mm)"],
        ),
        (
            {"measurements": [{"finding": "Lesion 1", "name": "Volume", "value": 1}]},
            ["Lesion 1: Volume"],
        ),
    ],
)
def test_what_is_named_is_compared(expected: dict[str, Any], wrong: list[str]) -> None:
    lines = compare(RESULT, Expected.model_validate({"outcome": "findings"} | expected))
    assert [line.what for line in lines if not line.agrees] == wrong


def test_no_mask_where_one_was_due() -> None:
    mask = np.ones((1, 2, 2, 2), np.uint8)
    lines = compare(RESULT, Expected(outcome=Outcome.FINDINGS), mask)
    assert [(line.found, line.agrees) for line in lines[1:]] == [("0.0000", False)]


def test_an_author_records_the_answer_to_a_study(tmp_path: Path) -> None:
    """And the model is then held to it, on these pixels."""
    package = made.threshold(tmp_path / "package")
    shutil.rmtree(package / "known_answer")
    study = dicom_factory.write(dicom_factory.series(), tmp_path / "study") and tmp_path / "study"
    folder, lines = record(package, study, trusted=False)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["case.npz", "expected.json", "mask.npz"]
    assert [line.what for line in lines][:2] == ["outcome", "findings"]
    assert differences(author(package)) == []
    said = json.loads((folder / "expected.json").read_text())
    assert said["measurements"][0]["finding"] == "Bone 1"
    with np.load(folder / "case.npz") as case_:
        assert sorted(case_) == ["affine", "array", "body_part", "modality"]
    description = (package / "model.yaml").read_text()
    (package / "model.yaml").write_text(description.replace("[300, 3000]", "[-2000, 3000]"))
    assert "segment 1: Dice" in differences(author(package))


def test_a_study_without_an_answer_is_not_recorded(tmp_path: Path) -> None:
    package = made.threshold(tmp_path / "package")
    dicom_factory.write(dicom_factory.series(modality="MR"), tmp_path / "study")
    before = (package / "known_answer" / "case.npz").read_bytes()
    with pytest.raises(ModelError, match="has no answer to this study: This is MR"):
        record(package, tmp_path / "study", trusted=False)
    assert (package / "known_answer" / "case.npz").read_bytes() == before


def test_code_of_the_package_runs_only_where_it_is_trusted(tmp_path: Path) -> None:
    package = made.network(tmp_path / "package", own_code=True)
    (package / "network.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    made.add(package, {"outcome": "none"})
    with pytest.raises(ModelError, match=r"brings code of its own: read it.*trusted_models"):
        compare_answer(author(package))
    assert not (tmp_path / "ran").exists()


def test_a_finding_that_moves_between_masks_is_one(tmp_path: Path) -> None:
    """Overlapping segments lie in several masks; which one does not count."""
    data = phantom.model_input()
    result = Threshold(phantom.package()).predict(data)
    empty: hd.Volume = data.needed_volume().with_array(np.zeros((20, 10, 10), np.uint8))
    moved = replace(result, masks=(empty, *result.masks))
    lines = compare(moved, Expected(outcome=Outcome.FINDINGS), result.masks[0].array[None])
    assert all(line.agrees for line in lines)
