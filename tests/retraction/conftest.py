from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.retraction.site import Site, site


@pytest.fixture
def here(tmp_path: Path, empty_database: Path) -> Iterator[Site]:
    with site(tmp_path, empty_database) as made:
        yield made
