"""Regular expressions that a peer's text could make run for ever are refused, not tried."""

import re

MAX_PATTERN = 256
MAX_TEXT = 128  # characters of a value that are looked at
_MAX_REPEATS = 3  # of any length: the time grows with the text to this power, and one
_MAX_OPTIONS = 12  # `?`

_ATOMS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_OPENINGS = re.compile(r"\((?:\?(?:<?[=!]|P<\w+>|[a-z-]*:))?")
_BACK_REFERENCE = re.compile(r"\\[1-9]|\(\?P=")
_INNERMOST = re.compile(r"\(([^()]*)\)([*+{]?)")


def refuse_slow(pattern: str) -> None:
    """Raises ValueError for what may take exponential time, or a high power of the text's length.

    The engine of the standard library backtracks and cannot be stopped: a repeated group must hold
    neither a repeat nor an alternative, and repeats of any length are few.
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"the regular expression is longer than {MAX_PATTERN} characters")
    if _BACK_REFERENCE.search(pattern):
        raise ValueError("the regular expression refers back to a group: write it without")
    bare = _OPENINGS.sub("(", _ATOMS.sub("x", pattern))
    repeats = len(re.findall(r"[*+]|\{\d*,\d*\}", bare))
    options = len(re.findall(r"(?<![*+?}(])\?", bare))
    if repeats > _MAX_REPEATS or options > _MAX_OPTIONS or _nested(bare):
        raise ValueError(
            "the regular expression could take too long: at most three of * + {…}, and none "
            "around a group that holds one, or a |"
        )


def _nested(bare: str) -> bool:
    while group := _INNERMOST.search(bare):
        inside, repeated = group.groups()
        branches = re.search(r"[*+?{|]", inside) is not None
        if branches and repeated:
            return True
        bare = bare[: group.start()] + ("x*" if branches else "x") + bare[group.end(1) + 1 :]
    return False
