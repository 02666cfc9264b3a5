"""What must be true at the end: by the ledgers of the senders, the disk, and what the PACS has."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dicom_ai_node.header import data_of
from dicom_ai_node.spool import Spool
from tests.acceptance.kills.counting_pacs import Stored
from tests.acceptance.kills.sender import Ledger, Study

Kinds = tuple[str, ...]  # modalities of the objects that one run makes, sorted


@dataclass(kw_only=True)
class Reckoning:
    """`lost` and `doubled` are sentences; empty when all is well."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def is_even(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)


def kinds_of(objects: Iterable[Stored]) -> Kinds:
    return tuple(sorted(each.modality for each in objects))


@dataclass
class Disk:
    """SHA-256 of what lies in the spool; a file is read once, until all are read anew."""

    spool: Spool
    known: dict[str, str] = field(default_factory=dict)  # by file name

    def read(self, *, anew: bool = False) -> Counter[str]:
        if anew:  # what was whole once may have been written over
            self.known.clear()
        there = {path.name: path for path in self.spool.instance_files()}
        for name in self.known.keys() - there.keys():
            del self.known[name]
        for name in there.keys() - self.known.keys():
            data = data_of(there[name].read_bytes())
            self.known[name] = hashlib.sha256(data).hexdigest()
        return Counter(self.known.values())


def reckon_instances(reckoning: Reckoning, ledgers: Sequence[Ledger], disk: Counter[str]) -> None:
    """Each acknowledged instance lies there byte for byte, once; nothing else does."""
    expected = Counter(sha256 for each in ledgers for sha256 in each.acknowledged.values())
    lost, more = expected - disk, disk - expected
    if lost:
        reckoning.lost.append(f"{lost.total()} acknowledged instances are not in the spool")
    if doubles := Counter({sha256: n for sha256, n in more.items() if sha256 in expected}):
        reckoning.doubled.append(f"{doubles.total()} instances lie there twice")
    if more - doubles:
        reckoning.wrong.append(f"{(more - doubles).total()} files were never acknowledged")


def reckon_results(
    reckoning: Reckoning,
    studies: Sequence[Study],
    found: Mapping[str, Sequence[Stored]],
    expected: Mapping[str | None, Kinds],
) -> None:
    """`expected` is what one run makes of a study, by what is wrong with it."""
    for study in studies:
        objects, kinds = found[study.uid], expected[study.wrong]
        missing = Counter(kinds) - Counter(kinds_of(objects))
        more = Counter(kinds_of(objects)) - Counter(kinds)
        what = f"a study ({study.wrong or 'good'}, {study.uid})"
        if missing:
            reckoning.lost.append(f"{what} has no {', '.join(missing.elements())}")
        if more:
            reckoning.doubled.append(f"{what} has {', '.join(more.elements())} more than once")
        if len({each.series for each in objects}) > len(kinds):
            reckoning.doubled.append(f"{what} has results in too many series")
        if any(each.patient_id != study.patient_id for each in objects):
            reckoning.wrong.append(f"{what} has a result of another patient")


def reckon_copies(reckoning: Reckoning, copies: Mapping[str, set[str]]) -> None:
    """What was sent again was the same, byte for byte (P7)."""
    for uid, contents in copies.items():
        if len(contents) > 1:
            reckoning.wrong.append(f"the object {uid} came with {len(contents)} contents")
