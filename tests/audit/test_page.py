"""docs/audit.md: its example is valid, and its check of a copy finds what `audit verify` finds."""

import re
import subprocess
import sys
from pathlib import Path

from dicom_ai_node.audit.lines import append
from tests.audit.schema import assert_valid

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_is_a_valid_message(tmp_path: Path) -> None:
    assert_valid([block("xml").encode()], tmp_path)


def test_a_copy_is_checked_by_the_lines_that_are_printed(tmp_path: Path) -> None:
    for body in (b"<a/>", b"<b/>", b"<c d='e f'/>"):
        append(tmp_path, body, day="2026-01-02", sync=False)

    def check() -> str:
        command = [sys.executable, "-c", block("python"), str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert check() == ""
    file = tmp_path / "2026-01-02.log"
    file.write_bytes(file.read_bytes().replace(b"<b/>", b"<x/>"))
    assert check() == "2026-01-02.log line 2 was changed\n"
