"""The tensors of a TorchScript archive, without running any of it.

An archive is a zip of a pickle (`data.pkl`: the tree of layers), raw little-endian tensors
(`data/0`, `data/1`, …) and source code. The pickle is read by an unpickler that knows a handful of
names: layers become inert containers, tensors become numpy arrays, and any other name is refused.
"""

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.installation.inert import PICKLE_FAULTS, STORAGES, Arrays, Layer, Storage


def read_torchscript(source: BinaryIO | Path) -> Arrays:
    """{layer name, as in a state dict: array}; raises ModelError for anything but plain weights."""
    try:
        with zipfile.ZipFile(source) as archive:
            pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise ModelError("this is not a TorchScript archive: it has no one data.pkl")
            root = pickles[0].removesuffix("data.pkl")
            try:
                tree = _LayerUnpickler(archive, root).load()
                return dict(_tensors(tree, ""))
            except PICKLE_FAULTS as error:
                raise ModelError(f"the TorchScript archive cannot be read: {error}") from error
    except zipfile.BadZipFile as error:
        raise ModelError(f"this is not a TorchScript archive: {error}") from error


class _RebuildTensor:
    """Stands for `torch._utils._rebuild_tensor_v2`; an object without attributes to overwrite."""

    __slots__ = ()

    def __call__(
        self,
        storage: np.ndarray[Any, np.dtype[Any]],
        offset: int,
        size: tuple[int, ...],
        stride: tuple[int, ...],
        *_: object,
    ) -> np.ndarray[Any, np.dtype[Any]]:
        contiguous = tuple(math.prod(size[axis + 1 :]) for axis in range(len(size)))
        if tuple(stride) != contiguous:
            raise ModelError("a tensor of the TorchScript archive is not stored contiguously")
        return storage[offset : offset + math.prod(size)].reshape(size)


class _LayerUnpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}data.pkl")))
        self._archive = archive
        self._root = root

    def find_class(self, module: str, name: str) -> Any:
        """Called for every global of the pickle: what is not listed here does not exist."""
        if module.partition(".")[0] == "__torch__":
            return Layer
        if module == "torch" and name in STORAGES:
            return Storage(STORAGES[name])
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _RebuildTensor()
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise ModelError(f"the TorchScript archive asks for {module}.{name}, which is not weights")

    def persistent_load(self, pid: Any) -> np.ndarray[Any, np.dtype[Any]]:
        """One storage, as `("storage", type, key, device, number of elements)` names it."""
        _, storage, key, _, count = pid
        dtype = np.dtype(storage.dtype)
        entry = self._archive.getinfo(f"{self._root}data/{key}")
        if entry.file_size != count * dtype.itemsize:
            raise ModelError(f"tensor {key} of the TorchScript archive has the wrong size")
        return np.frombuffer(self._archive.read(entry), dtype)


def _tensors(layer: object, prefix: str) -> Iterator[tuple[str, np.ndarray[Any, np.dtype[Any]]]]:
    if not isinstance(layer, Layer):
        raise ModelError("the TorchScript archive does not hold a network")
    for name, value in layer.attributes.items():
        if isinstance(value, np.ndarray):
            yield f"{prefix}{name}", value
        elif isinstance(value, Layer):
            yield from _tensors(value, f"{prefix}{name}.")
