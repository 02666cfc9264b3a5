"""Whether a route could take a study of which little is known: a PACS's answer, no pixels yet.

Only what contradicts a rule counts against it; what nobody knows yet may fit.
"""

from collections.abc import Iterable, Mapping

from dicom_ai_node.config.rules import AllOf, AnyOf, Clause, InputSelection, Selection
from dicom_ai_node.config.settings import Route
from dicom_ai_node.routing.clause import judge
from dicom_ai_node.routing.route import selections_of
from dicom_ai_node.study import Values

Known = Mapping[str, Values]


def may_take_series(routes: Iterable[Route], modality: str, sender: Known) -> bool:
    """As any input that is no prior. `modality` is empty where it is unknown; `sender` has facts by
    their name with `$`."""
    known = _known(modality, sender)
    return any(_may_suit(each, known) for route in routes for each in _inputs(route))


def may_take_study(routes: Iterable[Route], modalities: Iterable[str], sender: Known) -> bool:
    """Where each input that must come from it may be among its series; none named: any may be."""
    known = [_known(each, sender) for each in modalities] or [sender]
    return any(
        all(any(_may_suit(needed, each) for each in known) for needed in _needed(route))
        for route in routes
    )


def _known(modality: str, sender: Known) -> Known:
    return {**sender, "Modality": (modality,)} if modality else sender


def _inputs(route: Route) -> list[Selection]:
    selections = selections_of(route).values()
    return [each for each in selections if not (isinstance(each, InputSelection) and each.prior)]


def _needed(route: Route) -> list[Selection]:
    return [
        each
        for each in _inputs(route)
        if not (isinstance(each, InputSelection) and each.may_be_elsewhere)
    ]


def _may_suit(selection: Selection, known: Known) -> bool:
    return all(_may_hold(each, known) for each in selection.require) and not any(
        _must_hold(each, known) for each in selection.exclude
    )


def _may_hold(clause: Clause, known: Known) -> bool:
    if isinstance(clause, AllOf):
        return all(_may_hold(each, known) for each in clause.all)
    if isinstance(clause, AnyOf):
        return any(_may_hold(each, known) for each in clause.any)
    return clause.attr not in known or judge(clause, known).holds


def _must_hold(clause: Clause, known: Known) -> bool:
    if isinstance(clause, AllOf):
        return all(_must_hold(each, known) for each in clause.all)
    if isinstance(clause, AnyOf):
        return any(_must_hold(each, known) for each in clause.any)
    return clause.attr in known and judge(clause, known).holds
