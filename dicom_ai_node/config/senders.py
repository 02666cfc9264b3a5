"""Whether the AE titles, and who may connect, are told apart."""

from collections.abc import Iterator

from dicom_ai_node.config.accept import AcceptEntry
from dicom_ai_node.config.settings import Config

_SAME = (
    "accept.{before} is for the same AE title, {title}, from some of the same addresses, and would "
    "alone be asked: make them one entry, or part their addresses"
)
Mistake = tuple[tuple[str | int, ...], str]  # where in the configuration, and what


def contradictions(config: Config) -> Iterator[Mistake]:
    """The first entry of `accept` that suits a peer counts, so that a second one is never asked."""
    titles = config.node.ae_title
    for index, title in enumerate(titles):
        if title in titles[:index]:
            yield ("node", "ae_title", index), "this AE title is there twice: leave one out"
    for index, entry in enumerate(config.accept):
        for before, other in enumerate(config.accept[:index]):
            if _meet(entry, other):
                yield ("accept", index), _SAME.format(before=before, title=entry.ae_title)
                break


def _meet(one: AcceptEntry, other: AcceptEntry) -> bool:
    """Whether one peer may suit both."""
    if one.ae_title != other.ae_title:
        return False
    shows = set(one.certificate) & set(other.certificate)
    if not shows and (one.certificate or other.certificate):
        return False
    return any(
        mine.version == theirs.version and mine.overlaps(theirs)
        for mine in one.from_
        for theirs in other.from_
    )
