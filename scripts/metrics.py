"""Write the table of metrics in docs/monitoring.md, from the code that makes them.

    python -m scripts.metrics [--check]

With --check nothing is written, and the exit status is 1 when the page is out of date.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from prometheus_client.metrics_core import Metric

from dicom_ai_node import metrics
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import schema
from dicom_ai_node.database.engine import Database
from dicom_ai_node.observe.answers import Answers
from dicom_ai_node.observe.observed import Observed
from dicom_ai_node.spool import Spool

PAGE = Path(__file__).parents[1] / "docs" / "monitoring.md"
BEGIN = "<!-- made by python -m scripts.metrics -->\n"
END = "<!-- until here -->\n"


class Described(NamedTuple):
    name: str
    kind: str
    labels: Sequence[str]
    text: str


def described() -> list[Described]:
    """What the roles count, and what an empty node says of itself, by name."""
    of_roles = {
        found.name: Described(*_named(found), declared._labelnames, found.documentation)
        for declared in metrics.DECLARED
        for found in declared.describe()
    }
    others = {
        found.name: Described(*_named(found), found._labelnames, found.documentation)  # type: ignore[attr-defined]
        for found in _of_an_empty_node()
        if found.name not in of_roles
    }
    return sorted([*of_roles.values(), *others.values()])


def _named(found: Metric) -> tuple[str, str]:
    return (f"{found.name}_total" if found.type == "counter" else found.name), found.type


def _of_an_empty_node() -> Iterator[Metric]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        node = {"ae_title": "AI_NODE", "spool": home / "spool", "models": home / "models"}
        config = Config.model_validate({"node": {**node, "database": f"sqlite:///{home}/node.db"}})
        database = Database(config.node.database)
        schema.upgrade(database)
        observed = Observed(config=config, spool=Spool(config.node.spool), database=database)
        yield from Answers(observed).metrics()
        database.close()


def table() -> str:
    rows = [
        f"| `{each.name}` | {each.kind} | {', '.join(f'`{label}`' for label in each.labels)} "
        f"| {each.text} |"
        for each in described()
    ]
    return "\n".join(["| Name | Kind | Labels | What it says |", "|---|---|---|---|", *rows, ""])


def page(before: str) -> str:
    """The page with the table of now in its place."""
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{table()}{END}{tail}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="exit 1 when the page is out of date")
    before = PAGE.read_text(encoding="utf-8")
    made = page(before)
    if not parser.parse_args().check:
        PAGE.write_text(made, encoding="utf-8")
    elif made != before:
        sys.exit("docs/monitoring.md is out of date: run python -m scripts.metrics")


if __name__ == "__main__":
    main()
