"""Bundles of MONAI: the same mask as MONAI's own parts give, and nothing hostile ever runs."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
import torch
from monai.data.meta_tensor import MetaTensor
from monai.inferers.inferer import SlidingWindowInferer
from monai.transforms.compose import Compose
from monai.transforms.intensity.dictionary import ScaleIntensityRanged
from monai.transforms.post.dictionary import Activationsd, AsDiscreted, Invertd
from monai.transforms.spatial.dictionary import Orientationd, Spacingd
from numpy.typing import NDArray

from dicom_ai_node.errors import ConfigError, ModelError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.installation.install import verify
from dicom_ai_node.predict import predict
from tests import dicom_factory
from tests.models.bundle.bundles import MODEL_YAML, install_bundle, network

Configuration = dict[str, Any]
RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def data() -> ModelInput:
    """Slices, rows and columns of 5 × 2 × 3 mm: no axis lies as the network wants it."""
    array = np.random.default_rng(4).normal(-300, 300, (12, 40, 20)).astype(np.float32)
    array[3:8, 10:30, 5:15] = 400
    affine = np.array([[0, 0, 3.0, -30], [0, 2.0, 0, -40], [5.0, 0, 0, 10], [0, 0, 0, 1]])
    volume = hd.Volume(array, affine, "PATIENT", frame_of_reference_uid="1.2.3")
    return ModelInput(headers=[], volume=volume)


def by_hand(data: ModelInput, *, pixdim: tuple[float, float, float] = (4, 4, 5)) -> NDArray[Any]:
    """What the bundle's author would have written, and would have seen."""
    volume = data.needed_volume()
    before = Compose(
        [
            Orientationd(keys="image", axcodes="RAS", labels=None),
            Spacingd(keys="image", pixdim=pixdim, mode="bilinear"),
            ScaleIntensityRanged(keys="image", a_min=-1000, a_max=500, b_min=0, b_max=1, clip=True),
        ]
    )
    after = Compose(
        [
            Activationsd(keys="pred", softmax=True),
            Invertd(
                keys="pred", transform=before, orig_keys="image", nearest_interp=False,
            ),
            AsDiscreted(keys="pred", argmax=True),
        ]
    )  # fmt: skip
    found = before({"image": MetaTensor(volume.array[None], affine=RAS_LPS @ volume.affine)})
    inferer = SlidingWindowInferer([16, 16, 16], 2, overlap=0.5, padding_mode="replicate")
    with torch.inference_mode():
        found["pred"] = inferer(found["image"][None], network())[0]
    mask: NDArray[Any] = after(found)["pred"].numpy()[0]
    return mask


def test_a_bundle_of_the_zoo_gives_what_its_parts_give(tmp_path: Path, data: ModelInput) -> None:
    """References, `$` expressions, files that are loaded and saved: all as they are published."""
    (mask,) = open_model(install_bundle(tmp_path)).predict(data).masks
    expected = by_hand(data)
    assert 0 < np.count_nonzero(expected) < expected.size
    np.testing.assert_array_equal(mask.array, expected)


def test_from_install_to_seg_and_sr(tmp_path: Path) -> None:
    dicom_factory.write(dicom_factory.series(), tmp_path / "study")
    model = install_bundle(tmp_path)
    ((folder, report),) = predict(tmp_path / "study", model, tmp_path / "out")
    assert report.outcome is Outcome.FINDINGS
    seg = hd.seg.segread(folder / "1-seg.dcm")
    assert seg.number_of_segments == 1
    assert seg.get_segment_description(1).segment_label == "Box"
    (group,) = hd.sr.srread(folder / "2-sr.dcm").content.get_volumetric_roi_measurement_groups()
    assert group.tracking_identifier == "Box 1"
    assert "model.yaml" in model.files
    assert "bundle/models/model.pt" in model.files


def test_what_model_yaml_says_wins(tmp_path: Path, data: ModelInput) -> None:
    """Steps of its own in the place of the bundle's, which may then be beyond understanding."""
    model_yaml = MODEL_YAML + (
        "preprocess:\n"
        "  - {name: Orientation, axcodes: RAS}\n"
        "  - {name: Spacing, pixdim: [8, 4, 5]}\n"
        "  - {name: ScaleIntensityRange, a_min: -1000, a_max: 500, b_min: 0, b_max: 1,\n"
        "     clip: true}\n"
    )

    def change(inference: Configuration) -> None:
        inference["preprocessing"]["transforms"].append({"_target_": "scripts.steps.Mined"})

    (mask,) = (
        open_model(install_bundle(tmp_path, change, model_yaml=model_yaml)).predict(data).masks
    )
    np.testing.assert_array_equal(mask.array, by_hand(data, pixdim=(8, 4, 5)))


def test_a_bundle_that_leaves_axes_alone_must_say_how_they_lay(
    tmp_path: Path, data: ModelInput
) -> None:
    """DICOM's axes are not those of the files that it was trained on."""

    def change(inference: Configuration) -> None:
        del inference["preprocessing"]["transforms"][2]

    with pytest.raises(ModelError, match=r"say in model\.yaml how they lay in training"):
        open_model(install_bundle(tmp_path / "a", change))
    said = install_bundle(tmp_path / "b", change, model_yaml=MODEL_YAML + "orientation: RAS\n")
    (mask,) = open_model(said).predict(data).masks
    np.testing.assert_array_equal(mask.array, by_hand(data))


def test_yaml_and_metadata_are_read_as_data(tmp_path: Path, data: ModelInput) -> None:
    files = {
        "bundle/configs/inference.yaml": b"""
network_def: {_target_: monai.networks.nets.UNet, spatial_dims: 3, in_channels: '@_meta_::inputs',
  out_channels: 2, channels: [4, 8], strides: [2], num_res_units: 1, norm: batch}
preprocessing:
- {_target_: LoadImaged, keys: image}
- {_target_: Orientationd, keys: image, axcodes: RAS}
- {_target_: SpacingD, keys: image, pixdim: [4, 4, 5]}
- {_target_: Compose, transforms: "$@scaling + []"}
scaling:
- {_target_: ScaleIntensityRanged, keys: image, a_min: -1000, a_max: 500, b_min: 0, b_max: 1,
   clip: true}
inferer: {_target_: monai.inferers.SlidingWindowInferer, roi_size: [16, 16, 16], overlap: $1 / 2,
  padding_mode: replicate}
postprocessing: '@post'
post:
- {_target_: Activationsd, keys: pred, softmax: true}
- {_target_: Invertd, keys: pred, nearest_interp: false, transform: '@preprocessing'}
- {_target_: AsDiscreted, keys: pred, argmax: true}
- {_target_: KeepLargestConnectedComponentd, keys: pred, _disabled_: true}
""",
        "bundle/configs/metadata.json": b'{"inputs": 1}',
    }
    model_yaml = MODEL_YAML + "configuration: configs/inference.yaml\n"
    model = install_bundle(tmp_path, model_yaml=model_yaml, files=files)
    (mask,) = open_model(model).predict(data).masks
    np.testing.assert_array_equal(mask.array, by_hand(data))


def hostile(text: str, *place: str | int) -> Callable[[Configuration], None]:
    """A change that writes a text at a place of the configuration."""

    def change(inference: Configuration) -> None:
        found: Any = inference
        for key in place[:-1]:
            found = found[key]
        found[place[-1]] = text

    return change


TOUCH = "__import__('os').system('touch {mark}')"
CODE = [
    f"${TOUCH}",
    f"$[{TOUCH}, 1][1]",
    f"$(lambda: {TOUCH})()",
    f"$[x for x in ({TOUCH},)]",
    f"$torch.device({TOUCH})",
    "$open('{mark}', 'w')",
    "$@network_def.__class__",
    "$'a' * 10 ** 10",
    "%{mark}::x",
]
NEEDED: list[tuple[str | int, ...]] = [
    ("pixdim",),
    ("network_def", "in_channels"),
    ("inferer", "overlap"),
    ("postprocessing", "transforms", 2, "argmax"),
    ("postprocessing",),
]


@pytest.mark.fault("E13")
@pytest.mark.parametrize(
    ("place", "text"),
    [
        *((("preprocessing", "transforms", 3, "pixdim"), text) for text in CODE),
        *((place, CODE[0]) for place in NEEDED),
    ],
    ids=str,
)
def test_an_expression_that_is_code_is_refused(
    tmp_path: Path, place: tuple[str | int, ...], text: str
) -> None:
    """In whatever part that the node needs; the sentence says what to read."""
    mark = tmp_path / "mark"
    model = install_bundle(tmp_path, hostile(text.format(mark=mark), *place))
    with pytest.raises(ModelError, match=r"code of its own .*node\.trusted_models: \[[0-9a-f]+\]"):
        open_model(model)
    assert not mark.exists()


@pytest.mark.fault("E13")
@pytest.mark.parametrize(
    "place",
    [
        ("imports",),
        ("initialize",),
        ("run",),
        ("device",),
        ("evaluator", "network"),
        ("dataset", "data"),
        ("preprocessing", "transforms", 0, "reader"),
        ("postprocessing", "transforms", 3, "output_dir"),
    ],
    ids=str,
)
def test_code_in_parts_that_are_not_needed_stays_asleep(
    tmp_path: Path, data: ModelInput, place: tuple[str | int, ...]
) -> None:
    mark = tmp_path / "mark"
    model = install_bundle(tmp_path, hostile(f"${TOUCH.format(mark=mark)}", *place))
    (mask,) = open_model(model).predict(data).masks
    assert mask.array.any()
    assert not mark.exists()


@pytest.mark.fault("E13")
@pytest.mark.parametrize(
    ("section", "target"),
    [
        ("network_def", "os.system"),
        ("network_def", "subprocess.Popen"),
        ("network_def", "scripts.networks.Net"),
        ("network_def", "monai.networks.netsx.Net"),
        ("network_def", "builtins.exec"),
        ("inferer", "subprocess.Popen"),
        ("inferer", "monai.bundle.run"),
        ("preprocessing", "os.system"),
    ],
)
def test_a_target_outside_monai_is_refused(tmp_path: Path, section: str, target: str) -> None:
    mark = tmp_path / "mark"

    def change(inference: Configuration) -> None:
        inference[section] = {"_target_": target, "args": ["touch", str(mark)], "command": "x"}

    with pytest.raises(ModelError, match="code of its own"):
        open_model(install_bundle(tmp_path, change))
    assert not mark.exists()


@pytest.mark.fault("E13")
@pytest.mark.parametrize(
    "transform",
    [
        {"_target_": "Lambdad", "keys": "image", "func": "$lambda x: x"},
        {"_target_": "ScaleIntensityd", "keys": "image", "_requires_": "$print(1)"},
        {"_target_": "ScaleIntensityd", "keys": "image", "_mode_": "debug"},
        {"_target_": "CropForegroundd", "keys": "image", "select_fn": {"_target_": "os.system"}},
        {"_target_": "monai.transforms.ImageStats", "ops": ["mean"]},
    ],
    ids=str,
)
def test_a_transform_that_is_no_plain_step_is_refused(
    tmp_path: Path, transform: Configuration
) -> None:
    def change(inference: Configuration) -> None:
        inference["preprocessing"]["transforms"].append(transform)

    with pytest.raises(ModelError, match="code of its own"):
        open_model(install_bundle(tmp_path, change))


@pytest.mark.fault("E13")
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"run: !!python/object/apply:os.system ['touch {mark}']", "no plain YAML"),
        (b"network_def: *missing", "no plain YAML"),
        (b"- 1", "not the configuration of a bundle"),
        (b"a: &a [*a]\nnetwork_def: *a", "repeats itself|nested too deeply|code of its own"),
        (b"network_def: '@a'\na: '@b'\nb: '@a'", "refers to itself"),
        (b"network_def: '@nowhere::1'", "which is not there"),
        (
            b"a0: [1, 1]\n" + b"".join(b"a%d: ['@a%d', '@a%d']\n" % (i, i - 1, i - 1)
            for i in range(1, 40)) + b"network_def: {_target_: UNet, x: '@a39'}",
            "repeats itself",
        ),
    ],
    ids=["tag", "alias", "list", "ring", "circle", "nowhere", "bomb"],
)  # fmt: skip
def test_hostile_yaml_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    mark = tmp_path / "mark"
    files = {"bundle/configs/inference.yaml": content.replace(b"{mark}", bytes(mark))}
    model_yaml = MODEL_YAML + "configuration: configs/inference.yaml\n"
    with pytest.raises(ModelError, match=sentence):
        open_model(install_bundle(tmp_path, model_yaml=model_yaml, files=files))
    assert not mark.exists()


@pytest.mark.fault("E13")
@pytest.mark.parametrize("weights", ["../../secret.pt", "/etc/passwd", "models/../../x"])
def test_weights_lie_in_the_package(tmp_path: Path, weights: str) -> None:
    with pytest.raises(ConfigError, match="weights"):
        install_bundle(tmp_path, model_yaml=f"{MODEL_YAML}weights: {weights}\n")


class Hostile:
    """Pickled as a call of os.system."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.fault("E13")
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_in_the_place_of_weights_is_not_loaded(tmp_path: Path, zipped: bool) -> None:
    """Neither as torch writes it today, nor as it did."""
    mark = tmp_path / "mark"
    written = io.BytesIO()
    hostile = {"state_dict": Hostile(mark)}
    torch.save(hostile, written, _use_new_zipfile_serialization=zipped)
    files = {"bundle/models/model.pt": written.getvalue()}
    with pytest.raises((ConfigError, ModelError), match=r"pickle|than tensors|plain state dict"):
        open_model(install_bundle(tmp_path, files=files))
    assert not mark.exists()


SCRIPT = b"""
from monai.networks.nets import UNet

class Net(UNet):
    pass
"""


def with_code(inference: Configuration) -> None:
    """As some of the zoo: a network of the bundle's own, and a step that is a function."""
    inference["network_def"]["_target_"] = "scripts.net.Net"
    inference["postprocessing"]["transforms"].insert(
        3, {"_target_": "Lambdad", "keys": "pred", "func": "$lambda x: x * (x > 0)"}
    )
    inference["preprocessing"]["transforms"][2]["labels"] = None


def test_a_bundle_with_code_runs_once_it_is_trusted(tmp_path: Path, data: ModelInput) -> None:
    """By MONAI's own parser, and with the same answer; what is not needed stays asleep."""
    before = list(sys.path)
    files = {"bundle/scripts/net.py": SCRIPT, "bundle/configs/metadata.json": b"{}"}
    mark = tmp_path / "mark"

    def change(inference: Configuration) -> None:
        with_code(inference)
        inference["run"] = f"${TOUCH.format(mark=mark)}"

    untrusted = install_bundle(tmp_path / "untrusted", change, files=files)
    with pytest.raises(ModelError, match=r"scripts\.net\.Net, which is not of monai"):
        open_model(untrusted)
    trusted = install_bundle(tmp_path / "trusted", change, files=files, trusted=True)
    (mask,) = open_model(trusted).predict(data).masks
    np.testing.assert_array_equal(mask.array, by_hand(data))
    assert not mark.exists()
    assert sys.path == before
    assert not [
        name
        for name in sys.modules
        if name.partition(".")[0] == "scripts"
        and str(tmp_path) in str([*getattr(sys.modules[name], "__path__", [])])
    ]
    verify(trusted)


def test_two_bundles_have_their_own_scripts(tmp_path: Path) -> None:
    """Both have a module of the same name; one's fails, and says so."""
    good = {"bundle/scripts/net.py": SCRIPT}
    bad = {"bundle/scripts/net.py": b"raise ImportError('not here')"}
    open_model(install_bundle(tmp_path / "good", with_code, files=good, trusted=True))
    with pytest.raises(ModelError, match="code of the bundle box failed"):
        open_model(install_bundle(tmp_path / "bad", with_code, files=bad, trusted=True))
