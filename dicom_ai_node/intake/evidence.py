"""What is known of the completeness of each series, by whom: pure, no clock, no database.

Geometry is no evidence: every beginning of a series is whole.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dicom_ai_node.study import WHOLE_STUDY, Expected, Source

ACQUISITION = "Images in Acquisition"
NOTIFICATIONS = (Source.IAN, Source.MPPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """An instance that is here, as far as it bears on completeness.

    `images_in_acquisition` (0020,1002) is None where it says nothing: in derived images, which copy
    it from their source, and in multi-frame ones, which are not counted alike by all.
    """

    sop_instance_uid: str
    series_instance_uid: str
    is_image: bool
    modality: str = ""
    acquisition: str = ""  # Acquisition Number (0020,0012)
    images_in_acquisition: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How many images of a series are here and how many there are, by one source."""

    series_instance_uid: str
    here: int
    wanted: int
    by: str

    @property
    def is_short(self) -> bool:
        return self.here < self.wanted

    def __str__(self) -> str:
        came = f"{self.here} of {self.wanted} images"
        return f"{came} came, by {self.by}" if self.is_short else f"{came}, by {self.by}"


def by_series(came: Collection[Came]) -> dict[str, list[Came]]:
    found: dict[str, list[Came]] = defaultdict(list)
    for each in came:
        found[each.series_instance_uid].append(each)
    return found


def findings(came: Collection[Came], expected: Collection[Expected]) -> Iterator[Finding]:
    """Of all series that are here or ought to be; none where a source must be wrong, or outdated:
    where more came than it knows."""
    series = by_series(came)
    yield from _by_acquisition(series)
    yield from _by_count(series, expected)
    yield from _by_name(series, expected)


_Acquisition = tuple[str, str, int]  # modality, Acquisition Number, images that it has


def _by_acquisition(series: Mapping[str, Sequence[Came]]) -> Iterator[Finding]:
    """A series is short when an acquisition of it is, wherever its images went.

    One acquisition may be split into several series, but then their parts make whole ones. That
    they do proves nothing: two reconstructions that are half here do so, too.
    """
    counts = {uid: count for uid, members in series.items() if (count := _acquisitions(members))}
    parts: dict[_Acquisition, int] = defaultdict(int)  # in series that do not have all of it
    for count in counts.values():
        for key, here in count.items():
            if here < key[2]:
                parts[key] += here
    for uid, count in counts.items():
        short = {key: here for key, here in count.items() if here < key[2] and parts[key] % key[2]}
        is_whole = all(here == key[2] for key, here in count.items())
        counted = short or (count if is_whole else {})
        if counted:
            yield Finding(
                series_instance_uid=uid,
                here=sum(counted.values()),
                wanted=sum(wanted for _, _, wanted in counted),
                by=ACQUISITION,
            )


def _acquisitions(members: Sequence[Came]) -> dict[_Acquisition, int]:
    """The images of a series by their acquisition; empty where one of them does not say."""
    count: dict[_Acquisition, int] = defaultdict(int)
    for each in members:
        if each.images_in_acquisition is None:
            return {}
        count[each.modality, each.acquisition, each.images_in_acquisition] += 1
    numbers = {key[:2] for key in count}
    is_sound = len(numbers) == len(count) and all(here <= key[2] for key, here in count.items())
    return count if is_sound else {}


def _by_count(
    series: Mapping[str, Sequence[Came]], expected: Iterable[Expected]
) -> Iterator[Finding]:
    for each in expected:
        uid = each.series_instance_uid
        here = len(series.get(uid, ()))
        is_counted = each.source is Source.PACS and uid != WHOLE_STUDY
        if is_counted and (here < each.instances or (here == each.instances and each.is_final)):
            yield Finding(series_instance_uid=uid, here=here, wanted=each.instances, by=each.origin)


def _by_name(
    series: Mapping[str, Sequence[Came]], expected: Collection[Expected]
) -> Iterator[Finding]:
    for uid, names in named(expected).items():
        here = {each.sop_instance_uid for each in series.get(uid, ())}
        if here <= names:
            yield Finding(
                series_instance_uid=uid, here=len(here), wanted=len(names), by="notification"
            )


def named(expected: Iterable[Expected]) -> dict[str, frozenset[str]]:
    """The images that notifications name, by series; of steps that are complete."""
    steps = [each for each in expected if each.source in NOTIFICATIONS]
    going_on = {each.origin for each in steps if not each.is_final}
    found: dict[str, frozenset[str]] = {}
    for each in steps:
        uid = each.series_instance_uid
        if uid != WHOLE_STUDY and each.origin not in going_on:
            found[uid] = found.get(uid, frozenset()) | (each.sop_instance_uids or frozenset())
    return found
