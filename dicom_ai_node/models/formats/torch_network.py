"""A network of MONAI, or of the package's own module, with a state dict from the package."""

import importlib.util
import io
import pickle
import warnings
from collections.abc import Mapping
from typing import cast

import monai.networks.nets
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import TorchPackage
from dicom_ai_node.config.network import NetworkEntry
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.backends.choose import on_backend
from dicom_ai_node.models.formats.torch_device import choose_device
from dicom_ai_node.models.network.model import NetworkModel
from dicom_ai_node.models.pinned import read_pinned
from dicom_ai_node.models.protocol import Model


def open_torch(installed: InstalledModel, package: TorchPackage) -> Model:
    network = build_network(installed, package.network)
    load_state(network, read_pinned(installed, package.weights.file), package.name)
    device = choose_device(package.device)
    network.eval().to(device)
    return NetworkModel(package, on_backend(network, package, device), network)


def build_network(installed: InstalledModel, entry: NetworkEntry) -> nn.Module:
    """Raises ModelError where there is no such network, or its arguments are not those it takes."""
    if entry.file is None:
        found = getattr(monai.networks.nets, entry.name, None)
    else:
        found = _own_module(installed, entry.file).get(entry.name)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        where = entry.file or "monai.networks.nets"
        raise ModelError(f"{installed.label}: {where} has no network {entry.name}")
    try:
        return found(**entry.arguments)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"{installed.label}: {entry.name} cannot be built: {error}") from error


def load_state(network: nn.Module, content: bytes, name: str) -> None:
    """Safetensors, or what torch.save wrote of a state dict; nothing in it is run."""
    try:
        network.load_state_dict(read_state(content))
    except RuntimeError as error:
        lines = str(error).splitlines()
        text = f"the weights of {name} are not for this network: {lines[-1].strip()}"
        raise ModelError(text) from None


def read_state(content: bytes) -> Mapping[str, Tensor]:
    """A state dict alone, or under the key that trainers use; ModelError for anything else."""
    try:
        return load_safetensors(content)
    except SafetensorError:
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that torch did not write: they are refused
            # weights_only: an unpickler that knows tensors, and no code
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)  # noqa: TID251
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise ModelError(
            "the weights are neither safetensors nor a plain state dict of torch "
            f"({type(error).__name__}): save network.state_dict(), or use `models convert`"
        ) from None
    for key in ("state_dict", "model_state_dict", "model", "network"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
            break
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise ModelError("the weights hold something else than tensors: save network.state_dict()")
    return cast("dict[str, Tensor]", found)


def _own_module(installed: InstalledModel, file: str) -> dict[str, object]:
    """Runs the package's own code, which is trusted or not here at all."""
    source = read_pinned(installed, file).decode()
    spec = importlib.util.spec_from_loader(f"model_package_{installed.sha256[:16]}", None)
    assert spec is not None  # noqa: S101 - a name gives a spec
    module = importlib.util.module_from_spec(spec)
    exec(compile(source, str(installed.folder / file), "exec"), module.__dict__)  # noqa: S102
    return dict(module.__dict__)
