"""A day's studies down the whole road, one after the other, on a clock that does not wait."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.scale_site import Hospital, Order, hospital
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import jobs, schema
from dicom_ai_node.database.engine import Database
from dicom_ai_node.deliver import PeerQueue
from dicom_ai_node.job import Job, JobState
from dicom_ai_node.peers.open import open_peer
from dicom_ai_node.receive.server import Receiver
from dicom_ai_node.spool import Spool
from tests.intake.in_process import Road
from tests.made import bright, configuration

# of ten studies; no route takes plain radiographs here
_MIX = ("CT", "CR", "MR", "CR", "CT", "CR", "MR", "CR", "CT", "MR")
_QUIET_S = 0.001
STAGES = ("receive", "judge", "work", "deliver")


@dataclass
class Day:
    """CPU seconds of the node by stage, all studies together; the model's own are not in it."""

    studies: int = 0
    instances: int = 0
    with_result: int = 0
    objects: int = 0
    wall_s: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))


def day(folder: Path, studies: int) -> Day:
    with _node(folder) as (road, receiver, site):
        found = Day()
        with receiver.running() as port:
            began = time.perf_counter()
            for number in range(studies):
                order = Order(name=f"day-{number}", modality=_MIX[number % len(_MIX)], port=port)
                _study(found, road, site, order)
            found.wall_s = time.perf_counter() - began
        done = [job for job in _all_jobs(road) if job.state is JobState.DONE]
        found.with_result = len(done)
        found.objects = site.received()
        found.cpu_s["work"] -= sum(job.timings.get("predict", 0.0) for job in done)
        return found


def _study(found: Day, road: Road, site: Hospital, order: Order) -> None:
    def receive() -> None:
        found.instances += site.send(order)

    _spend(found, "receive", receive)
    _spend(found, "judge", lambda: _settle(road))
    _spend(found, "work", road.work)
    _spend(found, "deliver", lambda: _queue(road).deliver_due(now=road.database.now()))
    found.studies += 1


def drain(folder: Path, waiting: int) -> tuple[float, int]:
    """So many results have waited for a PACS; the seconds until it has them, and objects."""
    with _node(folder) as (road, receiver, site), receiver.running() as port:
        for number in range(waiting):
            site.send(Order(name=f"waits-{number}", modality="CT", port=port))
            _settle(road)
            road.work()
        queue, began = _queue(road), time.perf_counter()
        while queue.deliver_due(now=road.database.now()):
            pass
        return time.perf_counter() - began, site.received()


def _settle(road: Road) -> None:
    """The quiet time is over as soon as the last association is."""
    while not road.intake.settle_quiet(now=road.database.now()):
        time.sleep(_QUIET_S)


def _spend(found: Day, stage: str, do: Callable[[], object]) -> None:
    began = time.process_time()
    do()
    found.cpu_s[stage] += time.process_time() - began


@contextmanager
def _node(folder: Path) -> Iterator[tuple[Road, Receiver, Hospital]]:
    with hospital() as site:
        config = _configuration(folder, site.pacs_port)
        database = Database(config.node.database)
        schema.upgrade(database)
        spool = Spool(config.node.spool)
        road = Road(config, spool, database, {"bright": bright(folder)})
        yield road, Receiver(config, spool, database), site
        database.close()


def _configuration(folder: Path, port: int) -> Config:
    peer = {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": port}
    is_volume = {"attr": "Modality", "op": "in", "value": ["CT", "MR"]}
    return configuration(
        folder,
        peers={"pacs": {**peer, "results": {"also": []}}},
        routes=[{"model": "bright", "send_to": ["pacs"], "require": [is_volume]}],
        study={"quiet_s": _QUIET_S},
        limits={"connections_per_s": 1000},
    )


def _queue(road: Road) -> PeerQueue:
    return PeerQueue(
        name="pacs",
        peer=open_peer(road.config.peers["pacs"], road.config.node),
        spool=road.spool,
        database=road.database,
        settings=road.config.delivery,
    )


def _all_jobs(road: Road) -> Sequence[Job]:
    with road.database.read() as connection:
        return jobs.listing(connection, limit=100_000)
