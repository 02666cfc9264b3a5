"""docs/faults.md says which faults are tested, and the faults of the wire all are."""

from collections import Counter

import pytest

from scripts.faults import PAGE, page
from scripts.marked_tests import Named, collect
from tests.fault_catalogue import CATALOGUE, PARTS

WIRE = ("A", "B", "C")


@pytest.fixture(scope="module")
def named() -> Named:
    return collect("fault")["fault"]


def test_the_page_is_up_to_date(named: Named) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(named), "run python -m scripts.faults"


def test_a_marker_names_faults_of_the_catalogue(named: Named) -> None:
    known = {fault.id for fault in CATALOGUE}
    assert {fault_id: names for fault_id, names in named.items() if fault_id not in known} == {}


@pytest.mark.parametrize("part", WIRE)
def test_every_fault_of_the_wire_has_a_test(named: Named, part: str) -> None:
    missing = [fault.id for fault in CATALOGUE if fault.part == part and fault.id not in named]
    assert not missing, f"no test brings about {', '.join(missing)}"


def test_the_catalogue_is_a_table() -> None:
    """Ids are there once and in a part that has a title; no cell ends a row or a column."""
    assert [fault_id for fault_id, n in Counter(f.id for f in CATALOGUE).items() if n > 1] == []
    assert {fault.part for fault in CATALOGUE} == set(PARTS)
    for fault in CATALOGUE:
        for cell in (fault.fault, fault.expected):
            assert cell
            assert not set("|\n") & set(cell)
