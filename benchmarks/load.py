"""How fast a stored CT series becomes a volume: this node's loader beside others, in turns.

    python -m benchmarks.load [--slices 300] [--size 512] [--rounds 5]
                              [--series NAME …] [--json FILE]

One phantom with noise, uncompressed and in three lossless syntaxes. Each reader runs in a process
of its own, after a few slices that are not measured; the files are in the page cache. SimpleITK is
no dependency of this project: `pip install --target DIR SimpleITK`, and DIR on PYTHONPATH; without
it, its rows are missing. What comes out of each reader is compared, voxel by voxel.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless

NODE, UNCHECKED = "node", "node, without SHA-256"
SITK, MONAI, PYDICOM = "SimpleITK", "MONAI PydicomReader", "pydicom + numpy"
SYNTAXES = {
    "uncompressed": None,
    "JPEG 2000 lossless": JPEG2000Lossless,
    "JPEG-LS lossless": JPEGLSLossless,
    "JPEG Lossless SV1": JPEGLosslessSV1,
}
Read = Callable[[], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--series", nargs="+", choices=SYNTAXES, default=list(SYNTAXES))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as root:
        plain = make_series(Path(root) / "plain", arguments.slices, arguments.size)
        for name in arguments.series:
            syntax = SYNTAXES[name]
            folder = plain if syntax is None else compressed(plain, syntax, Path(root) / name)
            rows += [{"series": name, **row} for row in measure(folder, arguments.rounds)]
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    print(markdown(rows, arguments.slices, arguments.size, arguments.rounds))


def make_series(folder: Path, slices: int, size: int) -> Path:
    """Air, a body and lungs, with the noise of a scanner: so it compresses as a CT does."""
    from tests.dicom_factory import series, write

    rng = np.random.default_rng(1)
    y, x = (np.mgrid[:size, :size] - size / 2) / size
    body = (x / 0.4) ** 2 + (y / 0.3) ** 2 < 1
    lungs = ((np.abs(x) - 0.18) / 0.11) ** 2 + (y / 0.17) ** 2 < 1
    still = np.where(body, np.where(lungs, -860, 40), -1000)
    pixels = still + rng.normal(0, 12, (slices, size, size)).astype(np.int16)
    write(
        series(
            name="load",
            shape=(slices, size, size),
            spacing=(1.0, 0.8, 0.8),
            pixels=pixels.astype(np.int16),
        ),
        folder,
    )
    return folder


def compressed(plain: Path, syntax: str, folder: Path) -> Path:
    """By GDCM, as `gdcmconv` would."""
    import gdcm

    kind = gdcm.TransferSyntax.GetTSType(str(syntax))
    folder.mkdir()
    for path in sorted(plain.iterdir()):
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(kind))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(folder / path.name))
        assert writer.Write()
    return folder


def readers(folder: Path) -> dict[str, Callable[[], Read]]:
    """Each is made in its process, outside the clock: imports, and what the spool knows."""

    def node(*, checked: bool) -> Read:
        from dicom_ai_node.loading.load import load
        from tests.made import stored

        instances = stored(sorted(folder.iterdir()))
        return lambda: load(instances, checked=checked).needed_volume().array

    def simple_itk() -> Read:
        import SimpleITK

        def read() -> np.ndarray:
            reader = SimpleITK.ImageSeriesReader()
            reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
            return np.asarray(SimpleITK.GetArrayFromImage(reader.Execute()))

        return read

    def monai() -> Read:
        from monai.data.image_reader import PydicomReader

        def read() -> np.ndarray:
            reader = PydicomReader(swap_ij=False)
            array, _ = reader.get_data(reader.read(str(folder)))
            return np.moveaxis(np.asarray(array), -1, 0)

        return read

    def pydicom_numpy() -> Read:
        import pydicom

        def read() -> np.ndarray:
            found = [pydicom.dcmread(path) for path in folder.iterdir()]
            found.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
            array = np.empty((len(found), found[0].Rows, found[0].Columns), np.float32)
            for plane, ds in zip(array, found, strict=True):
                plane[:] = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
            return array

        return read

    every: dict[str, Callable[[], Read]] = {
        NODE: lambda: node(checked=True),
        UNCHECKED: lambda: node(checked=False),
        SITK: simple_itk,
        MONAI: monai,
        PYDICOM: pydicom_numpy,
    }
    if find_spec("SimpleITK") is None:
        print("SimpleITK is not here: pip install --target DIR SimpleITK, DIR on PYTHONPATH\n")
        del every[SITK]
    return every


def measure(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Rounds over all readers, so that a busy minute of the machine meets each of them."""
    context = multiprocessing.get_context("spawn")
    names = list(readers(folder))
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            ours, theirs = context.Pipe()
            process = context.Process(target=_once, args=(theirs, folder, name))
            process.start()
            found[name].append(ours.recv())
            process.join()
    sums = {each["sum"] for several in found.values() for each in several}
    assert len(sums) == 1, "the readers do not agree on the voxels"
    return [{"reader": name, **_median(several)} for name, several in found.items()]


def _once(pipe: Connection, folder: Path, name: str) -> None:
    readers(_few(folder))[name]()()  # imports, and what else comes once
    read = readers(folder)[name]()
    cpu, began = _cpu_s(), time.perf_counter()
    array = read()
    wall = time.perf_counter() - began
    spent = _cpu_s() - cpu
    status = Path("/proc/self/status").read_text()  # ru_maxrss begins with the parent's
    peak = int(status.partition("VmHWM:")[2].split()[0]) >> 10
    pipe.send({"wall_s": wall, "cpu_s": spent, "peak_mib": peak, "sum": _sum(array)})


def _few(folder: Path) -> Path:
    few = folder.with_name(f"{folder.name}, few")
    if not few.exists():
        few.mkdir()
        for path in sorted(folder.iterdir())[:8]:
            (few / path.name).hardlink_to(path)
    return few


def _cpu_s() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return sum(each.ru_utime + each.ru_stime for each in (own, children))


def _sum(array: np.ndarray) -> str:
    """Of the values, whatever their type and the direction of the slices."""
    planes = [hashlib.sha256(plane.astype(np.float32).tobytes()).digest() for plane in array]
    return hashlib.sha256(b"".join(sorted(planes))).hexdigest()


def _median(several: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {
        key: statistics.median(each[key] for each in several)
        for key in ("wall_s", "cpu_s", "peak_mib")
    }


def markdown(rows: Sequence[dict[str, Any]], slices: int, size: int, rounds: int) -> str:
    theirs = {row["series"]: row for row in rows if row["reader"] == SITK}
    lines = [
        f"{slices} slices of {size}², medians of {rounds} rounds.",
        "",
        "| series | reader | s | CPU s | × SimpleITK | CPU × SimpleITK | peak MiB |",
        "| --- | --- | --: | --: | --: | --: | --: |",
    ]
    for row in rows:
        peer = theirs.get(row["series"])
        ratios = [f"{row[k] / peer[k]:.2f}" if peer else "–" for k in ("wall_s", "cpu_s")]
        lines.append(
            f"| {row['series']} | {row['reader']} | {row['wall_s']:.2f} | {row['cpu_s']:.2f} "
            f"| {ratios[0]} | {ratios[1]} | {row['peak_mib']:.0f} |"
        )
    cores = len(os.sched_getaffinity(0))
    lines += ["", f"- {cores} cores, load {os.getloadavg()[1]:.1f} (others' work included)"]
    lines += [f"- Python: {platform.python_version()}"]
    for package in ("SimpleITK", "monai", "pydicom", "highdicom", "numpy", "python-gdcm"):
        try:
            lines.append(f"- {package}: {version(package)}")
        except PackageNotFoundError:
            continue
    return "\n".join(lines)


if __name__ == "__main__":
    main()
