"""When a share has grown by more than chance, on histories made with dice."""

import random

import pytest

from dicom_ai_node.alarms.unusual import LEAST_GROWTH, chance_of, is_unusual

Day = tuple[int, int]  # striking, all


def history(
    share: float, a_day: int, days: int, dice: random.Random, *, last: float | None = None
) -> list[Day]:
    """Days on which each study is striking with that chance; the last with its own."""
    chances = [share] * (days - 1) + [share if last is None else last]
    return [(sum(dice.random() < chance for _ in range(a_day)), a_day) for chance in chances]


def unusual(days: list[Day]) -> bool:
    """The last day against those before."""
    (striking, number), before = days[-1], days[-15:-1]
    return is_unusual(
        striking=striking,
        number=number,
        striking_before=sum(day[0] for day in before),
        number_before=sum(day[1] for day in before),
    )


def test_the_chance_is_that_of_the_hypergeometric_distribution() -> None:
    """All three marked balls of ten among the four drawn: 7 of 210 ways; see any table."""
    assert chance_of(3, 4, 0, 6) == pytest.approx(7 / 210)
    assert chance_of(0, 4, 3, 6) == pytest.approx(1)


@pytest.mark.parametrize(("share", "a_day"), [(0.02, 12), (0.1, 30), (0.3, 100), (0.5, 20)])
def test_a_share_that_stays_is_hardly_ever_an_alarm(
    share: float, a_day: int, dice: random.Random
) -> None:
    """In three years of days: none, where the share is the same on all of them."""
    days = history(share, a_day, 3 * 365, dice)
    found = [end for end in range(15, len(days)) if unusual(days[:end])]
    assert found == []


@pytest.mark.parametrize(
    ("share", "last", "a_day"), [(0.0, 0.5, 12), (0.05, 0.6, 20), (0.1, 0.35, 100), (0.3, 0.9, 20)]
)
def test_a_share_that_jumps_is_an_alarm_on_the_same_day(
    share: float, last: float, a_day: int, dice: random.Random
) -> None:
    found = sum(unusual(history(share, a_day, 15, dice, last=last)) for _ in range(100))
    assert found >= 90


def test_few_numbers_say_nothing() -> None:
    assert not is_unusual(striking=9, number=9, striking_before=0, number_before=500)
    assert not is_unusual(striking=20, number=20, striking_before=0, number_before=49)
    assert is_unusual(striking=10, number=10, striking_before=0, number_before=50)


def test_what_is_certain_and_small_wakes_nobody() -> None:
    """From 10 % to 15 % of thousands is no chance, and no news either."""
    assert chance_of(300, 2000, 2800, 28_000) < 1e-9
    assert LEAST_GROWTH > 0.05
    assert not is_unusual(striking=300, number=2000, striking_before=2800, number_before=28_000)
