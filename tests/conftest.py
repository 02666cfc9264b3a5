"""A node's parts in a folder of the test's own: real files, a real database, a real socket."""

import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from dicom_ai_node.audit import current
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import schema
from dicom_ai_node.database.engine import Database
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.spool import Spool
from tests.made import configuration

pytest_plugins = ["tests.models_fixture"]  # weights of the built-in models, where a test asks

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

# machines that test are busy: a slow example is no failure
settings.register_profile(
    "node", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("node")


def pytest_configure(config: pytest.Config) -> None:
    # what a shell starts in the background ignores it, and so would every process that we start
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # pynetdicom leaves the socket of a connection that was refused to the garbage collector
    config.addinivalue_line("filterwarnings", "ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(autouse=True)
def _process() -> Iterator[None]:
    """Verbs that run in this process make its umask 077 and take its signals, as in theirs."""
    umask = os.umask(0o022)
    handlers = {each: signal.getsignal(each) for each in _SIGNALS}
    yield
    os.umask(umask)
    for each, handler in handlers.items():
        signal.signal(each, handler)


@pytest.fixture
def config(tmp_path: Path, request: pytest.FixtureRequest) -> Config:
    """Parametrise it indirectly with the sections that differ."""
    return configuration(tmp_path, **getattr(request, "param", {}))


@pytest.fixture
def spool(config: Config) -> Spool:
    return Spool(config.node.spool)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every table and no row, made once and copied for each test."""
    path = tmp_path_factory.mktemp("empty") / "node.db"
    made = Database(f"sqlite:///{path}")
    schema.upgrade(made)
    made.close()
    return path


@pytest.fixture
def database(config: Config, empty_database: Path) -> Iterator[Database]:
    opened = Database(config.node.database)
    shutil.copy(empty_database, opened.path)
    yield opened
    opened.close()


@pytest.fixture
def receiver(config: Config, spool: Spool, database: Database) -> Iterator[int]:
    """The port of a storage SCP that takes what PACS sends to AI_NODE."""
    with Receiver(config, spool, database).running() as port:
        yield port


@pytest.fixture
def dice() -> random.Random:
    """Chance that is the same in every run."""
    return random.Random(20260102)  # noqa: S311 — for order, not for secrets


@pytest.fixture(autouse=True)
def _no_trail_of_another_test() -> Iterator[None]:
    """A verb in this process says where audit messages go, for good."""
    yield
    current.use(None)
