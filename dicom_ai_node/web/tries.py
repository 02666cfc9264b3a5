"""How often somebody at an address has tried to come in without a good token."""

from collections import OrderedDict

_MOST = 10
_WITHIN_S = 300.0
_ADDRESSES = 10_000  # remembered at most, the last ones


class Tries:
    """In memory: a restart forgets, and needs more than those who try."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def are_spent(self, address: str, *, now: float) -> bool:
        recent = [at for at in self._failed.get(address, ()) if 0 <= now - at < _WITHIN_S]
        return len(recent) >= _MOST

    def failed(self, address: str, *, now: float) -> None:
        recent = [at for at in self._failed.pop(address, []) if 0 <= now - at < _WITHIN_S]
        self._failed[address] = [*recent, now][-_MOST:]
        if len(self._failed) > _ADDRESSES:
            self._failed.popitem(last=False)
