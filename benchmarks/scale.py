"""How the node behaves as its table grows, as results wait, and through a whole day.

    python -m benchmarks.scale [--jobs 100 10000 1000000] [--waiting 500] [--studies 600]

Times of what is asked all the time, with so many jobs in the table; the seconds in which results
that waited for a PACS are drained; and the CPU that a study costs from reception to delivery, with
a model that costs nothing. Only ratios within one run mean anything.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.ingest_report import facts, require_disk
from benchmarks.scale_day import STAGES, Day, day, drain
from benchmarks.scale_questions import times_ms
from benchmarks.scale_tables import fill

Times = Mapping[int, Mapping[str, float]]  # ms, by the number of jobs and the question


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="+", default=[100, 10_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--waiting", type=int, default=500, help="results for one PACS")
    parser.add_argument("--studies", type=int, default=600, help="of one day")
    parser.add_argument("--folder", type=Path, help="on the disk that is to be measured")
    parser.add_argument("--json", type=Path, help="all of it, in this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        require_disk(folder)
        times = {number: _asked(folder, number, arguments.rounds) for number in arguments.jobs}
        found: dict[str, Any] = {"facts": facts(folder), "ms": times, "ratios": _ratios(times)}
        _show_times(times)
        if arguments.waiting:
            seconds, objects = drain(folder / "drain", arguments.waiting)
            found["drain"] = {"results": arguments.waiting, "objects": objects, "s": seconds}
            Console().print(
                f"{arguments.waiting} results ({objects} objects) drained in {seconds:.1f} s"
            )
        if arguments.studies:
            through = day(folder / "day", arguments.studies)
            found["day"] = asdict(through)
            _show_day(through)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


def _asked(folder: Path, number: int, rounds: int) -> dict[str, float]:
    path = folder / f"{number}.db"
    database = fill(path, number)
    try:
        return times_ms(database, number, rounds=rounds)
    finally:
        database.close()
        path.unlink()


def _ratios(times: Times) -> dict[str, float]:
    """The largest table beside the one before it, for those that list are short in the smallest."""
    *_, before, most = (next(iter(times)), *times) if len(times) == 1 else times
    return {name: times[most][name] / times[before][name] for name in times[most]}


def _show_times(times: Times) -> None:
    sizes = list(times)
    table = Table("ms, with so many jobs", *(f"{size:,}" for size in sizes), "last / before")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, ratio in _ratios(times).items():
        table.add_row(name, *(f"{times[size][name]:.2f}" for size in sizes), f"{ratio:.2f}")
    Console(width=120).print(table)


def _show_day(found: Day) -> None:
    table = Table("CPU", "ms a study", "share")
    total = sum(found.cpu_s.values())
    rows: Sequence[tuple[str, float]] = [
        *((stage, found.cpu_s[stage]) for stage in STAGES),
        ("all of it", total),
    ]
    for stage, seconds in rows:
        table.add_row(stage, f"{1000 * seconds / found.studies:.1f}", f"{seconds / total:.0%}")
    console = Console(width=120)
    console.print(table)
    console.print(
        f"{found.studies} studies, {found.instances} instances; {found.with_result} with a result, "
        f"{found.objects} objects delivered; {found.wall_s:.0f} s for a day of 86,400"
    )


if __name__ == "__main__":
    main()
