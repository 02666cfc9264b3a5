"""What dcmqi writes: voxels, and where they lie."""

import gzip
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_TYPES = {"short": "<i2", "unsigned char": "u1", "unsigned short": "<u2"}


def read(path: Path) -> tuple[NDArray[np.generic], NDArray[np.float64], NDArray[np.float64]]:
    """(array[k, j, i], matrix whose columns are the steps of i, j, k, origin): LPS, mm."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    fields = dict(line.split(":", 1) for line in head.decode().splitlines()[1:] if ":" in line)
    if "gz" in fields["encoding"]:
        body = gzip.decompress(body)
    assert "left-posterior-superior" in fields["space"]
    sizes = [int(size) for size in fields["sizes"].split()]
    steps = [_numbers(text) for text in re.findall(r"\(([^)]*)\)", fields["space directions"])]
    array = np.frombuffer(body, _TYPES[fields["type"].strip()]).reshape(sizes[::-1])
    return array, np.array(steps).T, np.array(_numbers(fields["space origin"].strip(" ()")))


def places(path: Path) -> set[tuple[float, ...]]:
    """Centres of the voxels that are not 0, to a hundredth of a millimetre."""
    array, steps, origin = read(path)
    found = np.argwhere(array)[:, ::-1] @ steps.T + origin
    return {tuple(place) for place in (np.round(found, 2) + 0.0).tolist()}


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]
