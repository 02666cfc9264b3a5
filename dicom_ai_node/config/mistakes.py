"""What validation found, in sentences for somebody who does not know Pydantic.

A value is never repeated: it may be a secret.
"""

from collections.abc import Iterator

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from dicom_ai_node.config.tree import Key, Tree
from dicom_ai_node.config.unknown import known_keys
from dicom_ai_node.config.values import SHAPES

_KINDS = frozenset({"dimse", "dicomweb", "folder"})
_WORDS = {
    "string_type": 'write text; numbers, dates and the like in quotes, as in "1.0"',
    "path_type": "write the path of a file or a folder, as text",
    "tuple_type": "write a list, in brackets: [one, another]",
    "dict_type": "expected keys, each with a colon and a value",
    "model_type": "expected keys, each with a colon and a value",
    "model_attributes_type": "expected keys, each with a colon and a value",
    "int_type": "write a whole number, without quotes",
    "int_parsing": "write a whole number, without quotes",
    "int_from_float": "write a whole number",
    "float_type": "write a number",
    "float_parsing": "write a number",
    "finite_number": "write a number, and not an infinite one",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "none_required": "write null, or leave the key out",
}


def describe(
    error: ValidationError, tree: Tree, *, is_whole: bool = True, is_known: bool = True
) -> list[str]:
    """One line per mistake. Where some file could not be read, nothing is called missing; what is
    not of the configuration has no keys that are known."""
    problems = error.errors(include_url=False, include_input=False)
    lines = []
    for problem in _apart(problems):
        if not is_whole and problem["type"] in ("missing", "too_short", "union_tag_not_found"):
            continue
        loc = problem["loc"]
        if problem["type"].startswith("union_tag"):
            loc = (*loc, problem["ctx"]["discriminator"].strip("'"))
        place, key = tree.place(loc)
        if problem["type"] == "extra_forbidden" and not is_known:
            said = "unknown key: check its spelling"
        else:
            said = _in_words(problem, tree.key_of(loc))
        lines.append(f"{place}: {key}: {said}" if key else f"{place}: {said}")
    return list(dict.fromkeys(lines))


def sentence(error: ValidationError) -> str:
    """What is wrong with one value that somebody typed."""
    return _in_words(error.errors(include_url=False, include_input=False)[0], ())


def _apart(problems: list[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Without those that follow from others: a list whose items are wrong counts as empty, too."""
    for problem in problems:
        loc = problem["loc"]
        below = (other for other in problems if other["loc"][: len(loc)] == loc)
        if problem["type"] == "too_short" and any(len(o["loc"]) > len(loc) for o in below):
            continue
        yield problem


def _in_words(problem: ErrorDetails, key: Key) -> str:
    kind = next((str(part) for part in problem["loc"] if part in _KINDS), None)
    context = problem.get("ctx", {})
    match problem["type"]:
        case "extra_forbidden":
            return f"unknown key: {known_keys().meant(key, kind)}"
        case "missing" | "union_tag_not_found":
            takes = known_keys().takes(key, kind)
            return f"is missing: write {key[-1]}:{f' with {takes}' if takes else ''}"
        case "literal_error" | "enum":
            return f"write {context['expected']}"
        case "union_tag_invalid":
            return f"write one of {context['expected_tags']}"
        case "string_pattern_mismatch":
            return SHAPES.get(context["pattern"], "this cannot be one: check its letters")
        case "too_short":
            return "is empty: name at least one"
        case "too_long":
            return f"has too many entries: {context['max_length']} at most"
    limits = {"greater_than": "above", "less_than": "below"}
    limits |= {"greater_than_equal": "of at least", "less_than_equal": "of at most"}
    if word := limits.get(problem["type"]):
        bound = next(iter(context.values()))
        return f"write a number {word} {bound:g}"
    return _WORDS.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
