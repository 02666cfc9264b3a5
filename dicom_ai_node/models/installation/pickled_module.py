"""The tensors of a whole network that `torch.save` pickled in the format before torch 1.6.

Such a file is a row of pickles (a magic number, a version, facts on the system, the network, the
keys of its storages), then the storages themselves. The network's pickle names its author's
classes; here they, and torch's layers, become inert containers, tensors become numpy arrays, and
any other name is refused.
"""

import math
import pickle
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.installation.inert import PICKLE_FAULTS, STORAGES, Arrays, Layer, Storage

_MAGIC = 0x1950A86A20F9469CFC6C  # torch/serialization.py
_INTEGERS = "<i8"  # LongStorage: counters of batches, which are no weights


def read_pickled_module(source: IO[bytes], own: Collection[tuple[str, str]]) -> Arrays:
    """{layer name, as in a state dict: array}; `own` are the author's classes (module, name).

    Raises ModelError for anything but layers and tensors of floating point.
    """
    try:
        if _Plain(source).load() != _MAGIC:
            raise ModelError("this is not a network that an old torch.save has written")
        _Plain(source).load()  # the version of the protocol
        _Plain(source).load()  # byte order and sizes of integers: every machine's of today
        unpickler = _NetworkUnpickler(source, own)
        network = unpickler.load()
        storages = _storages(source, _Plain(source).load(), unpickler.stored)
        return {
            name: tensor.read(storages)
            for name, tensor in _tensors(network, "")
            if tensor.stored.dtype != _INTEGERS
        }
    except PICKLE_FAULTS as error:
        raise ModelError(f"the pickled network cannot be read: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A storage, which follows later in the file."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tensor:
    stored: _Stored
    offset: int
    size: tuple[int, ...]

    def read(self, storages: Mapping[str, bytes]) -> np.ndarray[Any, np.dtype[Any]]:
        values = np.frombuffer(storages[self.stored.key], self.stored.dtype)
        return values[self.offset : self.offset + math.prod(self.size)].reshape(self.size)


class _RebuildTensor:
    """Stands for `torch._utils._rebuild_tensor_v2`; an object without attributes to overwrite."""

    __slots__ = ()

    def __call__(
        self, stored: _Stored, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
    ) -> _Tensor:
        if tuple(stride) != tuple(math.prod(size[axis + 1 :]) for axis in range(len(size))):
            raise ModelError("a tensor of the pickled network is not stored contiguously")
        return _Tensor(stored=stored, offset=offset, size=tuple(size))


class _RebuildParameter:
    """Stands for `torch._utils._rebuild_parameter`: the tensor itself."""

    __slots__ = ()

    def __call__(self, tensor: _Tensor, *_: object) -> _Tensor:
        return tensor


class _Plain(pickle.Unpickler):
    """Numbers, words, lists and dicts only."""

    def find_class(self, module: str, name: str) -> Any:
        raise ModelError(f"the pickled network asks for {module}.{name}, which is not weights")


class _NetworkUnpickler(pickle.Unpickler):
    def __init__(self, source: IO[bytes], own: Collection[tuple[str, str]]) -> None:
        super().__init__(source)
        self._own = own
        self.stored: dict[str, _Stored] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Called for every global of the pickle: what is not listed here does not exist."""
        if (module, name) in self._own or module.startswith("torch.nn.modules."):
            return Layer
        storages = {**STORAGES, "LongStorage": _INTEGERS}
        if module == "torch" and name in storages:
            return Storage(storages[name])
        known: dict[tuple[str, str], Any] = {
            ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor(),
            ("torch._utils", "_rebuild_parameter"): _RebuildParameter(),
            ("collections", "OrderedDict"): OrderedDict,
            ("__builtin__", "set"): set,  # of names of buffers
        }
        if (module, name) not in known:
            raise ModelError(f"the pickled network asks for {module}.{name}, which is not weights")
        return known[module, name]

    def persistent_load(self, pid: Any) -> object:
        """A storage by its key; or, of a class, its source code, which is dropped."""
        if pid[0] == "module":
            return pid[1]
        _, storage, key, _, count, _ = pid
        stored = _Stored(key=str(key), dtype=storage.dtype, count=int(count))
        return self.stored.setdefault(stored.key, stored)


def _storages(source: IO[bytes], keys: object, stored: Mapping[str, _Stored]) -> dict[str, bytes]:
    """Each is its number of elements (8 bytes), then these."""
    if not isinstance(keys, list) or set(keys) != set(stored):
        raise ModelError("the pickled network does not list its storages")
    found = {}
    for key in keys:
        size = stored[key].count * np.dtype(stored[key].dtype).itemsize
        count = int.from_bytes(source.read(8), "little")
        found[key] = source.read(size)
        if count != stored[key].count or len(found[key]) != size:
            raise ModelError(f"storage {key} of the pickled network has the wrong size")
    return found


def _tensors(layer: object, prefix: str) -> Iterator[tuple[str, _Tensor]]:
    """Parameters and buffers of a layer, then those of the layers in it, as `state_dict` does."""
    if not isinstance(layer, Layer):
        raise ModelError("the pickled network does not hold a network")
    for group in ("_parameters", "_buffers"):
        for name, value in _members(layer, group):
            if isinstance(value, _Tensor):
                yield f"{prefix}{name}", value
    for name, value in _members(layer, "_modules"):
        yield from _tensors(value, f"{prefix}{name}.")


def _members(layer: Layer, group: str) -> Iterable[tuple[str, object]]:
    members = layer.attributes.get(group)
    if not isinstance(members, dict):
        raise ModelError(f"a layer of the pickled network has no {group}")
    return members.items()
