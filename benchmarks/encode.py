"""How fast a mask becomes a Segmentation: this node beside highdicom and dcmqi, in turns.

    python -m benchmarks.encode [--segments 1 10 100] [--slices 300] [--size 512] [--rounds 3]
                                [--json FILE]

The same seeded ellipsoids for all of them, each in a process of its own: constructed, and saved.
`node` is all of encode() but its report, which has a row of its own. The two in Python have the
headers of the series at hand, as an attempt has; dcmqi's itkimage2segimage reads the series, with
its pixels, and the mask. At last dcmqi and highdicom read what the node wrote, and every voxel is
compared.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.encode_phantom import Phantom, make_mask, make_series
from benchmarks.encode_readers import assert_voxel_equal
from benchmarks.encode_writers import WRITERS, measured

Row = dict[str, Any]
NODE, REPORT, DCMQI = "node", "node, report", "dcmqi"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as root:
        series = make_series(Path(root) / "ct", arguments.slices, arguments.size)
        few = make_mask(Path(root) / "few", make_series(Path(root) / "few ct", 40, 64), 2)
        for segments in arguments.segments:
            phantom = make_mask(Path(root) / str(segments), series, segments)
            rows += rows_of(phantom, few, arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    print(markdown(rows, arguments.slices, arguments.size, arguments.rounds))


def rows_of(phantom: Phantom, few: Phantom, rounds: int) -> list[Row]:
    """Rounds over all writers, so that a busy minute of the machine meets each of them."""
    found: dict[str, list[Row]] = {}
    names = list(WRITERS)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            for row in measured(name, phantom, few):
                found.setdefault(row["writer"], []).append(row)
    assert_voxel_equal(phantom.folder / f"{NODE}.dcm", phantom)
    return [_median(several) for several in found.values()]


def _median(several: Sequence[Row]) -> Row:
    numbers = ("wall_s", "cpu_s", "peak_mib")
    return {
        **several[0],
        **{key: statistics.median(row[key] for row in several) for key in numbers},
    }


def markdown(rows: Sequence[Row], slices: int, size: int, rounds: int) -> str:
    lines = [
        f"{slices} slices of {size}², medians of {rounds} rounds.",
        "",
        "| segments | frames | writer | s | CPU s | × dcmqi | CPU × dcmqi | peak MiB | MB |",
        "| --: | --: | --- | --: | --: | --: | --: | --: | --: |",
    ]
    theirs = {row["segments"]: row for row in rows if row["writer"] == DCMQI}
    for row in rows:
        peer = theirs[row["segments"]]
        ratios = [
            "–" if row["writer"] == REPORT else f"{row[key] / peer[key]:.2f}"
            for key in ("wall_s", "cpu_s")
        ]
        lines.append(
            f"| {row['segments']} | {row['frames'] or '–'} | {row['writer']} | {row['wall_s']:.2f} "
            f"| {row['cpu_s']:.2f} | {ratios[0]} | {ratios[1]} | {row['peak_mib']:.0f} "
            f"| {row['bytes'] / 1e6:.1f} |"
        )
    cores = len(os.sched_getaffinity(0))
    lines += ["", f"- {cores} cores, load {os.getloadavg()[1]:.1f} (others' work included)"]
    lines += [f"- Python: {platform.python_version()}"]
    lines += [f"- {name}: {version(name)}" for name in ("highdicom", "pydicom", "numpy", "dcmqi")]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
