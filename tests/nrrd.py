"""NRRD files as dcmqi writes them."""

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def nrrd(path: Path) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]:
    """-> array[k, j, i], matrix whose columns are the i, j, k steps in LPS mm, origin."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    fields = dict(line.split(":", 1) for line in head.decode().splitlines()[1:] if ":" in line)
    if "gz" in fields["encoding"]:
        body = gzip.decompress(body)
    assert "left-posterior-superior" in fields["space"]
    kind = {"short": "<i2", "unsigned char": "u1", "float": "<f4"}[fields["type"].strip()]
    sizes = [int(size) for size in fields["sizes"].split()]
    steps = [_numbers(text) for text in re.findall(r"\(([^)]*)\)", fields["space directions"])]
    origin = _numbers(fields["space origin"].strip(" ()"))
    return np.frombuffer(body, kind).reshape(sizes[::-1]), np.array(steps).T, np.array(origin)


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def places(path: Path) -> set[tuple[float, ...]]:
    """Centres of the voxels that are not 0, to a hundredth of a millimetre."""
    array, steps, origin = nrrd(path)
    found = np.argwhere(array)[:, ::-1] @ steps.T + origin
    return {tuple(place) for place in (np.round(found, 2) + 0.0).tolist()}
