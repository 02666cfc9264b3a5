"""Of a study that nobody has yet, only what is known can speak against a route."""

from typing import Any

import pytest

from dicom_ai_node.config.settings import Route
from dicom_ai_node.routing.may_take import may_take_series, may_take_study
from tests.made import IS_CT, IS_MR

FROM_PACS = {"$calling_ae": ("PACS",), "$called_ae": ("AI_NODE",)}
THICK = {"attr": "SliceThickness", "op": "ge", "value": 5}


def route(**what: Any) -> Route:
    return Route.model_validate({"model": "m", "send_to": ["archive"], **what})


def modality(op: str, value: Any) -> dict[str, Any]:
    return {"attr": "Modality", "op": op, "value": value}


@pytest.mark.parametrize(
    ("rules", "taken"),
    [
        ({}, {"CT", "MR"}),
        ({"require": [IS_CT]}, {"CT"}),
        ({"require": [modality("in", ["CT", "PT"])]}, {"CT"}),
        ({"require": [modality("matches", "^M")]}, {"MR"}),
        ({"require": [THICK]}, {"CT", "MR"}),
        ({"require": [IS_CT, THICK]}, {"CT"}),
        ({"require": [{"any": [IS_CT, {"all": [IS_MR, THICK]}]}]}, {"CT", "MR"}),
        ({"require": [{"all": [IS_CT, IS_MR]}]}, set()),
        ({"exclude": [IS_MR]}, {"CT"}),
        ({"exclude": [{"all": [IS_MR, THICK]}]}, {"CT", "MR"}),
        ({"exclude": [{"any": [IS_MR, THICK]}]}, {"CT"}),
        ({"require": [{"attr": "$calling_ae", "op": "eq", "value": "PACS"}]}, {"CT", "MR"}),
        ({"require": [{"attr": "$calling_ae", "op": "eq", "value": "CT_1"}]}, set()),
    ],
)
def test_what_a_route_may_take(rules: dict[str, Any], taken: set[str]) -> None:
    routes = [route(**rules)]
    assert {each for each in ("CT", "MR") if may_take_series(routes, each, FROM_PACS)} == taken
    assert {each for each in ("CT", "MR") if may_take_study(routes, [each], FROM_PACS)} == taken


def test_what_is_unknown_may_be_anything() -> None:
    assert may_take_series([route(require=[IS_CT])], "", FROM_PACS)
    assert may_take_study([route(require=[IS_CT])], [], FROM_PACS)
    assert not may_take_study([], [], FROM_PACS), "there is no route"


def test_every_input_that_must_be_there_needs_a_modality() -> None:
    """What is optional, or comes from an earlier study, need not be in it."""
    inputs = {
        "ct": {"require": [IS_CT]},
        "pet": {"require": [modality("eq", "PT")]},
        "extra": {"require": [modality("eq", "US")], "optional": True},
        "before": {"require": [modality("eq", "NM")], "prior": {}},
    }
    routes = [route(inputs=inputs)]
    assert not may_take_study(routes, ["CT"], FROM_PACS)
    assert may_take_study(routes, ["CT", "PT"], FROM_PACS)
    taken = [each for each in ("CT", "PT", "US", "NM") if may_take_series(routes, each, FROM_PACS)]
    assert taken == ["CT", "PT", "US"]
