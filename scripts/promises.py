#!/usr/bin/env python3
"""Write docs/promises.md: each promise of the node, and the tests that would break with it.

    python -m scripts.promises [--check] [--results JUNIT.XML]

With --check nothing is written, and the exit status is 1 when the page is out of date. With
--results it is printed, with how many of those tests passed and failed in that run.
"""

import argparse
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.marked_tests import ROOT, CollectionFailed, Named, collect, links
from tests.promise_catalogue import CATALOGUE, PARTS, Promise

PAGE = ROOT / "docs" / "promises.md"
INTRODUCTION = """\
# What the node promises, and which tests would break with it

Made by `python -m scripts.promises` from `tests/promise_catalogue.py` and the tests' `fault`
markers; change those and not this page. A fault is one of [faults.md](faults.md), which names the
tests that bring it about. `python -m scripts.promises --results build/junit.xml` prints this page
with the results of the last `make test`.
"""


def page(named: Named, results: Mapping[str, Counter[str]] | None = None) -> str:
    return "\n".join([INTRODUCTION, *(_table(part, named, results) for part in PARTS)])


def _table(part: str, named: Named, results: Mapping[str, Counter[str]] | None) -> str:
    promises = [promise for promise in CATALOGUE if promise.part == part]
    head = ["", "promise", "faults", "tests", *(["last run"] if results is not None else [])]
    lines = [f"## {PARTS[part]}", _line(head), _line(["---"] * len(head))]
    for promise in promises:
        faults = " ".join(promise.faults) or "–"
        shown = links([f"tests/{test}" for test in promise.tests], PAGE)
        cells = [promise.id, promise.promise, faults, shown]
        if results is not None:
            cells.append(_said(_tests_of(promise, named), results))
        lines.append(_line(cells))
    return "\n".join([*lines, ""])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _tests_of(promise: Promise, named: Named) -> set[str]:
    """Files, folders and tests, as they stand below the root."""
    by_fault = {test for fault in promise.faults for test in named.get(fault, ())}
    return by_fault | {f"tests/{test}" for test in promise.tests}


def _said(tests: set[str], results: Mapping[str, Counter[str]]) -> str:
    total: Counter[str] = Counter()
    for name, counted in results.items():
        if any(name == test or name.startswith((f"{test}::", f"{test}/")) for test in tests):
            total += counted
    return ", ".join(f"{number} {word}" for word, number in sorted(total.items())) or "none ran"


def read_results(junit: Path) -> dict[str, Counter[str]]:
    """By test without its parameters: how often it passed, failed and was skipped."""
    results: dict[str, Counter[str]] = {}
    for case in ET.parse(junit).iter("testcase"):  # noqa: S314 — pytest's, of this machine
        file = "/".join(case.get("classname", "").split(".")) + ".py"
        name = f"{file}::{case.get('name', '').partition('[')[0]}"
        failed = case.find("failure") is not None or case.find("error") is not None
        word = "failed" if failed else "passed" if case.find("skipped") is None else "skipped"
        results.setdefault(name, Counter())[word] += 1
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="exit 1 when the page is out of date")
    parser.add_argument("--results", type=Path, help="pytest's JUnit file of a run")
    asked = parser.parse_args()
    try:
        named = collect("fault")["fault"]
    except CollectionFailed as error:
        sys.exit(f"the tests cannot be collected:\n{error}")
    made = page(named, read_results(asked.results) if asked.results else None)
    if asked.results:
        sys.stdout.write(made)
    elif not asked.check:
        PAGE.write_text(made, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != made:
        sys.exit("docs/promises.md is out of date: run python -m scripts.promises")


if __name__ == "__main__":
    main()
