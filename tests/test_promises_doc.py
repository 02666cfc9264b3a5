"""docs/promises.md says which tests would break with a promise, and these tests are there."""

from collections import Counter
from pathlib import Path

import pytest

from scripts.marked_tests import ROOT, Named, collect
from scripts.promises import PAGE, page, read_results
from tests.fault_catalogue import CATALOGUE as FAULTS
from tests.promise_catalogue import CATALOGUE, PARTS, Promise


@pytest.fixture(scope="module")
def named() -> Named:
    return collect("fault")["fault"]


def test_the_page_is_up_to_date(named: Named) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(named), "run python -m scripts.promises"


def test_every_promise_is_there_once() -> None:
    assert [promise.id for promise in sorted(CATALOGUE, key=lambda p: int(p.id[1:]))] == [
        f"P{number}" for number in range(1, 32)
    ]
    assert {promise.part for promise in CATALOGUE} == set(PARTS)


@pytest.mark.parametrize("promise", CATALOGUE, ids=lambda promise: promise.id)
def test_what_a_promise_names_is_there(promise: Promise) -> None:
    known = {fault.id for fault in FAULTS}
    assert set(promise.faults) <= known
    assert promise.tests
    for test in promise.tests:
        file, _, name = test.partition("::")
        path = ROOT / "tests" / file
        assert path.exists(), test
        if name:
            assert f"def {name}(" in path.read_text(encoding="utf-8"), test


def test_results_of_a_run_are_counted(tmp_path: Path, named: Named) -> None:
    junit = tmp_path / "junit.xml"
    cases = (
        '<testcase classname="tests.test_uids" name="test_a[1]"/>'
        '<testcase classname="tests.test_uids" name="test_a[2]"><failure/></testcase>'
        '<testcase classname="tests.test_uids" name="test_b"><skipped/></testcase>'
    )
    junit.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    results = read_results(junit)
    assert results["tests/test_uids.py::test_a"] == Counter(passed=1, failed=1)
    (row,) = (line for line in page(named, results).splitlines() if line.startswith("| P24 "))
    assert row.endswith("| 1 failed, 1 passed, 1 skipped |")
