"""What unpicklers of weights share: names that stand for tensors and layers, and do nothing."""

import pickle
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]

# torch's names of element types, as numpy's
STORAGES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "DoubleStorage": "<f8"}
# what a broken or hostile pickle makes an unpickler raise
PICKLE_FAULTS = (
    pickle.UnpicklingError, AttributeError, EOFError, IndexError, KeyError, MemoryError,
    OverflowError, RecursionError, TypeError, ValueError,
)  # fmt: skip


class Layer:
    """A module of a network: its attributes, and none of its code."""

    __slots__ = ("attributes",)

    def __setstate__(self, state: dict[str, object]) -> None:
        self.attributes = dict(state)


class Storage:
    """The name of an element type in the pickle; `dtype` is numpy's."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
