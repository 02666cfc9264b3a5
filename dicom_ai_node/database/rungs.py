"""The rungs of a peer's ladder of forms: what of a job it is sent first, what is kept back for it,
and what not even that."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dicom_ai_node.config.result_forms import ResultForms
from dicom_ai_node.form import INDEPENDENT, Kind
from dicom_ai_node.job import DeliveryState, OutboxObject
from dicom_ai_node.log import get_logger

log = get_logger(__name__)

_MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    entry: OutboxObject
    rungs: tuple[int, ...]
    state: DeliveryState


def planned(
    objects: Sequence[OutboxObject], results: ResultForms | None, *, peer: str
) -> list[Planned]:
    """PENDING or SPARE, in the order of the objects; without what is beyond the peer's limits.

    A peer without a ladder of its own has the first form that was made.
    """
    labels = _labels(objects, results)
    if not labels:  # made by a version that knew one form
        return [_planned(each, (), DeliveryState.PENDING) for each in objects]
    rungs = _rungs(objects, labels, results, peer)
    found = [_of_rungs(each, rungs) for each in objects]
    return [each for each in found if each.rungs or _goes_along(each.entry, labels, results, peer)]


def _of_rungs(entry: OutboxObject, rungs: Mapping[int, frozenset[str]]) -> Planned:
    part_of = tuple(rung for rung, uids in rungs.items() if entry.sop_instance_uid in uids)
    is_spare = bool(part_of) and min(rungs) not in part_of
    return _planned(entry, part_of, DeliveryState.SPARE if is_spare else DeliveryState.PENDING)


def _goes_along(
    entry: OutboxObject, labels: Sequence[str], results: ResultForms | None, peer: str
) -> bool:
    if entry.kind not in INDEPENDENT or set(labels).isdisjoint(entry.forms):
        return False
    return not _is_beyond([entry], results, peer, entry.kind)


def _planned(entry: OutboxObject, rungs: tuple[int, ...], state: DeliveryState) -> Planned:
    return Planned(entry=entry, rungs=rungs, state=state)


def _labels(objects: Sequence[OutboxObject], results: ResultForms | None) -> list[str]:
    """Of the forms of the ladder; where nothing of it was made, of the first that was."""
    made = list(dict.fromkeys(label for each in objects for label in each.forms))
    ladder = [form.label for form in results.ladder] if results else []
    return ladder if not set(ladder).isdisjoint(made) else made[:1]


def _rungs(
    objects: Iterable[OutboxObject], labels: Sequence[str], results: ResultForms | None, peer: str
) -> Mapping[int, frozenset[str]]:
    """SOP Instance UIDs by the number of the form: each that is within the limits, and is not the
    same as one before it."""
    rungs: dict[int, frozenset[str]] = {}
    dependent = [each for each in objects if each.kind not in INDEPENDENT]
    for number, label in enumerate(labels):
        members = [each for each in dependent if label in each.forms]
        uids = frozenset(each.sop_instance_uid for each in members)
        if uids and uids not in rungs.values() and not _is_beyond(members, results, peer, label):
            rungs[number] = uids
    return rungs


def _is_beyond(
    members: Sequence[OutboxObject], results: ResultForms | None, peer: str, what: str
) -> bool:
    limits = {name for each in members for name in _exceeded(each, results)} if results else set()
    if limits:
        log.info("form_beyond_limits", peer=peer, form=what, limits=sorted(limits))
    return bool(limits)


def _exceeded(entry: OutboxObject, results: ResultForms) -> list[str]:
    """Names of the limits; a report is never kept back."""
    if entry.kind == Kind.SR:
        return []
    # a label map describes its background as well
    segments = entry.segments - (entry.kind == Kind.LABELMAP)
    sizes = {
        "max_segments": (segments, results.max_segments),
        "max_frames": (entry.frames, results.max_frames),
        "max_mb": (entry.size / _MB, results.max_mb),
    }
    return [name for name, (size, limit) in sizes.items() if limit is not None and size > limit]
