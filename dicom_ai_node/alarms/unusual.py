"""Whether a share has grown by more than chance: Fisher's exact test, one-sided.

Exact, since the numbers of a day are small and the usual share is often zero, where tests that
rest on the normal distribution (z, chi-squared) and ratios to the mean err. Of the two periods
taken together, it is the chance that so many or more of the striking answers would fall on the
last day by mere luck (the hypergeometric distribution).
"""

from math import exp, lgamma

RARE = 1e-4  # per look; looks overlap by nearly a day, so that is about one false alarm in years
LEAST_RECENT = 10  # answers of the last day; fewer say nothing
LEAST_BEFORE = 50  # answers of the days before; fewer are no habit
LEAST_GROWTH = 0.1  # of the share: what is certain and small wakes nobody


def is_unusual(*, striking: int, number: int, striking_before: int, number_before: int) -> bool:
    """Of `number` answers of the last day, more are striking than those before lead to expect."""
    if number < LEAST_RECENT or number_before < LEAST_BEFORE:
        return False
    growth = striking / number - striking_before / number_before
    if growth < LEAST_GROWTH:
        return False
    return chance_of(striking, number, striking_before, number_before) < RARE


def chance_of(striking: int, number: int, striking_before: int, number_before: int) -> float:
    """That so many, or more, are of the last day, if the days do not differ."""
    marked, every = striking + striking_before, number + number_before
    whole = _log_choose(every, number)
    return min(
        1.0,
        sum(
            exp(_log_choose(marked, k) + _log_choose(every - marked, number - k) - whole)
            for k in range(striking, min(marked, number) + 1)
            if number - k <= every - marked
        ),
    )


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
