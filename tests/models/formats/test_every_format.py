"""One network in every format of networks: from `models install` to the same SEG and SR."""

import io
from pathlib import Path

import highdicom as hd
import numpy as np
import onnx
import pydicom
import pytest
import torch
from monai.networks.nets.basic_unet import BasicUNet
from onnx import TensorProto, helper
from safetensors.torch import save
from torch import Tensor, nn

from dicom_ai_node.config.store import find
from dicom_ai_node.job import Outcome
from dicom_ai_node.predict import predict
from tests import dicom_factory
from tests.models.network.packages import ARGMAX, installed

STEPS = [{"name": "ScaleIntensityRange", "a_min": -1000, "a_max": 1000, "b_min": 0, "b_max": 1}]
WINDOWS = {"kind": "sliding_window", "roi_size": [16, 16, 16]}
LEVEL = 0.65  # 300 HU, as the steps scale them
UNET = {"spatial_dims": 3, "out_channels": 2, "features": [4, 4, 4, 4, 4, 4], "norm": "batch"}


class Bright(nn.Module):
    """Class 1 is the image, class 0 a constant."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.full_like(x, LEVEL), x], 1)


def state_dict() -> dict[str, Tensor]:
    """Of a BasicUNet that answers as `Bright` does."""
    network = BasicUNet(**{**UNET, "features": (4,) * 6})
    state = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    for name, value in state.items():
        if name.endswith(("adn.N.weight", "running_var")):
            value += 1
    convs = ("conv_0.conv_0", "conv_0.conv_1", "upcat_1.convs.conv_0", "upcat_1.convs.conv_1")
    for layer in convs:
        state[f"{layer}.conv.weight"][0, 0, 1, 1, 1] = 1
    state["final_conv.weight"][1, 0] = 1
    state["final_conv.bias"][0] = LEVEL
    return state


def state_dict_of_torch() -> bytes:
    content = io.BytesIO()
    torch.save({"epoch": 7, "state_dict": state_dict()}, content)
    return content.getvalue()


def program() -> bytes:
    content = io.BytesIO()
    window = torch.zeros(1, 1, 16, 16, 16)
    batch = {"x": {0: torch.export.Dim("batch")}}
    torch.export.save(
        torch.export.export(Bright(), (window.expand(2, -1, -1, -1, -1),), dynamic_shapes=batch),
        content,
    )
    return content.getvalue()


def graph() -> bytes:
    weight = helper.make_tensor("weight", TensorProto.FLOAT, (2, 1, 1, 1, 1), [0.0, 1.0])
    bias = helper.make_tensor("bias", TensorProto.FLOAT, (2,), [LEVEL, 0.0])
    shape = ["n", 1, "d", "h", "w"]
    made = helper.make_graph(
        [helper.make_node("Conv", ["image", "weight", "bias"], ["scores"])],
        "bright",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2, *shape[2:]])],
        [weight, bias],
    )
    opset = helper.make_opsetid("", 17)
    whole: bytes = helper.make_model(made, opset_imports=[opset], ir_version=9).SerializeToString()
    onnx.load_from_string(whole)
    return whole


TORCH = {"network": {"name": "BasicUNet", "arguments": UNET}, "weights": {"file": "model"}}
FORMATS = {
    "safetensors": ("torch", lambda: save(state_dict()), {**TORCH, "backend": "auto"}),
    "state dict": ("torch", state_dict_of_torch, {**TORCH, "backend": "torch"}),
    "pt2": ("torch_export", program, {"program": {"file": "model"}, "backend": "auto"}),
    "onnx": ("onnx", graph, {"graph": {"file": "model"}, "backend": "onnxruntime"}),
    "openvino": ("onnx", graph, {"graph": {"file": "model"}, "backend": "openvino"}),
}


@pytest.mark.parametrize("name", FORMATS)
def test_from_install_to_seg_and_sr(tmp_path: Path, name: str) -> None:
    kind, content, fields = FORMATS[name]
    installed(
        tmp_path, kind, {"model": content()}, preprocess=STEPS, inference=WINDOWS,
        outputs=[ARGMAX], **fields,
    )  # fmt: skip
    series = dicom_factory.series(name=f"format-{kind}")
    dicom_factory.write(series, tmp_path / "study")
    model = find(tmp_path / "store", "small")
    ((folder, report),) = predict(tmp_path / "study", model, tmp_path / "out")
    assert report.outcome is Outcome.FINDINGS
    source = hd.get_volume_from_series(series)
    bright = source.array == 400
    seg = hd.seg.segread(folder / "1-seg.dcm")
    mask = seg.get_volume(combine_segments=True).match_geometry(source)
    np.testing.assert_array_equal(mask.array > 0, bright)
    sr = pydicom.dcmread(folder / "2-sr.dcm")
    ((_, what, value, unit),) = report.measurements
    expected = bright.sum() * source.voxel_volume / 1000
    assert (what, unit) == ("Volume", "mL")
    assert value == pytest.approx(expected, abs=1e-3)
    assert sr.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
