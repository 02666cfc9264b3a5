"""One room for all tests of this folder: a browser is slow to start."""

from collections.abc import Iterator

import pytest

from tests.viewers.room import Room, open_room


@pytest.fixture(scope="package")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with open_room(tmp_path_factory.mktemp("room")) as opened:
        yield opened
