"""Series to inputs, no series twice."""

from collections.abc import Collection, Mapping, Sequence

from dicom_ai_node.study import Series


def pair(suits: Mapping[str, Sequence[Series]], optional: Collection[str]) -> dict[str, Series]:
    """The series for each input; `suits` has those that may serve it, the best first.

    In their order, the required inputs before the optional ones, each takes its best series that
    leaves something for those after it. When not all of the required can have one, as many as can.
    """
    order = sorted(suits, key=lambda name: name in optional)
    required = [name for name in order if name not in optional]
    taken: dict[str, Series] = {}
    for at, name in enumerate(order):
        after = required[at + 1 :]
        possible = _how_many([name, *after], suits, taken)
        for series in suits[name]:
            if any(series is other for other in taken.values()):
                continue
            with_it = {**taken, name: series}
            if 1 + _how_many(after, suits, with_it) == possible:
                taken = with_it
                break
    return {name: taken[name] for name in suits if name in taken}


def _how_many(
    names: Sequence[str], suits: Mapping[str, Sequence[Series]], taken: Mapping[str, Series]
) -> int:
    """How many of these inputs can have a series of their own (augmenting paths)."""
    used = {id(series) for series in taken.values()}
    owner: dict[int, str] = {}

    def serve(name: str, tried: set[int]) -> bool:
        for series in suits[name]:
            key = id(series)
            if key in used or key in tried:
                continue
            tried.add(key)
            if key not in owner or serve(owner[key], tried):
                owner[key] = name
                return True
        return False

    return sum(serve(name, set()) for name in names)
