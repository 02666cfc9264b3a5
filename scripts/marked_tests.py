"""Which tests carry a marker, by the marker's arguments: for the pages that are made of them."""

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

Named = Mapping[object, Sequence[str]]  # tests without their parameters


class CollectionFailed(Exception):
    """The tests could not be collected; what pytest said of it."""


class _Markers:
    """A pytest plugin: remembers which tests name what."""

    def __init__(self, names: Sequence[str]) -> None:
        self.found: dict[str, dict[object, set[str]]] = {name: {} for name in names}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            test = item.nodeid.partition("[")[0]
            for name, found in self.found.items():
                for mark in item.iter_markers(name):
                    for argument in mark.args:
                        found.setdefault(argument, set()).add(test)


def collect(*markers: str) -> Mapping[str, Named]:
    """Every test of the suite that has one; in this process, where torch may be already."""
    plugin, said = _Markers(markers), io.StringIO()
    options = [f"--rootdir={ROOT}", f"--config-file={ROOT / 'pyproject.toml'}"]
    options += ["--collect-only", "-q", "--capture=no"]
    # the last two would call the garbage of a running session our failure
    absent = ("cacheprovider", "faulthandler", "unraisableexception", "threadexception")
    options += [f"-pno:{name}" for name in absent]
    with redirect_stdout(said), redirect_stderr(said):
        status = pytest.main([*options, str(ROOT / "tests")], plugins=[plugin])
    if status != pytest.ExitCode.OK:
        raise CollectionFailed(said.getvalue())
    return {
        marker: {argument: sorted(tests) for argument, tests in found.items()}
        for marker, found in plugin.found.items()
    }


def links(tests: Sequence[str], page: Path) -> str:
    """A cell of a table; empty where there are none."""
    return "<br>".join(_link(test, page) for test in tests)


def _link(test: str, page: Path) -> str:
    file = test.partition("::")[0]
    return f"[`{test.removeprefix('tests/')}`]({os.path.relpath(ROOT / file, page.parent)})"
