"""docs/conformance.md claims what the code does and a test shows, and nothing else."""

from collections.abc import Mapping

import pytest

from dicom_ai_node.form import Kind
from dicom_ai_node.receive.answer import ActionStatus, NotificationStatus, Status
from dicom_ai_node.receive.commitment import FailureReason
from scripts.conformance.network import ACTED, COMMITTED, NOTIFIED, STORED
from scripts.conformance.objects import MADE
from scripts.conformance.page import PAGE, page
from scripts.marked_tests import Named, collect
from tests.result_rules import AIR, RULES


@pytest.fixture(scope="module")
def named() -> Mapping[str, Named]:
    return collect("result_rule", "air")


def test_the_page_is_up_to_date(named: Mapping[str, Named]) -> None:
    made = page(named["result_rule"], named["air"])
    assert PAGE.read_text(encoding="utf-8") == made, "run python -m scripts.conformance"


def test_every_rule_and_every_claim_is_shown_by_a_test(named: Mapping[str, Named]) -> None:
    assert {rule.number for rule in RULES} == set(named["result_rule"])
    assert set(AIR) == set(named["air"])


def test_every_status_and_every_object_is_described() -> None:
    for described, kind in (
        (STORED, Status),
        (ACTED, ActionStatus),
        (NOTIFIED, NotificationStatus),
        (COMMITTED, FailureReason),
    ):
        assert set(described) == set(kind)
    assert set(MADE) == set(Kind)
