"""What a clause says of a series, for a reader who has never seen a rule: no operators, no keys."""

import re

from pydicom.datadict import dictionary_description, tag_for_keyword

from dicom_ai_node.config.rules import Condition, Operator


def said_plainly(clause: Condition, found: str | None, wanted: list[str]) -> str:
    """Why it does not hold, or what is meant where it does; `found` is None where nothing is."""
    is_found = "is not stated" if found is None else f"is {found}"
    return f"{name_of(clause.attr)} {is_found}; needed: {_needed(clause.op, wanted)}"


def name_of(attr: str) -> str:
    """Of an attribute as the dictionary has it, of a fact in words."""
    if attr.startswith("$"):
        words = re.sub(r"_(mm|deg|ml|hu)$", r" (\1)", attr.removeprefix("$"))
        return words.replace("_", " ")
    tag = tag_for_keyword(attr)
    return attr if tag is None else dictionary_description(tag)


def _needed(op: Operator, wanted: list[str]) -> str:
    match op:
        case "ge":
            return f"at least {wanted[0]}"
        case "le":
            return f"at most {wanted[0]}"
        case "between":
            return f"{wanted[0]} to {wanted[-1]}"
        case "matches":
            return f"something like “{wanted[0]}”"
        case "has_all":
            return " and ".join(wanted)
        case _:
            return " or ".join(wanted)
