"""How fast a C-STORE receiver takes a CT series: this node beside others, and beside the disk.

    python -m benchmarks.ingest [--instances 300] [--rounds 3] [--associations 1 4]
                                [--json FILE] [--markdown FILE]
    python -m benchmarks.ingest --memory
    python -m benchmarks.ingest --growth 1000000

Instances of 512 × 512 × 16 bit come from DCMTK's storescu, one process an association. Each round
gives every receiver a new process and an empty folder, after a few instances that are not counted,
in an order that rotates; the disk takes its turns among them. The clock runs from the first
association accepted to the last one released. What a receiver did not store ends the benchmark.
Some listen on every interface, so all of it runs in a network of its own: as root, or below
`unshare -rn`.
"""

import argparse
import json
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from rich.progress import Progress

from benchmarks.ingest_limits import grow, hold_many
from benchmarks.ingest_receivers import Receiver, Running, receivers, running
from benchmarks.ingest_report import Row, facts, markdown, ratios, require_disk, show
from benchmarks.ingest_senders import (
    PIXELS,
    Answers,
    Instances,
    Storescu,
    append_and_sync,
    make_instances,
    time_answers,
)
from tests.acceptance.loopback import own_network

DISK = "disk"
WARM_UP = 8  # instances before the first that counts
_SETTLE_S = 0.3  # in which a receiver ends its associations


@dataclass
class Found:
    """What the rounds of one receiver with so many associations came to."""

    rates: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)  # an instance
    peaks: list[int] = field(default_factory=list)
    answers: Answers | None = None


@dataclass
class Series:
    """All that is sent, and where receivers may write."""

    folder: Path
    counted: Instances
    warm_up: Instances
    storescu: Storescu


def main() -> None:
    arguments = _arguments()
    arguments.folder = arguments.folder.resolve()  # Orthanc has a working folder of its own
    require_disk(arguments.folder)
    with (
        tempfile.TemporaryDirectory(prefix="ingest-", dir=arguments.folder) as folder,
        own_network(),
    ):
        if {name for _, name in socket.if_nameindex()} != {"lo"}:
            raise SystemExit("no network of its own: run it as root, or below `unshare -rn`")
        if arguments.memory:
            hold_many(Path(folder), arguments.memory_associations, arguments.memory_mb * 10**6)
        elif arguments.growth:
            grow(Path(folder), arguments.growth)
        else:
            _compare(arguments, Path(folder))


def _arguments() -> argparse.Namespace:
    keys = [receiver.key for receiver in receivers()]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--instances", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--associations", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--receivers", nargs="+", choices=keys, default=keys, metavar="KEY")
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to be measured")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    parser.add_argument("--memory", action="store_true", help="instead: many large objects at once")
    parser.add_argument("--memory-associations", type=int, default=32)
    parser.add_argument("--memory-mb", type=int, default=200)
    parser.add_argument(
        "--growth", type=int, metavar="N", help="instead: rates as the database grows to N rows"
    )
    return parser.parse_args()


def _compare(arguments: argparse.Namespace, folder: Path) -> None:
    series = Series(
        folder=folder,
        counted=make_instances(folder / "counted", "ingest", arguments.instances),
        warm_up=make_instances(folder / "warm-up", "warm-up", WARM_UP),
        storescu=Storescu(folder),
    )
    chosen = [receiver for receiver in receivers() if receiver.key in arguments.receivers]
    for receiver in chosen:
        if receiver.missing:
            print(f"{receiver.title} is not installed: left out")
    present = [receiver for receiver in chosen if not receiver.missing]
    began = time.monotonic()
    found = _rounds(series, present, arguments.rounds, arguments.associations)
    rows = _rows(found, present, arguments.associations)
    of_interest = ratios(rows)
    title = (
        f"{arguments.instances} CT instances of {PIXELS // 1024} KiB, "
        f"medians of {arguments.rounds} rounds"
    )
    show(rows, of_interest, title)
    print(f"{time.monotonic() - began:.0f} s")
    about = facts(arguments.folder)
    if arguments.json:
        data = {
            "title": title,
            "facts": about,
            "rows": [asdict(row) for row in rows],
            "ratios": [asdict(ratio) for ratio in of_interest],
        }
        arguments.json.write_text(json.dumps(data, indent=1) + "\n")
    if arguments.markdown:
        arguments.markdown.write_text(markdown(rows, of_interest, title, about))


def _rounds(
    series: Series, present: Sequence[Receiver], rounds: int, associations: Sequence[int]
) -> dict[tuple[str, int], Found]:
    """`rounds` with DCMTK's sender, and then one that takes the times to answer."""
    half = len(present) // 2  # None is the disk: twice a round, for it is the noisiest of all
    turns: list[Receiver | None] = [None, *present[:half], None, *present[half:]]
    found = {(each.key if each else DISK, n): Found() for each in turns for n in associations}
    with Progress(transient=True) as progress:
        task = progress.add_task("", total=(rounds + 1) * len(turns) * len(associations))
        for index in range(rounds + 1):
            first = index * 3 % len(turns)  # so that nobody keeps the same neighbour's wake
            for n in associations:
                for each in [*turns[first:], *turns[:first]]:
                    title = each.title if each else "the disk"
                    progress.update(task, advance=1, description=f"{title}, {n}")
                    if each is None:
                        found[DISK, n].rates.append(_disk(series, n))
                    elif index < rounds:
                        _measure(series, each, n, found[each.key, n])
                    else:
                        found[each.key, n].answers = _answers(series, each, n)
    return found


def _disk(series: Series, threads: int) -> float:
    """Instances a second, if there were nothing to do but to keep them."""
    with tempfile.TemporaryDirectory(dir=series.folder) as folder:
        os.sync()
        number = len(series.counted) // threads
        return number * threads / append_and_sync(Path(folder), threads, number)


def _measure(series: Series, receiver: Receiver, associations: int, found: Found) -> None:
    number = len(series.counted)
    with _ready(series, receiver, associations) as process, process.watched() as peaks:
        before_s = process.cpu_s()
        seconds = series.storescu.send(process.port, series.counted.parts(associations))
        time.sleep(_SETTLE_S)
        found.cpu_s.append((process.cpu_s() - before_s) / number)
    found.rates.append(number / seconds)
    found.peaks.append(max(peaks))


def _answers(series: Series, receiver: Receiver, associations: int) -> Answers:
    folders = series.counted.parts(associations)
    with _ready(series, receiver, associations) as process:
        return time_answers(process.port, [sorted(folder.iterdir()) for folder in folders])


@contextmanager
def _ready(series: Series, receiver: Receiver, associations: int) -> Iterator[Running]:
    """Warm, with a disk that has nothing left to do; what it stored is counted afterwards."""
    with tempfile.TemporaryDirectory(dir=series.folder) as folder:
        with running(receiver, Path(folder)) as process:
            series.storescu.send(process.port, series.warm_up.parts(min(associations, WARM_UP)))
            os.sync()
            yield process
        stored = receiver.stored(Path(folder), PIXELS)
        expected = len(series.counted) + len(series.warm_up)
        if stored != expected:
            raise SystemExit(f"{receiver.title} stored {stored} instances of {expected}")


def _rows(
    found: dict[tuple[str, int], Found], present: Sequence[Receiver], associations: Sequence[int]
) -> list[Row]:
    rows = []
    for n in associations:
        disk = statistics.median(found[DISK, n].rates)
        rows += [_row(receiver, n, found[receiver.key, n], disk) for receiver in present]
        rows.append(
            Row(
                key=DISK,
                receiver="the disk: append, fdatasync",
                associations=n,
                rate=disk,
                rates=found[DISK, n].rates,
            )
        )
    return rows


def _row(receiver: Receiver, associations: int, found: Found, disk: float) -> Row:
    assert found.answers is not None
    rate = statistics.median(found.rates)
    p50, p99 = np.percentile(found.answers.each, (50, 99)) * 1000
    return Row(
        key=receiver.key,
        receiver=receiver.title,
        associations=associations,
        rate=rate,
        rates=found.rates,
        cpu_ms=statistics.mean(found.cpu_s) * 1000,
        p50_ms=float(p50),
        p99_ms=float(p99),
        bare_rate=len(found.answers.each) / found.answers.total,
        peak_rss_mib=max(found.peaks) / 2**20,
        of_disk=rate / disk,
    )


if __name__ == "__main__":
    main()
