"""A mixed series in its parts: by SOP class, localizer, orientation, and by what repeats positions.

Never a plain stack in two: a part that looks whole and is half would be analysed as if it were all.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
from pydicom.uid import UID

from dicom_ai_node.routing import planes
from dicom_ai_node.study import Described, Values

Part = tuple[str, list[Described]]
_M = TypeVar("_M")
_K = TypeVar("_K", bound=Hashable)

_STACK = 3  # so many positions of one direction are a stack of their own
_DENSE = 0.9  # of the positions within its extent, a phase must have so many

# what tells apart images at one position, the surest first; `{n}` is the rank, `{v}` the value
_TELLING = {
    "EchoTime": "echo {n} (EchoTime {v})",
    "EchoNumbers": "echo {v}",
    "DiffusionBValue": "b-value {v}",
    "DiffusionGradientOrientation": "diffusion direction {n}",
    "TemporalPositionIdentifier": "phase {v}",
    "NominalPercentageOfCardiacPhase": "cardiac phase {v} %",
    "TriggerTime": "trigger time {v} ms",
    "InversionTime": "inversion time {v} ms",
    "FlipAngle": "flip angle {v}",
    "KVP": "{v} kV",
    "ConvolutionKernel": "kernel {v}",
    "ComplexImageComponent": "{v}",
    "ImageType": "image type {v}",
    "AcquisitionNumber": "acquisition {v}",
}
KEYWORDS = planes.KEYWORDS | {*_TELLING, "ImageType"}


def split(members: Sequence[Described]) -> list[Part]:
    """The parts of one series with words for each; one part without words where it is whole."""
    parts: list[Part] = [("", list(members))]
    for step in (_by_sop_class, _by_localizer, _by_direction, _by_repeats):
        parts = [
            (", ".join(filter(None, (words, more))), below)
            for words, group in parts
            for more, below in step(group)
        ]
    return [(_unlike(parts, index), group) for index, (_, group) in enumerate(parts)]


def _unlike(parts: Sequence[Part], index: int) -> str:
    """Two parts never have the same words."""
    words = [each for each, _ in parts]
    before = words[:index].count(words[index])
    return f"{words[index]} ({before + 1})" if before else words[index]


def _by_sop_class(members: list[Described]) -> Iterator[Part]:
    groups = _grouped(members, lambda member: member[0].sop_class_uid)
    for uid, group in sorted(groups.items()):
        yield (UID(uid).name if len(groups) > 1 else ""), group


def _by_localizer(members: list[Described]) -> Iterator[Part]:
    groups = _grouped(members, lambda member: "LOCALIZER" in member[1].get("ImageType", ()))
    for is_localizer, group in sorted(groups.items()):
        words = "localizer" if is_localizer else "without localizer"
        yield (words if len(groups) > 1 else ""), group


def _by_direction(members: list[Described]) -> Iterator[Part]:
    """By the direction of the slices, where one direction has a stack.

    Slices that are parallel and turned within their planes stay together, and are refused so.
    """
    lying = planes.planes_of([header for _, header in members])
    labels = planes.direction_labels(lying) if lying else np.zeros(len(members), np.intp)
    rows = [np.flatnonzero(labels == label).tolist() for label in range(int(labels.max()) + 1)]
    if lying is None or len(rows) == 1:
        yield "", members
        return
    sizes = [len(np.unique(planes.distinct(lying.subset(each).along()))) for each in rows]
    if max(sizes) < _STACK:
        yield "", members
        return
    rows = [rows[at] for at in sorted(range(len(rows)), key=lambda at: -sizes[at])]
    names = [planes.plane_name(lying.normals()[each[0]]) for each in rows]
    for index, (name, each) in enumerate(zip(names, rows, strict=True)):
        number = f" {names[:index].count(name) + 1}" if names.count(name) > 1 else ""
        yield name + number, [members[row] for row in each]


def _by_repeats(
    members: list[Described], telling: Sequence[str] = tuple(_TELLING)
) -> Iterator[Part]:
    """Echoes, phases and the like, where positions repeat and one attribute explains it."""
    numbers = _position_numbers(members)
    if numbers is None or _repeats(numbers) == 0:
        yield "", members
        return
    for at, keyword in enumerate(telling):
        values = [_value(header, keyword) for _, header in members]
        groups = _grouped(range(len(members)), values.__getitem__)
        if len(groups) > 1 and _explains([numbers[rows] for rows in groups.values()], numbers):
            shared = set.intersection(*map(set, groups))
            for rank, (value, rows) in enumerate(sorted(groups.items(), key=_by_value), start=1):
                own = tuple(each for each in value if each not in shared)
                words = _words(keyword, rank, own or value)
                for more, below in _by_repeats([members[r] for r in rows], telling[at + 1 :]):
                    yield ", ".join(filter(None, (words, more))), below
            return
    yield "", members


def _explains(groups: Sequence[planes.Labels], whole: planes.Labels) -> bool:
    """Each group is a dense stack, all share ground, and fewer positions repeat.

    Otherwise a half of a stack (a second breath-hold, every other slice) would pass for a phase.
    """
    low, high = max(each.min() for each in groups), min(each.max() for each in groups)
    shortest = min(int(np.ptp(each)) for each in groups)
    if high - low < shortest / 2:
        return False
    dense = all(len(np.unique(each)) >= _DENSE * (int(np.ptp(each)) + 1) for each in groups)
    return dense and sum(map(_repeats, groups)) < _repeats(whole)


def _position_numbers(members: Sequence[Described]) -> planes.Labels | None:
    """None where there are no positions, or not of one direction."""
    lying = planes.planes_of([header for _, header in members])
    if lying is None or planes.direction_labels(lying).max() > 0:
        return None
    return planes.distinct(lying.along())


def _repeats(numbers: planes.Labels) -> int:
    return len(numbers) - len(np.unique(numbers))


def _value(header: Mapping[str, Values], keyword: str) -> Values:
    """Numbers as far as they differ on purpose: an echo time of 2.4600001 is one of 2.46."""
    values = header.get(keyword, ())
    return tuple(float(f"{v:.4g}") if isinstance(v, float) else v for v in values)


def _by_value(item: tuple[Values, object]) -> list[tuple[bool, float, str]]:
    """Numbers before text; nothing first."""
    return [
        (True, 0.0, value) if isinstance(value, str) else (False, float(value), "")
        for value in item[0]
    ]


def _words(keyword: str, rank: int, value: Values) -> str:
    """Only what is short and plain is repeated: the text comes from outside."""
    shown = " ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in value)
    plain = shown.replace("_", "").replace(".", "").replace("-", "").replace(" ", "")
    if keyword == "DiffusionGradientOrientation" or (plain.isascii() and plain.isalnum()):
        return _TELLING[keyword].format(n=rank, v=shown[:32])
    name = _TELLING[keyword].split("{")[0].strip() or keyword
    return f"{name} {rank}" if value else f"no {keyword}"


def _grouped(members: Iterable[_M], key: Callable[[_M], _K]) -> dict[_K, list[_M]]:
    groups: dict[_K, list[_M]] = defaultdict(list)
    for member in members:
        groups[key(member)].append(member)
    return groups
