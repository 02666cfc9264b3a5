"""What the pages tell people to type is there."""

import re
import shlex
from pathlib import Path

import pytest

from scripts.command_examples import EXAMPLES
from tests.doc_commands import PAGES, ROOT, commands, help_of, parsed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_exists(page: Path) -> None:
    """Each verb, and each option that it is given."""
    for command in commands(page):
        parsed(tuple("12" if word == "…" else word for word in command.words))
        shown = help_of(command.verb)
        for option in (word.partition("=")[0] for word in command.words if word.startswith("--")):
            assert re.search(rf"{option}\b", shown), f"{command.verb} has no {option}"


@pytest.mark.parametrize("line", EXAMPLES.values())
def test_every_example_is_taken_by_the_program(line: str) -> None:
    parsed(tuple(shlex.split(line)[1:]))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", text):
        file, heading = target
        if file.startswith(("http:", "https:", "mailto:")):
            continue
        path = (page.parent / file) if file else page
        assert path.exists(), f"{page.name} leads to {file}, which is not there"
        if heading:
            assert heading in headings(path), f"{page.name}: {file} has no heading #{heading}"


def headings(path: Path) -> set[str]:
    """As the anchors of GitHub name them."""
    lines = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    named = {re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-") for line in lines}
    return named | set(re.findall(r'<a id="([^"]+)"', path.read_text(encoding="utf-8")))


def test_pages_are_found() -> None:
    assert len(PAGES) > 20
    assert sum(len(list(commands(page))) for page in PAGES if page.parent == ROOT) > 10
