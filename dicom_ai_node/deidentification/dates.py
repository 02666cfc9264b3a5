"""Dates moved by whole days: intervals between studies stay what they are (PS3.15 E.3.6)."""

import re
from datetime import date, timedelta

_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})((?:\d{2}){0,3}(?:\.\d{1,6})?(?:[+-]\d{4})?)")


def shifted(text: str, days: int) -> str | None:
    """A DA or DT; None for what is none, and for a year or month alone."""
    found = _DATE.fullmatch(text.strip())
    if found is None:
        return None
    try:
        moved = date(*map(int, found.groups()[:3])) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return f"{moved:%Y%m%d}{found[4]}"
