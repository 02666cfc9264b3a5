"""Whether a line of the trail was changed or taken out since it was written."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dicom_ai_node.audit import codes
from dicom_ai_node.audit.lines import (
    FIRST_DIGEST,
    Head,
    Line,
    day_files,
    digest_of,
    parse_line,
    read_head,
)

# as `to_xml` writes it; within a text or an attribute, < is never left as it is
_HEAD_LOST = f'<EventTypeCode csd-code="{codes.HEAD_LOST.value}"'.encode()
_MOST = 100  # faults; more of them say nothing new


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The lines that are there, and what is wrong with them, a sentence each."""

    first: int
    last: int
    digest: str  # of the last line: kept elsewhere, it proves all that is before it
    faults: tuple[str, ...]


def verify(folder: Path) -> Verified:
    """Reads every line up to the one that was the last when this began."""
    head = read_head(folder)
    faults: list[str] = []
    before = None
    first = 0
    for path, at, line in _lines(folder, head):
        if line is None:
            faults.append(f"{path.name}, line {at} of the file: this is no line of the trail")
            continue
        faults += _faults(path, before, line, head)
        if _HEAD_LOST in line.body:
            faults.append(
                f"{path.name}, line {line.number}: head was missing or spoilt before it was "
                "written: whether lines are missing before it cannot be said"
            )
        first = first or line.number
        before = line
    faults += _at_the_end(before, head)
    return Verified(
        first=first,
        last=before.number if before else 0,
        digest=before.digest if before else FIRST_DIGEST,
        faults=tuple(faults[:_MOST]),
    )


def _lines(folder: Path, head: Head | None) -> Iterator[tuple[Path, int, Line | None]]:
    for path in day_files(folder):
        left = head.size if head is not None and path.name == head.file else None
        with path.open("rb") as file:
            for at, content in enumerate(file, 1):
                if left is not None:
                    if left <= 0:
                        return  # written after we began, or about to be
                    left -= len(content)
                yield path, at, parse_line(content.removesuffix(b"\n"))


def _faults(path: Path, before: Line | None, line: Line, head: Head | None) -> Iterator[str]:
    kept_from = 1 if head is None else head.kept_from
    expected = kept_from if before is None else before.number + 1
    if line.number > expected:
        many = f"lines {expected} to {line.number - 1} are"
        one = f"line {expected} is"
        yield f"{path.name}: {one if line.number == expected + 1 else many} missing"
    elif line.number < expected:
        yield f"{path.name}: line {line.number} is there twice, or out of its order"
    elif before is not None or kept_from == 1:  # what a later beginning rests on is gone
        digest = FIRST_DIGEST if before is None else before.digest
        if digest_of(digest, line.number, line.body) != line.digest:
            yield f"{path.name}: line {line.number} was changed"


def _at_the_end(last: Line | None, head: Head | None) -> Iterator[str]:
    number = last.number if last else 0
    if head is None:
        if last is not None:
            yield "head is missing or spoilt: whether lines are missing at the end cannot be said"
        return
    if head.number > number:
        yield (
            f"lines {number + 1} to {head.number} are missing at the end: taken out, or lost when "
            "the power failed"
        )
    elif last is not None and (head.number, head.digest) != (last.number, last.digest):
        yield "the last line is not the one that was written last"
