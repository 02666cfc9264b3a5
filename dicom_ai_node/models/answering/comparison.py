"""A model's answer beside the one that is known."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dicom_ai_node.config.expected import Expected
from dicom_ai_node.result import BoxInPatient, Finding, Result

Labels = NDArray[np.uint8]  # (layers, *grid): segment numbers
_Said = TypeVar("_Said")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One line of the comparison, in words and numbers for people."""

    what: str
    expected: str
    found: str
    agrees: bool


def compare(result: Result, expected: Expected, mask: Labels | None = None) -> list[Compared]:
    """Everything that `expected` names; what it does not name is not compared."""
    lines = [_line("outcome", str(expected.outcome), str(result.outcome))]
    if expected.findings is not None:
        lines.append(_line("findings", str(expected.findings), str(len(result.findings))))
    lines += _measurements(result, expected)
    lines += _probabilities(result, expected)
    lines += _places(result, expected)
    if mask is not None:
        lines += _segments(result, expected, mask)
    return lines


def dice_of(one: Labels, other: Labels) -> dict[int, float]:
    """For each segment number that one of them holds; (layers, *grid)."""
    numbers = (set(np.unique(one).tolist()) | set(np.unique(other).tolist())) - {0}
    found = {}
    for number in sorted(numbers):
        first, second = (one == number).any(axis=0), (other == number).any(axis=0)
        together = int(np.count_nonzero(first)) + int(np.count_nonzero(second))
        found[number] = 2 * int(np.count_nonzero(first & second)) / together
    return found


def labels_of(result: Result) -> Labels | None:
    """All masks of a result in one array; those of images where all have one size."""
    layers = [mask.array for mask in result.masks]
    if not layers and len({mask.array.shape for mask in result.image_masks}) == 1:
        layers = [np.stack([mask.array for mask in result.image_masks])]
    return np.stack(layers) if layers else None


def _measurements(result: Result, expected: Expected) -> Iterator[Compared]:
    of = _Occurrences(result)
    for entry in expected.measurements:
        what = f"{entry.finding}: {entry.name}"

        def value(finding: Finding, name: str = entry.name) -> float | None:
            return next((m.value for m in finding.measurements if m.name.meaning == name), None)

        yield _number(what, entry.value, entry.tolerance, of.next(entry.finding, what, value))


def _probabilities(result: Result, expected: Expected) -> Iterator[Compared]:
    of = _Occurrences(result)
    answers = {each.code.meaning: each.probability for each in result.assessments}
    for entry in expected.probabilities:
        what = f"{entry.finding}: probability"
        found = of.next(entry.finding, what, lambda finding: finding.probability)
        if found is None:
            found = answers.get(entry.finding)
        yield _number(what, entry.value, entry.tolerance, found)


def _places(result: Result, expected: Expected) -> Iterator[Compared]:
    of = _Occurrences(result)
    for entry in expected.places:
        what = f"{entry.finding}: centre (LPS, mm)"
        found = of.next(entry.finding, what, _center)
        away = None if found is None else float(np.linalg.norm(found - np.array(entry.center)))
        yield Compared(
            what=what,
            expected=f"{_point(np.array(entry.center))} ± {entry.tolerance:g}",
            found="not there" if found is None else _point(found),
            agrees=away is not None and away <= entry.tolerance,
        )


def _segments(result: Result, expected: Expected, mask: Labels) -> Iterator[Compared]:
    found = labels_of(result)
    if found is None:
        found = np.zeros_like(mask)
    if found.shape[1:] != mask.shape[1:]:
        yield _line("mask", f"{mask.shape[1:]}", f"{found.shape[1:]}")
        return
    for number, dice in dice_of(mask, found).items():
        yield Compared(
            what=f"segment {number}: Dice",
            expected=f"at least {expected.dice:g}",
            found=f"{dice:.4f}",
            agrees=dice >= expected.dice,
        )


class _Occurrences:
    """Findings by name, the second of a name where it is asked for the second time."""

    def __init__(self, result: Result) -> None:
        self._findings = result.findings
        self._asked: dict[str, int] = {}

    def next(self, name: str, what: str, read: Callable[[Finding], _Said]) -> _Said | None:
        number = self._asked.get(what, 0)
        self._asked[what] = number + 1
        named = [each for each in self._findings if each.tracking_identifier == name]
        named = named or [each for each in self._findings if each.code.meaning == name]
        return read(named[number]) if number < len(named) else None


def _center(finding: Finding) -> NDArray[np.float64] | None:
    return finding.region.center if isinstance(finding.region, BoxInPatient) else None


def _number(what: str, due: float, tolerance: float, found: float | None) -> Compared:
    return Compared(
        what=what,
        expected=f"{due:g} ± {tolerance:g}",
        found="not there" if found is None else f"{found:g}",
        # a hair more, for the last digit of a decimal number
        agrees=found is not None and abs(found - due) <= tolerance * (1 + 1e-9) + 1e-12,
    )


def _line(what: str, expected: str, found: str) -> Compared:
    return Compared(what=what, expected=expected, found=found, agrees=expected == found)


def _point(point: NDArray[np.float64]) -> str:
    return ", ".join(f"{value:.1f}" for value in point)
