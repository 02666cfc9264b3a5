"""What `ingest` prints: the table, the ratios that matter, and the machine they come from."""

import os
import platform
import re
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.ingest_receivers import dcmtk
from tests.acceptance import orthanc

COLUMNS = (
    "receiver",
    "associations",
    "instances/s",
    "CPU ms",
    "p50 ms",
    "p99 ms",
    "peak MiB",
    "of the disk",
)
LEGEND = (
    "CPU is of the receiver's whole process tree, for one instance; p50 and p99 are from the last "
    "byte sent to the answer, with a sender of its own; `of the disk` is the rate beside that of "
    "appending and syncing the same bytes from as many threads."
)
_MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs", "devtmpfs")


@dataclass(frozen=True, kw_only=True)
class Row:
    """None is what does not apply."""

    key: str
    receiver: str
    associations: int
    rate: float
    rates: list[float]
    cpu_ms: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    bare_rate: float | None = None  # of the other sender
    peak_rss_mib: float | None = None
    of_disk: float | None = None

    def cells(self) -> list[str]:
        return [
            self.receiver,
            str(self.associations),
            f"{self.rate:.0f}",
            _number(self.cpu_ms, ".2f"),
            _number(self.p50_ms, ".2f"),
            _number(self.p99_ms, ".2f"),
            _number(self.peak_rss_mib, ".0f"),
            _number(self.of_disk, ".0%"),
        ]


@dataclass(frozen=True, kw_only=True)
class Ratio:
    name: str
    associations: int
    value: float


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def ratios(rows: Sequence[Row]) -> list[Ratio]:
    found = []
    for associations in sorted({row.associations for row in rows}):
        at = {row.key: row for row in rows if row.associations == associations}
        found += [
            Ratio(name=name, associations=associations, value=value)
            for name, value in _ratios(at, bound=associations == 1)
            if value is not None
        ]
    return found


def _ratios(at: Mapping[str, Row], *, bound: bool) -> list[tuple[str, float | None]]:
    rate = {key: row.rate for key, row in at.items()}
    cpu = {key: row.cpu_ms for key, row in at.items()}
    found = [
        ("rate: node / storescp (synced against unsynced)", _over(rate, "node", "storescp")),
        ("rate: node, no sync / storescp", _over(rate, "node-no-sync", "storescp")),
        (
            "rate: node, no sync, no SHA-256 / storescp",
            _over(rate, "node-no-sync-no-sha256", "storescp"),
        ),
        ("rate: node / Orthanc (both synced)", _over(rate, "node", "orthanc")),
        ("rate: node, 2 processes / Orthanc", _over(rate, "node-2", "orthanc")),
        ("rate: node / plain pynetdicom (both synced)", _over(rate, "node", "pynetdicom")),
        ("CPU: node, no SHA-256 / storescp", _over(cpu, "node-no-sha256", "storescp")),
        ("CPU: node / storescp", _over(cpu, "node", "storescp")),
        (
            "CPU: node, no sync, no SHA-256 / storescp",
            _over(cpu, "node-no-sync-no-sha256", "storescp"),
        ),
    ]
    if bound and {"node", "storescp", "disk"} <= rate.keys():
        limit = 0.9 / (1 / rate["storescp"] + 1 / rate["disk"])
        found.append((f"rate: node / {limit:.0f} = 0.9 / (storescp + disk)", rate["node"] / limit))
    return found


def _over(values: Mapping[str, float | None], one: str, other: str) -> float | None:
    a, b = values.get(one), values.get(other)
    return a / b if a is not None and b else None


def show(rows: Sequence[Row], found: Sequence[Ratio], title: str) -> None:
    table = Table(*COLUMNS, title=title, caption=LEGEND)
    for column in table.columns[1:]:
        column.justify = "right"
    for before, row in zip([None, *rows], rows, strict=False):
        if before and before.associations != row.associations:
            table.add_section()
        table.add_row(*row.cells())
    lines = Table("ratio", "associations", "value", title="What matters")
    for ratio in found:
        lines.add_row(ratio.name, str(ratio.associations), f"{ratio.value:.2f}")
    console = Console(width=120)
    console.print(table)
    console.print(lines)


def markdown(
    rows: Sequence[Row], found: Sequence[Ratio], title: str, facts: Mapping[str, str]
) -> str:
    lines = [f"{title}.", "", *_table(COLUMNS, [row.cells() for row in rows]), "", LEGEND, ""]
    lines += _table(
        ("ratio", "associations", "value"),
        [[each.name, str(each.associations), f"{each.value:.2f}"] for each in found],
    )
    lines += ["", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    return "\n".join(lines)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("--:" for _ in columns[1:])]
    return [f"| {' | '.join(cells)} |" for cells in (columns, rule, *rows)]


def facts(folder: Path) -> dict[str, str]:
    """Nothing that names the machine or a place on it."""
    return {
        "CPU": f"{_cpu_model()}, {os.cpu_count()} cores",
        "file system": file_system(folder),
        "Linux": platform.release().split("-")[0],
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "pynetdicom": version("pynetdicom"),
        "DCMTK": _version_of(dcmtk("storescu")),
        "Orthanc": _version_of(orthanc.executable()),
    }


def file_system(folder: Path) -> str:
    place = folder.resolve()
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    within = [(point, kind) for point, kind in mounts if place.is_relative_to(point)]
    return max(reversed(within), key=lambda mount: len(mount[0]))[1]


def require_disk(folder: Path) -> None:
    if file_system(folder) in _MEMORY_FILE_SYSTEMS:
        raise SystemExit("--folder is in memory, where a sync costs nothing: choose one on a disk")


def _cpu_model() -> str:
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return names[0] if names else platform.machine()


def _version_of(program: str | None) -> str:
    if program is None:
        return "none"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
    return found[0] if found else "unknown"
