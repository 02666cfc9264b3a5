"""Pauses until a next try, as rows say them."""

from sqlalchemy import ColumnElement, or_


def is_over(until: ColumnElement[float], *, now: float, longest_s: float) -> ColumnElement[bool]:
    """No pause is longer; one that seems to be is of a clock that was set back since, and over."""
    return or_(until <= now, until > now + longest_s)
