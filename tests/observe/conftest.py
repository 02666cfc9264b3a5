"""A node that is observed: its roles have just given a sign of life."""

from collections.abc import Iterator

import pytest

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.observe.observed import Observed
from dicom_ai_node.observe.server import make_server
from dicom_ai_node.spool import Spool
from tests.observe.scraped import kept_in, serving


@pytest.fixture
def observed(config: Config, spool: Spool, database: Database) -> Observed:
    return Observed(config=config, spool=spool, database=database)


@pytest.fixture
def alive(spool: Spool) -> Iterator[None]:
    with kept_in(spool.metrics, "work", "deliver", "receive"):
        yield


@pytest.fixture
def address(observed: Observed) -> Iterator[str]:
    with serving(make_server(observed, port=0)) as found:
        yield found
