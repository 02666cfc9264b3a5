"""What one check found."""

import enum
from dataclasses import dataclass


class Level(enum.StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`next_step` is empty where all is well."""

    check: str
    level: Level
    text: str
    next_step: str = ""


def ok(check: str, text: str) -> Finding:
    return Finding(check=check, level=Level.OK, text=text)


def warn(check: str, text: str, next_step: str) -> Finding:
    return Finding(check=check, level=Level.WARN, text=text, next_step=next_step)


def fail(check: str, text: str, next_step: str) -> Finding:
    return Finding(check=check, level=Level.FAIL, text=text, next_step=next_step)
