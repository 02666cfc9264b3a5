"""Programs as models: real ones, given folders, whose answers are believed only where they fit."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from ruamel.yaml import YAML
from scipy.spatial.transform import Rotation

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.errors import ConfigError, ModelChanged, ModelError, ProgramFailed
from dicom_ai_node.input import ModelInput
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.installation.install import install_folder
from dicom_ai_node.models.program.run import ended
from dicom_ai_node.predict import predict
from dicom_ai_node.result import Answer, Result
from tests import dicom_factory
from tests.models.phantom import model_input

BONE = {
    "number": 1,
    "label": "Bone",
    "category": "SCT:91723000:Anatomical Structure",
    "type": "SCT:272673000:Bone",
}
BOX = {**BONE, "number": 2, "label": "Box"}
THRESHOLD = """
import os, sys
import nibabel as nib
import numpy as np
image = nib.load(os.path.join(sys.argv[1], "image.nii.gz"))
assert nib.aff2axcodes(image.affine) == ("R", "A", "S"), image.affine
inside = (np.asanyarray(image.dataobj) > 300).astype(np.uint8)
nib.save(nib.Nifti1Image(inside, image.affine), sys.argv[2] + "/anything.nii.gz")
"""
MAP = """
import os, glob
import highdicom as hd
import numpy as np
import pydicom
from pydicom.sr.codedict import codes
sources = [pydicom.dcmread(f) for f in glob.glob(os.environ["HOLOSCAN_INPUT_PATH"] + "/*#*.dcm")]
sources.sort(key=lambda ds: -ds.ImagePositionPatient[2])
mask = np.stack([ds.pixel_array for ds in sources]) > 300
description = hd.seg.SegmentDescription(
    1, "Found by the MAP", codes.SCT.AnatomicalStructure, codes.SCT.Bone,
    hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
    hd.AlgorithmIdentificationSequence("map", codes.DCM.ArtificialIntelligence, "1"))
seg = hd.seg.Segmentation(
    sources, mask, hd.seg.SegmentationTypeValues.BINARY, [description], hd.UID(), 1, hd.UID(), 1,
    "maker", "map", "1", "0")
seg.save_as(os.environ["MERCURE_OUT_DIR"] + "/seg.dcm")
"""


def install(
    home: Path, command: list[str], contents: dict[str, bytes] | None = None, **keys: Any
) -> InstalledModel:
    source = home / "source"
    source.mkdir(parents=True)
    described = {"kind": "command", "name": "tool", "version": "1.0", "title": "Tool"}
    segments = {"segments": [BONE]}
    with (source / "model.yaml").open("w") as file:
        YAML(typ="safe").dump({**described, "command": command, **segments, **keys}, file)
    for name, content in (contents or {}).items():
        (source / name).write_bytes(content)
    return install_folder(source, home / "store").model_copy(update={"trusted": True})


def run(home: Path, command: list[str], data: ModelInput | None = None, **keys: Any) -> Result:
    return open_model(install(home, command, **keys)).predict(data or model_input())


def nifti(array: NDArray[Any], affine: NDArray[Any] | None = None) -> bytes:
    """As a file of the phantom's grid, RAS."""
    if affine is None:
        affine = np.diag([-1, -1, 1, 1]) @ model_input().needed_volume().affine
    return bytes(nib.Nifti1Image(array, affine).to_bytes())


def copy(*names: str) -> list[str]:
    return ["cp", *(f"{{model}}/{name}" for name in names), "{output}"]


def phantom_mask() -> NDArray[np.uint8]:
    mask = np.zeros((20, 10, 10), np.uint8)
    mask[3] = 1
    return mask


def test_from_install_to_seg_and_sr(tmp_path: Path) -> None:
    """A script that knows NIfTI alone, on DICOM files."""
    dicom_factory.write(dicom_factory.series(), tmp_path / "study")
    command = [sys.executable, "{model}/run.py", "{input}", "{output}"]
    model = install(tmp_path, command, {"run.py": THRESHOLD.encode()})
    ((folder, report),) = predict(tmp_path / "study", model, tmp_path / "out")
    assert report.outcome is Outcome.FINDINGS
    seg = hd.seg.segread(folder / "1-seg.dcm")
    found = seg.get_volume(combine_segments=True)
    expected = np.count_nonzero(dicom_factory.asymmetric((12, 48, 40)) > 0)
    assert np.count_nonzero(found.array) == expected
    (group,) = hd.sr.srread(folder / "2-sr.dcm").content.get_volumetric_roi_measurement_groups()
    assert group.tracking_identifier == "Bone 1"
    assert sorted(path.name for path in model.folder.iterdir()) == [
        "manifest.json",
        "model.yaml",
        "run.py",
    ]


def test_a_store_may_be_named_by_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `models: ./models` does: the program starts in another folder than the node."""
    model = install(tmp_path, copy("mask.nii"), {"mask.nii": nifti(phantom_mask())})
    monkeypatch.chdir(tmp_path)
    near = model.model_copy(update={"folder": model.folder.relative_to(tmp_path)})
    (mask,) = open_model(near).predict(model_input()).masks
    assert np.array_equal(mask.array, phantom_mask())


def test_a_module_of_mercure_or_a_map_answers_with_dicom_seg(tmp_path: Path) -> None:
    """DICOM in, named as mercure names it, and DICOM SEG out, whose segment has another name."""
    dicom_factory.write(dicom_factory.series(), tmp_path / "study")
    model = install(
        tmp_path,
        [sys.executable, "{model}/run.py"],
        {"run.py": MAP.encode()},
        give="dicom",
        naming="mercure",
        take="dicom_seg",
        segments=[BOX],
        labels={2: "Found by the MAP"},
    )
    ((folder, report),) = predict(tmp_path / "study", model, tmp_path / "out")
    assert report.outcome is Outcome.FINDINGS
    seg = hd.seg.segread(folder / "1-seg.dcm")
    expected = np.count_nonzero(dicom_factory.asymmetric((12, 48, 40)) > 0)
    assert np.count_nonzero(seg.get_volume(combine_segments=True).array) == expected
    assert seg.get_segment_description(1).segment_label == "Box"


def test_a_label_map_is_taken_as_it_lies(tmp_path: Path) -> None:
    contents = {"answer.nii": nifti(phantom_mask())}
    (mask,) = run(tmp_path, copy("answer.nii"), contents=contents).masks
    np.testing.assert_array_equal(mask.array, phantom_mask())


def test_a_mask_on_axes_of_its_own_is_brought_back(tmp_path: Path) -> None:
    """Turned and flipped, as tools like to: its affine says where it lies."""
    affine = np.diag([-1, -1, 1, 1]) @ model_input().needed_volume().affine
    image = nib.as_closest_canonical(nib.Nifti1Image(phantom_mask(), affine))
    turned = np.asanyarray(image.dataobj).transpose(2, 0, 1)
    contents = {"answer.nii": nifti(turned, image.affine[:, [2, 0, 1, 3]])}
    (mask,) = run(tmp_path, copy("answer.nii"), contents=contents).masks
    np.testing.assert_array_equal(mask.array, phantom_mask())


@pytest.mark.parametrize("orientation", ["RAS", "LPI", "SLA"])
def test_oblique_images_come_back_voxel_for_voxel(tmp_path: Path, orientation: str) -> None:
    """Through a file whose places are float32: the program gives back what it was given."""
    turn = Rotation.from_euler("xyz", [12, -17, 31], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([0.7, 0.4883, 3.3])
    affine[:3, 3] = (-123.456, 87.654, -321.987)
    array = np.random.default_rng(1).integers(0, 2, (60, 50, 12)).astype(np.float32)
    volume = hd.Volume(array, affine, "PATIENT", frame_of_reference_uid="1.2.3")
    command = ["cp", "{input}/image.nii.gz", "{output}"]
    data = replace(model_input(), volume=volume)
    (mask,) = run(tmp_path, command, data, orientation=orientation).masks
    np.testing.assert_array_equal(mask.array, array)


def test_a_coarser_mask_gives_the_nearest_voxels(tmp_path: Path) -> None:
    data = model_input()
    affine = np.diag([-1, -1, 1, 1]) @ data.needed_volume().affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    coarse = np.zeros((10, 5, 5), np.uint8)
    coarse[4, 2, 2] = 1
    contents = {"answer.nii": nifti(coarse, affine)}
    (mask,) = run(tmp_path, copy("answer.nii"), contents=contents).masks
    assert mask.array[8, 4, 4] == 1
    assert 1 < np.count_nonzero(mask.array) <= 27


def test_a_file_for_each_segment_may_overlap_another(tmp_path: Path) -> None:
    other = np.zeros((20, 10, 10), np.uint8)
    other[2:5, :5] = 1
    result = run(
        tmp_path,
        copy("bone.nii", "box.nii"),
        contents={"bone.nii": nifti(phantom_mask()), "box.nii": nifti(other)},
        segments=[BONE, BOX],
        files={1: "bone.nii", 2: "box.nii"},
    )
    assert [set(np.unique(mask.array)) for mask in result.masks] == [{0, 1}, {0, 2}]
    assert [finding.tracking_identifier for finding in result.findings] == ["Bone 1", "Box 1"]


def test_labels_say_which_of_many_count(tmp_path: Path) -> None:
    """As of TotalSegmentator, which marks a hundred structures in one file."""
    many = phantom_mask() * np.uint8(51)
    many[10] = 7
    (mask,) = run(tmp_path, copy("a.nii"), contents={"a.nii": nifti(many)}, labels={1: 51}).masks
    np.testing.assert_array_equal(mask.array, phantom_mask())


def test_nnunet_finds_its_channels(tmp_path: Path) -> None:
    """By number, zeros in the place of an optional input that is not there; whole HU as int16."""
    script = """
import sys, os, json
import nibabel as nib
import numpy as np
folder, out = sys.argv[1:]
images = [nib.load(os.path.join(folder, name)) for name in sorted(os.listdir(folder))]
said = [[str(i.get_data_dtype()), float(np.asanyarray(i.dataobj).max())] for i in images]
assert sorted(os.listdir(folder)) == ["image_0000.nii.gz", "image_0001.nii.gz"]
assert said == [["int16", 500.0], ["int16", 0.0]], said
assert nib.aff2axcodes(images[0].affine) == ("L", "P", "S")
json.dump({}, open(os.path.join(out, "result.json"), "w"))
"""
    result = run(
        tmp_path,
        [sys.executable, "{model}/run.py", "{input}", "{output}"],
        contents={"run.py": script.encode()},
        inputs=["t1", "t2"],
        naming="nnunet",
        orientation="LPS",
        take="json",
    )
    assert result.outcome is Outcome.NONE


ANSWER = {
    "findings": [
        {
            "label": "Fracture",
            "code": "SCT:72704001:Fracture",
            "probability": 0.75,
            "box": {"low": [0, 0, 30], "high": [4, 8, 40]},
            "measurements": [
                {"name": "SCT:410668003:Length", "value": 12.5, "unit": "UCUM:mm:millimeter"}
            ],
        },
        {"label": "The bone", "code": "SCT:272673000:Bone", "segment": 1, "probability": 1},
    ],
    "assessments": [{"code": "SCT:36118008:Pneumothorax", "probability": 0.01}],
}


def test_what_is_no_mask_stands_in_result_json(tmp_path: Path) -> None:
    contents = {"a.nii": nifti(phantom_mask()), "result.json": json.dumps(ANSWER).encode()}
    result = run(tmp_path, copy(*contents), contents=contents, take=["nifti", "json"])
    bone, fracture = result.findings
    assert (bone.tracking_identifier, bone.segment_number, bone.probability) == ("The bone", 1, 1)
    assert [measured.value for measured in bone.measurements] == [3.0]
    assert fracture.region is not None
    np.testing.assert_array_equal(fracture.region.center, [2, 4, 35])
    np.testing.assert_array_equal(fracture.region.half_axes, np.diag([2, 4, 5]))
    assert [measured.value for measured in fracture.measurements] == [12.5]
    assert [each.answer for each in result.assessments] == [Answer.ABSENT]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"not_suitable": "The arms are in the way."}, Outcome.NOT_SUITABLE),
        ({}, Outcome.NONE),
        (
            {"assessments": [{"code": "SCT:72704001:Fracture", "answer": "undecided"}]},
            Outcome.ABSTAINED,
        ),
    ],
)
def test_an_answer_without_findings_has_a_reason(
    tmp_path: Path, answer: dict[str, Any], outcome: Outcome
) -> None:
    contents = {"result.json": json.dumps(answer).encode()}
    result = run(tmp_path, copy("result.json"), contents=contents, take="json")
    assert result.outcome is outcome
    assert result.reason


ELSEWHERE = np.diag([2.0, 3.0, 5.0, 1.0])
SHEARED = np.array([[2.0, 1, 0, 0], [0, 3, 0, 0], [0, 0, 5, 0], [0, 0, 0, 1]])


@pytest.mark.fault("E3", "E5")
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "gave no output: its folder holds no NIfTI"),
        (b"not an image", "is no NIfTI"),
        (nifti(phantom_mask())[:500], "is no NIfTI"),
        (nifti(phantom_mask()[0]), "no volume with a place"),
        (nifti(phantom_mask(), SHEARED), "axes are not at right angles"),
        (nifti(phantom_mask(), ELSEWHERE), "does not lie where the images lie"),
        (nifti(np.zeros((4, 4, 4), np.uint8), ELSEWHERE * 100), "does not lie where the images"),
        (nifti(phantom_mask() * np.float32(0.5)), "values are no labels"),
        (nifti(phantom_mask() * np.float32(np.nan)), "values are no labels"),
        (nifti(phantom_mask().astype(np.int16) * -1), "values are no labels"),
        (nifti(phantom_mask() * np.uint8(9)), "the number 9, which no segment has"),
    ],
    ids=[
        "none",
        "garbage",
        "short",
        "plane",
        "shear",
        "away",
        "empty",
        "half",
        "nan",
        "negative",
        "nine",
    ],
)
def test_what_is_no_mask_of_these_images_is_refused(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    contents = {} if content is None else {"a.nii": content}
    command = ["true"] if content is None else copy("a.nii")
    with pytest.raises(ModelError, match=sentence):
        run(tmp_path, command, contents=contents)


@pytest.mark.fault("E3")
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is no JSON"),
        (b'{"findings": NaN}', "is no JSON"),
        (b'{"Doe^John": 1}', "not as described: it: unknown key"),
        (b'{"findings": [{"label": "Doe^John"}]}', r"not as described: findings\.0: missing"),
        (b'{"not_suitable": ""}', "not as described"),
        (b"[" * 100_000, "is no JSON"),
        (
            b'{"findings": [{"label": "x", "code": "SCT:1:x", "segment": 1}]}',
            "speaks of the segment 1",
        ),
    ],
    ids=["empty", "nan", "key", "value", "blank", "deep", "segment"],
)
def test_a_result_json_that_is_not_as_described_is_refused(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    """And what it holds is not repeated: it may name the patient."""
    with pytest.raises(ModelError, match=sentence) as refused:
        run(tmp_path, copy("result.json"), contents={"result.json": content}, take="json")
    assert "Doe" not in str(refused.value)


@pytest.mark.fault("E1")
def test_a_program_that_fails_is_a_failed_attempt(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its words are neither shown nor logged; the kind of its failure is."""
    words = "import sys; print('Doe^John'); raise MemoryError('Doe^John')"
    with pytest.raises(ProgramFailed, match=r"tool 1\.0 ended badly \(status 1, MemoryError\)$"):
        run(tmp_path, [sys.executable, "-c", words])
    assert "Doe" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("status", "stderr", "words"),
    [
        (-9, b"", "killed, perhaps for want of memory"),
        (137, b"", "killed, perhaps for want of memory"),
        (-11, b"", "signal SIGSEGV"),
        (2, b"torch.cuda.OutOfMemoryError: CUDA out of memory", "status 2, OutOfMemoryError"),
        (2, b"Doe^John was not found\nJohnDoeError: John", "status 2"),
        (0, b"ValueError: caught", "status 0"),
    ],
)
def test_how_a_program_ended(status: int, stderr: bytes, words: str) -> None:
    assert ended(status, stderr) == words


def test_a_program_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="needs the program TotalSegmentator, which is not"):
        run(tmp_path, ["TotalSegmentator", "-i", "{input}/image.nii.gz"])


def test_a_link_in_the_output_is_not_followed(tmp_path: Path) -> None:
    contents = {"a.nii": nifti(phantom_mask())}
    with pytest.raises(ModelError, match="gave no output"):
        run(tmp_path, ["ln", "-s", "{model}/a.nii", "{output}/a.nii"], contents=contents)


@pytest.mark.fault("E12")
def test_a_program_that_was_changed_is_not_started(tmp_path: Path) -> None:
    model = install(tmp_path, ["sh", "{model}/run.sh"], {"run.sh": b"true"})
    (model.folder / "run.sh").write_text("false")
    with pytest.raises(ModelChanged, match=r"run\.sh"):
        open_model(model)


def test_code_needs_trust(tmp_path: Path) -> None:
    model = install(tmp_path, ["true"]).model_copy(update={"trusted": False})
    with pytest.raises(ModelError, match="brings code of its own"):
        open_model(model)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"naming": "nnunet", "give": "dicom"}, "naming: nnunet needs give: nifti"),
        ({"naming": "mercure"}, "naming: mercure needs give: dicom"),
        ({"files": {9: "a.nii"}}, "files and labels are of segments"),
        ({"files": {1: "../a.nii"}}, "files.1"),
        ({"segments": []}, "describe its segments"),
        ({"input": "images"}, "input: images needs give: dicom"),
        ({"environment": {"A B": "x"}}, "environment"),
    ],
    ids=str,
)
def test_keys_that_do_not_fit_together(tmp_path: Path, keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        install(tmp_path, ["true"], **keys)


def test_a_program_sees_only_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variables of ours, no text that a shell would run, and folders of the attempt."""
    monkeypatch.setenv("DICOM_AI_NODE__NODE__DATABASE", "postgresql://user:secret@host/db")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "attempt"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "attempt").mkdir()
    seen = tmp_path / "seen"
    command = [sys.executable, "-c", f"""
import json, os, sys
json.dump([dict(os.environ), sys.argv[1:], os.getcwd()], open({str(seen)!r}, "w"))
open(os.environ["DICOM_AI_NODE_OUTPUT_DIR"] + "/result.json", "w").write("{{}}")
""", "$(touch x); {nothing}", "-o={output}"]  # fmt: skip
    run(tmp_path, command, take="json", environment={"nnUNet_results": "{model}/weights"})
    variables, arguments, folder = json.loads(seen.read_text())
    assert "secret" not in seen.read_text()
    assert "PYTHONPATH" not in variables
    assert folder.startswith(str(tmp_path / "attempt"))
    assert variables["TMPDIR"].startswith(folder)
    output = variables["DICOM_AI_NODE_OUTPUT_DIR"]
    assert arguments == ["$(touch x); {nothing}", f"-o={output}"]
    assert {variables[name] for name in ("MERCURE_OUT_DIR", "HOLOSCAN_OUTPUT_PATH")} == {output}
    assert variables["MERCURE_IN_DIR"] == variables["HOLOSCAN_INPUT_PATH"] != output
    model = variables["HOLOSCAN_MODEL_PATH"]
    assert variables["nnUNet_results"] == f"{model}/weights"
    assert list((tmp_path / "attempt").iterdir()) == []


@pytest.mark.fault("E2")
@pytest.mark.skipif(sys.platform != "linux", reason="prctl is of Linux")
def test_a_program_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Killed as a watchdog kills: without a chance to clean up."""
    code = f"""
from pathlib import Path
from dicom_ai_node.models.program.run import environment, run
home = Path({str(tmp_path)!r})
run(["sh", "-c", "echo $$ > pid; exec sleep 600"], home, environment(home, {{}}), label="x")
"""
    node = subprocess.Popen([sys.executable, "-c", code])
    written = tmp_path / "pid"
    _until(lambda: written.exists() and written.read_text().endswith("\n"))
    program = int(written.read_text())
    os.kill(program, 0)
    node.send_signal(signal.SIGKILL)
    node.wait()
    _until(lambda: not _alive(program))


def _until(holds: Any) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    """A zombie, which nobody in a container may reap, is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_name_that_the_program_chose_is_not_repeated(tmp_path: Path) -> None:
    """Many programs name files after the patient."""
    model = install(tmp_path, copy("SMITH_JOHN.nii"), {"SMITH_JOHN.nii": b"none"})
    with pytest.raises(ModelError, match="gave its NIfTI file, which is no NIfTI") as raised:
        open_model(model).predict(model_input())
    assert "SMITH" not in str(raised.value)
