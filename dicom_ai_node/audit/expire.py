"""Whole files at the beginning of the trail, taken out on purpose: `head` knows, and `verify` does
not call them missing."""

import fcntl
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dicom_ai_node.audit.lines import day_files, locked, parse_head, parse_line


def expired(folder: Path, *, before: str, unsent_from: str | None) -> list[Path]:
    """Files of days before that one (YYYY-MM-DD), but the latest, and none from the file on of
    which the repository still lacks lines."""
    latest = day_files(folder)[-1:]
    return [
        path
        for path in day_files(folder)
        if path.stem < before
        and path not in latest
        and (unsent_from is None or path.name < unsent_from)
    ]


def expire(folder: Path, files: Sequence[Path]) -> None:
    """They are the oldest there are."""
    with locked(folder, fcntl.LOCK_EX) as descriptor:
        head = parse_head(os.pread(descriptor, 512, 0))
        left = [path for path in day_files(folder) if path not in files]
        if head is None or not left:
            return
        with left[0].open("rb") as file:
            first = parse_line(file.readline().removesuffix(b"\n"))
        if first is None:
            return  # spoilt: what is before it may be wanted
        os.pwrite(descriptor, replace(head, kept_from=first.number).encode(), 0)
        os.fdatasync(descriptor)
        for path in files:
            path.unlink()
