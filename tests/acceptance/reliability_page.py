"""The generated parts of docs/reliability.md, each between two marks."""

import platform
import re
import sqlite3
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from tests.acceptance.kills.soaking import Figures


def write_section(page: Path, name: str, text: str) -> None:
    """Replace what stands between the marks of this name; ValueError where they are missing."""
    begin, end = f"<!-- {name}: generated -->", f"<!-- end of {name} -->"
    before = page.read_text()
    if begin not in before or end not in before:
        raise ValueError(f"{page} has no marks for {name}")
    inside = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    page.write_text(inside.sub(lambda _: f"{begin}\n{text}\n{end}", before))


def soak_section(figures: Figures, command: str) -> str:
    reckoning = figures.reckoning
    rows = {
        "Minutes of trouble": f"{figures.seconds / 60:.0f}",
        "Senders, at once": str(figures.senders),
        "PACS": figures.pacs,
        "Studies sent": f"{figures.sent}, of which {figures.wrong} are wrong in some way",
        "Instances acknowledged": str(figures.acknowledged),
        "Instances sent again, for want of an answer": str(figures.sent_again),
        "Result objects expected at the PACS": str(figures.expected),
        "Result objects found there": str(figures.objects),
        "**Lost**": f"**{len(reckoning.lost)}**",
        "**Doubled**": f"**{len(reckoning.doubled)}**",
        "Otherwise wrong": str(len(reckoning.wrong)),
        "Seconds until all was through, after the last blow": f"{figures.drain_s:.0f}",
    }
    happened = {name: str(number) for name, number in figures.happened.items()}
    return "\n".join(
        [
            made_by(command),
            "",
            table(("What", "How much"), rows),
            "",
            table(("What was done to it", "Times"), happened),
            *(["", *map("- {}".format, _all(figures))] if not reckoning.is_even else []),
        ]
    )


def kill_section(
    sums: Mapping[str, int], by_step: Mapping[str, Mapping[str, int]], made: str
) -> str:
    rows = {
        "Rounds": str(sums["rounds"]),
        "Rounds that were uneven, and were done again": str(sums["uneven"]),
        "Rounds in which something was struck": str(sums["struck_rounds"]),
        "Processes or nodes struck": str(sums["struck"]),
        "Studies sent": str(sums["studies"]),
        "Instances acknowledged": str(sums["acknowledged"]),
        "Instances sent again, for want of an answer": str(sums["sent_again"]),
        "Result objects at the PACS": str(sums["objects"]),
        "Times that they were sent": str(sums["came"]),
        "**Lost**": f"**{sums['lost']}**",
        "**Doubled**": f"**{sums['doubled']}**",
    }
    ways = ("kill", "node", "pause")
    steps = "\n".join(
        f"| `{step}` | " + " | ".join(str(how.get(way, 0)) for way in ways) + " |"
        for step, how in by_step.items()
    )
    head = "| Step | process killed | whole node killed | process paused |\n|---|---|---|---|"
    return "\n".join([made, "", table(("What", "How much"), rows), "", head, steps])


def _all(figures: Figures) -> list[str]:
    return [*figures.reckoning.lost, *figures.reckoning.doubled, *figures.reckoning.wrong]


def made_by(command: str) -> str:
    """When, by what and with what."""
    return (
        f"Made on {time.strftime('%Y-%m-%d')} by `{command}`, with "
        f"dicom-ai-node {version('dicom-ai-node')}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, pynetdicom {version('pynetdicom')}."
    )


def table(head: tuple[str, str], rows: Mapping[str, str]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items())])
