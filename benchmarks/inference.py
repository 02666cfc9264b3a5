"""How fast a model answers in the node, beside the script that its author would run.

    python -m benchmarks.inference [--head DIR] [--chest DIR] [--models DIR] [--rounds N] [--json]

Everything in one run, in rounds that take turns, so that a busy machine is busy for all of them:
the windows of a U-Net by MONAI and torch against this node's runtimes; a bare script (read, predict,
write a SEG, in a warm process) against the node's attempt; a cold process against a warm one; and
the memory of both. Without --head a phantom of a head's size stands in for the study.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import inference_attempts, inference_windows

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--head", type=Path, help="a folder with one head MR series")
    parser.add_argument("--chest", type=Path, help="a folder with one chest CT series (lung-ct)")
    parser.add_argument("--models", type=Path, default=Path("models"), help="the model store")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=("windows", "attempts"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        if arguments.only != "attempts":
            rows += inference_windows.rows(arguments.rounds)
        if arguments.only != "windows":
            rows += inference_attempts.rows(
                Path(folder),
                head=arguments.head,
                chest=arguments.chest,
                store=arguments.models,
                rounds=arguments.rounds,
                threads=arguments.threads,
            )
    print_rows(rows, as_json=arguments.json)


def print_rows(rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    table = Table("what", "how", "seconds", "against the first", "and")
    for row in rows:
        ratio = f"{row['ratio']:.2f} ×" if "ratio" in row else ""
        table.add_row(row["what"], row["how"], f"{row['seconds']:.2f}", ratio, row.get("note", ""))
    Console(width=150).print(table)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    main()
