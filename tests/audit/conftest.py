"""The trail of a node that is in this process."""

from collections.abc import Iterator

import pytest

from dicom_ai_node.audit import current
from dicom_ai_node.audit.trail import Trail
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.node_trail import trail_of
from dicom_ai_node.spool import Spool


@pytest.fixture
def trail(config: Config, spool: Spool, database: Database) -> Iterator[Trail]:
    made = trail_of(config, spool, database)
    current.use(made)
    yield made
    current.use(None)
