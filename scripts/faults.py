#!/usr/bin/env python3
"""Write docs/faults.md: each fault of the catalogue, and the tests that bring it about.

    python -m scripts.faults [--check]

With --check nothing is written, and the exit status is 1 when the page is out of date.
"""

import argparse
import io
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests.fault_catalogue import CATALOGUE, PARTS, Fault

ROOT = Path(__file__).resolve().parents[1]
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

Named = Mapping[str, Sequence[str]]  # tests without their parameters, by the id of the fault


class CollectionFailed(Exception):
    """The tests could not be collected; what pytest said of it."""


class Markers:
    """A pytest plugin: remembers which tests name which faults."""

    def __init__(self) -> None:
        self.found: dict[str, set[str]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            name = item.nodeid.partition("[")[0]
            for mark in item.iter_markers("fault"):
                for fault_id in mark.args:
                    self.found.setdefault(fault_id, set()).add(name)


def collect() -> Named:
    """Every test of the suite that names a fault; in this process, where torch may be already."""
    markers, said = Markers(), io.StringIO()
    options = [f"--rootdir={ROOT}", f"--config-file={ROOT / 'pyproject.toml'}"]
    options += ["--collect-only", "-q", "--capture=no"]
    # the last two would call the garbage of a running session our failure
    absent = ("cacheprovider", "faulthandler", "unraisableexception", "threadexception")
    options += [f"-pno:{name}" for name in absent]
    with redirect_stdout(said), redirect_stderr(said):
        status = pytest.main([*options, str(ROOT / "tests")], plugins=[markers])
    if status != pytest.ExitCode.OK:
        raise CollectionFailed(said.getvalue())
    return {fault_id: sorted(names) for fault_id, names in markers.found.items()}


def page(named: Named) -> str:
    return "\n".join([INTRODUCTION, *(_table(part, named) for part in PARTS)])


def _table(part: str, named: Named) -> str:
    rows = [_row(fault, named.get(fault.id, ())) for fault in CATALOGUE if fault.part == part]
    head = [f"## {part}. {PARTS[part]}", "| | fault | what the node does | tests |"]
    return "\n".join([*head, "|---|---|---|---|", *rows, ""])


def _row(fault: Fault, tests: Sequence[str]) -> str:
    return f"| {fault.id} | {fault.fault} | {fault.expected} | {_links(tests)} |"


def _links(tests: Sequence[str]) -> str:
    return "<br>".join(_link(test) for test in tests) or NOT_TESTED


def _link(test: str) -> str:
    file = test.partition("::")[0]
    return f"[`{test.removeprefix('tests/')}`]({os.path.relpath(ROOT / file, PAGE.parent)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="exit 1 when the page is out of date")
    check = parser.parse_args().check
    try:
        made = page(collect())
    except CollectionFailed as error:
        sys.exit(f"the tests cannot be collected:\n{error}")
    if not check:
        PAGE.write_text(made, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != made:
        sys.exit("docs/faults.md is out of date: run python -m scripts.faults")


if __name__ == "__main__":
    main()
