"""A MONAI bundle with code of its own, which somebody has read and trusted by its hash."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from pydoc import ErrorDuringImport
from types import ModuleType
from typing import Any, cast

import numpy as np
import torch
from monai.bundle.config_parser import ConfigParser
from monai.data.meta_tensor import MetaTensor
from monai.transforms.spatial.dictionary import Orientationd
from monai.utils.type_conversion import convert_to_tensor
from numpy.typing import NDArray
from torch import Tensor, nn

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import MonaiBundlePackage
from dicom_ai_node.config.network import Whole
from dicom_ai_node.errors import ModelError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.models.bundle.config import TARGET, BundleConfig
from dicom_ai_node.models.bundle.steps import oriented
from dicom_ai_node.models.formats.torch_device import choose_device
from dicom_ai_node.models.formats.torch_network import load_state
from dicom_ai_node.models.network.model import NetworkModel
from dicom_ai_node.models.network.prepare import RAS_LPS, prepared
from dicom_ai_node.models.network.steps import transforms_of
from dicom_ai_node.models.pinned import pinned_path, read_pinned
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.result import Result

_OF_FILES = ("LoadImage", "SaveImage", "EnsureChannelFirst")
# what MONAI raises for a component that it cannot make, and what an expression is likely to
_FAILURES = (
    *(RuntimeError, ImportError, ValueError, TypeError, LookupError, AttributeError, NameError),
    ErrorDuringImport,
)
_SECTIONS = ("network_def", "preprocessing", "inferer", "postprocessing")


def open_trusted_bundle(
    installed: InstalledModel, package: MonaiBundlePackage, config: BundleConfig
) -> Model:
    """MONAI parses the four sections, and no other: each `$` in them is run."""
    for file in installed.files:
        pinned_path(installed, file)
    folder = installed.folder / package.bundle
    parser = ConfigParser({**_without_files(config.raw), "bundle_root": str(folder)})
    there = [name for name in _SECTIONS if name in config.raw]
    with _importable(folder):
        try:
            parsed = {name: parser.get_parsed_content(name) for name in there}
        except _FAILURES as error:
            raise ModelError(
                f"the code of the bundle {package.name} failed ({type(error).__name__}: {error})"
            ) from error
    missing = [name for name in _SECTIONS if name not in parsed]
    if missing:
        raise ModelError(f"the bundle {package.name} has no {', '.join(missing)}")
    return TrustedBundle(installed, package, parsed)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Bundles keep code in packages of their own, and most call them `scripts`: what one imported
    is forgotten afterwards, so that the next does not get it."""
    before = set(sys.modules)
    writes = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # it would be a file that was not installed
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = writes
        for name in set(sys.modules) - before:
            if _lies_in(folder, sys.modules[name]):
                del sys.modules[name]


def _lies_in(folder: Path, module: ModuleType) -> bool:
    """A package without an __init__ has folders and no file."""
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return any(folder in Path(place).parents for place in places if place)


class TrustedBundle:
    """Its four parts as the bundle makes them, one after the other."""

    def __init__(
        self, installed: InstalledModel, package: MonaiBundlePackage, parts: Mapping[str, Any]
    ) -> None:
        self._device = choose_device(package.device)
        self._network = cast("nn.Module", parts["network_def"])
        weights = read_pinned(installed, f"{package.bundle}/{package.weights}")
        load_state(self._network, weights, package.name)
        self._network.eval().to(self._device)
        self._before, self._after = parts["preprocessing"], parts["postprocessing"]
        self._inferer = parts["inferer"]
        self._package = _on_the_whole(package, turns=_turns(self._before))
        self._turn = transforms_of(self._package.preprocess)

    def predict(self, data: ModelInput) -> Result:
        if self._package.input == "images":
            affine = np.eye(4)
        else:
            affine = RAS_LPS @ prepared(data, self._package.inputs, self._turn).affine
        return NetworkModel(self._package, partial(self._run, affine=affine)).predict(data)

    def _run(self, batch: Tensor, *, affine: NDArray[np.float64]) -> Tensor:
        """From the source's voxels to the bundle's answer on them."""
        # a copy: steps of the bundle may write over their input, which is the study
        image = MetaTensor(batch[0].clone(), affine=torch.from_numpy(affine))
        found = self._before({"image": image})
        answer = self._inferer(found["image"][None].to(self._device), self._network)
        found["pred"] = answer[0].cpu()
        pred = self._after(found)["pred"]
        plain: Tensor = convert_to_tensor(pred, dtype=torch.float32, track_meta=False)
        return plain[None]


def _on_the_whole(package: MonaiBundlePackage, *, turns: bool) -> MonaiBundlePackage:
    """The package as the node sees it, when everything happens inside the bundle."""
    # a bundle that turns them itself may be given any axes
    known = package.model_copy(update={"orientation": "RAS"}) if turns else package
    steps = oriented((), known)
    return package.model_copy(update={"preprocess": steps, "inference": Whole()})


def _turns(preprocessing: Any) -> bool:
    return any(isinstance(each, Orientationd) for each in getattr(preprocessing, "transforms", ()))


def _without_files(value: Any) -> Any:
    """The same without what reads and writes files, wherever it is written: the node does that."""
    match value:
        case dict() if _class_name(value).startswith(_OF_FILES):
            return {TARGET: value[TARGET], "_disabled_": True}
        case dict():
            return {key: _without_files(below) for key, below in value.items()}
        case list():
            return [_without_files(below) for below in value]
    return value


def _class_name(component: dict[str, Any]) -> str:
    return str(component.get(TARGET, "")).rpartition(".")[2]
