"""A page that is served, and jobs to look at."""

from collections.abc import Iterator

import pytest

from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import leases
from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import Job
from dicom_ai_node.spool import Spool
from tests.database.made import again, claimed, enqueued
from tests.web.site import Served, served


@pytest.fixture
def page(config: Config, spool: Spool, database: Database) -> Iterator[Served]:
    with served(config, spool, database) as found:
        yield found


@pytest.fixture
def quarantined(database: Database) -> Job:
    """A job that crashed for good."""
    with database.write() as connection:
        enqueued(connection, "crashed")
        job = claimed(connection)
        leases.give_back(
            connection, job, error_kind="crash", error_text="it crashed", max_attempts=1, now=0
        )
        return again(connection, job)
