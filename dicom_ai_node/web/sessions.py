"""Sessions of browsers: what a cookie says of one, and which have ended."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`mark` is the token's: its number alone may be another's after a restore."""

    token_id: int
    mark: str
    number: str


class Ended:
    """In memory, each until its cookie is too old anyway: a restart forgets them."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def __contains__(self, number: str) -> bool:
        return number in self._until

    def add(self, number: str, *, until: float, now: float) -> None:
        for each in [each for each, at in list(self._until.items()) if at <= now]:
            self._until.pop(each, None)
        self._until[number] = until
