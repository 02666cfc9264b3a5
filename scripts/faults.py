#!/usr/bin/env python3
"""Write docs/faults.md: each fault of the catalogue, and the tests that bring it about.

    python -m scripts.faults [--check]

With --check nothing is written, and the exit status is 1 when the page is out of date.
"""

import argparse
import sys
from collections.abc import Sequence

from scripts.marked_tests import ROOT, CollectionFailed, Named, collect, links
from tests.fault_catalogue import CATALOGUE, PARTS, Fault

PAGE = ROOT / "docs" / "faults.md"
NOT_TESTED = "*not tested yet*"
INTRODUCTION = """\
# Faults and their tests

What can come over the network, stand in a study or break below the node, and what the node does
about it. Made by `python -m scripts.faults` from `tests/fault_catalogue.py` and the tests' `fault`
markers; change those and not this page.

A test stands in a row when it brings about that fault and asserts the answer. Where it says *not
tested yet*, no test covers the whole row: its answer is what we are working towards, not a claim.
A missing number was never given.
"""


def page(named: Named) -> str:
    return "\n".join([INTRODUCTION, *(_table(part, named) for part in PARTS)])


def _table(part: str, named: Named) -> str:
    rows = [_row(fault, named.get(fault.id, ())) for fault in CATALOGUE if fault.part == part]
    head = [f"## {part}. {PARTS[part]}", "| | fault | what the node does | tests |"]
    return "\n".join([*head, "|---|---|---|---|", *rows, ""])


def _row(fault: Fault, tests: Sequence[str]) -> str:
    return f"| {fault.id} | {fault.fault} | {fault.expected} | {links(tests, PAGE) or NOT_TESTED} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="exit 1 when the page is out of date")
    check = parser.parse_args().check
    try:
        made = page(collect("fault")["fault"])
    except CollectionFailed as error:
        sys.exit(f"the tests cannot be collected:\n{error}")
    if not check:
        PAGE.write_text(made, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != made:
        sys.exit("docs/faults.md is out of date: run python -m scripts.faults")


if __name__ == "__main__":
    main()
