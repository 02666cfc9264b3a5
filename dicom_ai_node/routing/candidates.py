"""The series of a study as rules judge them: mixed ones in their parts, each with its facts."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from dicom_ai_node.routing import facts, split
from dicom_ai_node.study import Described, Series, Values, in_order

# what facts and splitting need of each instance, and a decision of each series
KEYWORDS = facts.KEYWORDS | split.KEYWORDS | {"Modality", "StudyDate", "StudyTime"}


def candidates(described: Iterable[Described]) -> list[Series]:
    """In the order of their UIDs and parts, whatever the order in which the instances are given.

    One instance given twice, with the same bytes, counts once. The frames of multi-frame objects
    are counted; facts of their geometry are absent.
    """
    groups: dict[tuple[str, str], dict[tuple[str, str], Described]] = defaultdict(dict)
    for member in sorted(described, key=lambda member: str(member[0].path)):
        instance = member[0]
        group = groups[instance.study_instance_uid, instance.series_instance_uid]
        group.setdefault((instance.sop_instance_uid, instance.sha256), member)
    found = []
    for group in groups.values():
        parts = split.split([member for _, member in sorted(group.items(), key=_uid)])
        found += [_series(words, members, len(parts)) for words, members in parts]
    return sorted(found, key=in_order)


def _uid(item: tuple[tuple[str, str], Described]) -> tuple[str, str]:
    return item[0]


def _series(part: str, members: Sequence[Described], parts: int) -> Series:
    first = members[0][0]
    collected: dict[str, dict[str | int | float | bool, None]] = defaultdict(dict)
    for _, header in members:
        for keyword, values in header.items():
            collected[keyword].update(dict.fromkeys(values))
    attributes: dict[str, Values] = {keyword: tuple(found) for keyword, found in collected.items()}
    return Series(
        study_instance_uid=first.study_instance_uid,
        series_instance_uid=first.series_instance_uid,
        modality=", ".join(str(value) for value in attributes.get("Modality", ("unknown",))),
        instances=tuple(instance for instance, _ in members),
        attributes=attributes,
        part=part,
        facts={**facts.facts_of(members), "parts": (parts,)},
    )
