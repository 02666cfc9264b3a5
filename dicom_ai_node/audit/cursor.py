"""How far the trail was sent to a repository: durable, so that a killed node goes on from there."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dicom_ai_node.audit.lines import Head, Line, day_files, parse_line, read_head
from dicom_ai_node.audit.read import moment_of

_SENT = "sent"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """Behind a line that was sent."""

    file: str = ""
    offset: int = 0


def read_position(folder: Path) -> Position:
    """The beginning, where nothing was sent, or nobody knows."""
    try:
        file, offset = json.loads((folder / _SENT).read_bytes())
        return Position(file=str(file), offset=int(offset))
    except (FileNotFoundError, ValueError, TypeError):
        return Position()


def write_position(folder: Path, position: Position) -> None:
    """After a power cut an older one may be there: then lines are sent again."""
    part = folder / f"{_SENT}.part"
    part.write_text(json.dumps([position.file, position.offset]))
    part.replace(folder / _SENT)


def lines_after(folder: Path, position: Position) -> Iterator[tuple[Line, Position]]:
    """Each with the position behind it, up to the one that is the last now; a line that somebody
    spoilt is passed over, which `audit verify` tells."""
    head = read_head(folder)
    if head is None:
        return
    for path in day_files(folder):
        if path.name < position.file or path.name > head.file:
            continue
        begin = position.offset if path.name == position.file else 0
        yield from _lines_of(path, begin, head)


def _lines_of(path: Path, begin: int, head: Head) -> Iterator[tuple[Line, Position]]:
    with path.open("rb") as file:
        at = file.seek(begin)
        end = head.size if path.name == head.file else None
        while (end is None or at < end) and (content := file.readline()):
            at += len(content)
            line = parse_line(content.removesuffix(b"\n"))
            if line is not None:
                yield line, Position(file=path.name, offset=at)


def unsent_since(folder: Path) -> float | None:
    """Since when the oldest message has waited for the repository, in seconds since the epoch; None
    where none waits. It only means something where `audit.syslog` is set."""
    first = next(lines_after(folder, read_position(folder)), None)
    return None if first is None else moment_of(first[0].body)
