"""One clause on the values of one series: whether it holds, and the sentence that says why."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR, tag_for_keyword

from dicom_ai_node.config.expression import MAX_TEXT
from dicom_ai_node.config.rules import AllOf, AnyOf, Clause, Condition, Scalar
from dicom_ai_node.routing.plain import name_of, said_plainly
from dicom_ai_node.study import Values

_OF_PATIENTS = 0x0010
_ANYBODYS = frozenset({"PatientSex", "PatientAge", "PatientSize", "PatientWeight"})
_SHOWN = 64  # characters of a value


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """`why` has the value that was found, whether the clause holds or not, in the words of the
    rule; `plain` says it to somebody who does not know the rule."""

    holds: bool
    why: str
    plain: str


def judge(clause: Clause, known: Mapping[str, Values]) -> Judged:
    """`known` has attributes by keyword and facts by their name with `$`."""
    if isinstance(clause, AllOf):
        each = [judge(below, known) for below in clause.all]
        failed = [one.why for one in each if not one.holds]
        why = "; ".join(failed or [one.why for one in each])
        telling = [one.plain for one in each if one.holds != bool(failed)]
        return Judged(holds=not failed, why=why, plain="; ".join(telling))
    if isinstance(clause, AnyOf):
        each = [judge(below, known) for below in clause.any]
        held = [one.why for one in each if one.holds]
        why = held[0] if held else "none of: " + "; ".join(one.why for one in each)
        telling = [one.plain for one in each if one.holds] or [one.plain for one in each]
        plain = telling[0] if held else ", or else ".join(telling)
        return Judged(holds=bool(held), why=why, plain=plain)
    return _judge(clause, known.get(clause.attr, ()))


def _judge(clause: Condition, values: Values) -> Judged:
    wanted = f"{clause.op} {write(clause.values)}"
    listed = [write((value,)) for value in clause.values]
    if not values:
        plain = said_plainly(clause, None, listed)
        if clause.missing == "pass":
            return Judged(holds=True, why=f"{clause.attr} is missing, which passes", plain=plain)
        return Judged(holds=False, why=f"{clause.attr} is missing; wanted: {wanted}", plain=plain)
    found = "not shown" if _identifies(clause.attr) else write(values)
    if _holds(clause, values):
        plain = f"{name_of(clause.attr)} is {found}"
        return Judged(holds=True, why=f"{clause.attr} is {found} ({wanted})", plain=plain)
    plain = said_plainly(clause, found, listed)
    return Judged(holds=False, why=f"{clause.attr} is {found}; wanted: {wanted}", plain=plain)


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
            return any(pattern.search(str(value)[:MAX_TEXT]) for value in values)
        case "ge" | "le" | "between":
            low = float("-inf") if clause.op == "le" else float(wanted[0])
            high = float("inf") if clause.op == "ge" else float(wanted[-1])
            numbers = [number_of(value) for value in values]
            return all(number is not None and low <= number <= high for number in numbers)


def _equal(value: Scalar, other: Scalar) -> bool:
    """Text without regard to case and padding, numbers by value: 0 is a value.

    Two texts are text, whatever they look like: version 1.10 is not 1.1.
    """
    if not (isinstance(value, str) and isinstance(other, str)):
        left, right = number_of(value), number_of(other)
        if left is not None and right is not None:
            return left == right
    return str(value).strip().upper() == str(other).strip().upper()


def number_of(value: Scalar) -> float | None:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def write(values: Values) -> str:
    """A few of them, short and printable: they come from outside, and go to a terminal."""
    shown = ", ".join(_printable(value) for value in values[:5])
    return shown + (f" and {len(values) - 5} more" if len(values) > 5 else "")


def _printable(value: Scalar) -> str:
    text = "".join(letter if letter.isprintable() else "?" for letter in str(value))
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _identifies(attr: str) -> bool:
    """Verdicts are kept and shown: whom the images are of is not in them."""
    if attr.startswith("$") or attr in _ANYBODYS:
        return False
    tag = tag_for_keyword(attr)
    return tag is not None and (tag >> 16 == _OF_PATIENTS or dictionary_VR(tag) == "PN")
