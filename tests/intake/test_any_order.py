"""However a study comes, in any order, over any number of associations: one result, the same."""

import copy
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from dicom_ai_node.database.engine import Database
from dicom_ai_node.job import Outcome
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.spool import Spool
from tests.dicom_factory import series
from tests.intake.in_process import Road
from tests.made import bright, configuration
from tests.receive.scu import association

NUMBER = 8
QUIET_S = 60.0
Arrival = tuple[list[int], float]  # what an association brings, and how long nothing comes after it


def instances() -> list[Dataset]:
    return [copy.deepcopy(ds) for ds in series(name="any order", shape=(NUMBER, 12, 10))]


class Ahead(Database):
    """A database whose clock the test puts forward."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


@contextmanager
def a_node(empty_database: Path) -> Iterator[tuple[Road, int]]:
    with tempfile.TemporaryDirectory() as home:
        config = configuration(Path(home))
        spool = Spool(config.node.spool)
        shutil.copy(empty_database, Path(home) / "node.db")
        database = Ahead(config.node.database)
        road = Road(config, spool, database, {"bright": bright(Path(home))})
        with Receiver(config, spool, database).running() as port:
            yield road, port
        database.close()


def send(port: int, what: Sequence[Dataset]) -> None:
    with association(port) as assoc:
        for ds in what:
            assert assoc.send_c_store(ds).Status == 0x0000


def passes(road: Road, seconds: float) -> None:
    """So long nothing comes."""
    assert isinstance(road.database, Ahead)
    road.database.ahead += seconds
    road.intake.settle_quiet(now=road.database.now())


@pytest.fixture(scope="module")
def in_order(empty_database: Path) -> dict[str, bytes]:
    """What comes of it when all is well."""
    with a_node(empty_database) as (road, port):
        send(port, instances())
        passes(road, QUIET_S + 1)
        road.work()
        (job,) = road.results()
        return {kind: path.read_bytes() for kind, path in road.objects(job).items()}


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    """Every instance at least once, some again, cut over associations with pauses between them."""
    repeated = draw(st.lists(st.integers(0, NUMBER - 1), max_size=6))
    order = draw(st.permutations([*range(NUMBER), *repeated]))
    cuts = sorted(draw(st.sets(st.integers(1, len(order) - 1), max_size=3)))
    pieces = [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    pauses = st.sampled_from([0.0, 1.0, QUIET_S + 1])
    return [(list(piece), draw(pauses)) for piece in pieces]


def come(road: Road, port: int, plan: Sequence[Arrival], *, works_between: bool) -> None:
    made = instances()
    for piece, pause in plan:
        send(port, [made[k] for k in piece])
        passes(road, pause)
        if works_between:
            road.work()
    passes(road, QUIET_S + 1)
    road.work()


@settings(max_examples=25)
@given(plan=arrivals())
def test_one_result_the_same_to_the_byte(
    empty_database: Path, in_order: dict[str, bytes], plan: list[Arrival]
) -> None:
    """Also where the study was taken for complete on the way, before a worker was free."""
    with a_node(empty_database) as (road, port):
        come(road, port, plan, works_between=False)
        (job,) = road.results()
        assert job.outcome is Outcome.FINDINGS
        found = {kind: path.read_bytes() for kind, path in road.objects(job).items()}
        assert found == in_order


@settings(max_examples=15)
@given(plan=arrivals())
def test_a_result_that_was_made_too_early_is_replaced_by_one_that_says_so(
    empty_database: Path, in_order: dict[str, bytes], plan: list[Arrival]
) -> None:
    with a_node(empty_database) as (road, port):
        come(road, port, plan, works_between=True)
        (job,) = road.results()
        found = road.objects(job)
        assert found["seg"].read_bytes() == in_order["seg"]
        report = pydicom.dcmread(found["sr"])
        earlier = [each for each in road.jobs() if each.id != job.id and road.objects(each)]
        if not earlier:
            assert found["sr"].read_bytes() == in_order["sr"]
            return
        (study,) = report.PredecessorDocumentsSequence
        (document,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
        replaced = pydicom.dcmread(road.objects(earlier[-1])["sr"])
        assert document.ReferencedSOPInstanceUID == replaced.SOPInstanceUID
