"""Which models want which series, and why not: pure, no clock, no disk, no database."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.uid import UID

from dicom_ai_node.config.rules import AllOf, AnyOf, Clause, Condition, Scalar
from dicom_ai_node.config.settings import Route
from dicom_ai_node.study import Series

_NOT_ACQUIRED = ("Secondary Capture", "Video", "RT ")  # for a model, by their SOP class's name

Values = Sequence[str | int | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One route on one series; `failed` holds a sentence for each clause that did not hold."""

    route: str
    series_instance_uid: str
    failed: tuple[str, ...]

    @property
    def matched(self) -> bool:
        return not self.failed


def keywords(routes: Sequence[Route]) -> frozenset[str]:
    """The DICOM keywords that these routes ask about."""
    found: set[str] = set()

    def visit(clauses: Sequence[Clause]) -> None:
        for clause in clauses:
            if isinstance(clause, Condition):
                if not clause.attr.startswith("$"):
                    found.add(clause.attr)
            else:
                visit(clause.any if isinstance(clause, AnyOf) else clause.all)

    for route in routes:
        visit(route.require)
    return frozenset(found)


def facts(series: Series, *, calling_ae: str, called_ae: str) -> dict[str, Values]:
    """What rules may ask as `$name`, over all instances (config.rules.FACTS)."""
    syntaxes = sorted({instance.transfer_syntax_uid for instance in series.instances})
    return {
        "instances": (len(series.instances),),
        "calling_ae": (calling_ae,),
        "called_ae": (called_ae,),
        "transfer_syntaxes": tuple(syntaxes),
    }


def judge(route: Route, series: Series, known: dict[str, Values]) -> Verdict:
    """Every clause is judged, so that the answer names all that is wrong at once."""
    if kind := not_an_image(series):
        failed = [kind]
    else:
        texts = (_fails(clause, series, known) for clause in route.require)
        failed = [text for text in texts if text]
    return Verdict(
        route=route.label, series_instance_uid=series.series_instance_uid, failed=tuple(failed)
    )


def not_an_image(series: Series) -> str | None:
    """Results, ours or another vendor's, never start a job: no feedback loop (D30)."""
    for sop_class_uid in sorted({instance.sop_class_uid for instance in series.instances}):
        name = UID(sop_class_uid).name
        if "Image Storage" not in name or any(word in name for word in _NOT_ACQUIRED):
            return f"{name} is not an acquired image"
    return None


def _fails(clause: Clause, series: Series, known: dict[str, Values]) -> str | None:
    """None when the clause holds, else why not."""
    if isinstance(clause, AllOf):
        texts = [text for each in clause.all if (text := _fails(each, series, known))]
        return "; ".join(texts) or None
    if isinstance(clause, AnyOf):
        each_fails = [_fails(each, series, known) for each in clause.any]
        return None if None in each_fails else "none of: " + "; ".join(filter(None, each_fails))
    if clause.attr.startswith("$"):
        values: Values = known.get(clause.attr[1:], ())
    else:
        values = series.attributes.get(clause.attr, ())
    wanted = f"{clause.op} {_write(clause.values)}"
    if not values:
        return None if clause.missing == "pass" else f"{clause.attr} is missing; wanted: {wanted}"
    if _holds(clause, values):
        return None
    return f"{clause.attr} is {_write(values)}; wanted: {wanted}"


def _holds(clause: Condition, values: Values) -> bool:
    """Equality asks any value of an attribute, ranges ask all of them."""
    wanted = clause.values
    match clause.op:
        case "eq" | "in" | "has_any":
            return any(_equal(value, other) for value in values for other in wanted)
        case "has_all":
            return all(any(_equal(value, other) for value in values) for other in wanted)
        case "matches":
            pattern = re.compile(str(wanted[0]), re.IGNORECASE)
            return any(pattern.search(str(value)) for value in values)
        case "ge" | "le" | "between":
            low = float("-inf") if clause.op == "le" else float(wanted[0])
            high = float("inf") if clause.op == "ge" else float(wanted[-1])
            numbers = [_number(value) for value in values]
            return all(number is not None and low <= number <= high for number in numbers)


def _equal(value: Scalar, other: Scalar) -> bool:
    """Text without regard to case and padding, numbers by value: 0 is a value.

    Two texts are text, whatever they look like: version 1.10 is not 1.1.
    """
    if not (isinstance(value, str) and isinstance(other, str)):
        left, right = _number(value), _number(other)
        if left is not None and right is not None:
            return left == right
    return str(value).strip().upper() == str(other).strip().upper()


def _number(value: Scalar) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _write(values: Sequence[Scalar]) -> str:
    shown = ", ".join(str(value) for value in values[:5])
    return shown + (f" and {len(values) - 5} more" if len(values) > 5 else "")
