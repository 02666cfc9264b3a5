"""A day without the PACS, on a clock that is set: what waits goes out without a hand (P8).

`python -m tests.day_without_pacs --page docs/reliability.md` writes down how it went.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dicom_ai_node.database import schema
from dicom_ai_node.database.engine import Database
from dicom_ai_node.deliver import PeerQueue
from dicom_ai_node.job import Job, JobState
from dicom_ai_node.spool import Spool
from tests.acceptance.reliability_page import made_by, table, write_section
from tests.delivering import made, pass_time, queue_of, ready, rows, state
from tests.made import configuration
from tests.peers.bad_pacs import CONGESTED, BadPacs

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
_HALF_HOURS_CLOSED, _HALF_HOURS_CONGESTED = 4, 44


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """`lost`, `doubled`, `altered` count objects, by what the PACS has; seconds are simulated."""

    results: int
    waiting: int  # when the PACS came back
    attempts: int  # to reach it
    drained_s: float
    objects: int
    lost: int
    doubled: int
    altered: int
    is_in_order: bool  # the oldest first


def gone() -> BadPacs:
    """It has a port on which nobody listens."""
    with BadPacs().running() as pacs:
        pass
    return pacs


def day_without(pacs: BadPacs, queue: PeerQueue, spool: Spool, database: Database) -> Day:
    """Two hours in which nobody listens, 22 in which it is congested; a result each half hour."""
    begin = database.now()
    jobs: list[Job] = []
    tries = 0

    def half_hours(number: int) -> None:
        nonlocal tries
        for _ in range(number):
            now = begin + len(jobs) * HOUR_S / 2
            jobs.append(ready(spool, database, f"{len(jobs):064x}", now=now))
            pass_time(queue, now, now + HOUR_S / 2, until=lambda: False)
            tries = rows(database, jobs[0])[0][2] if not pacs.associations else tries

    half_hours(_HALF_HOURS_CLOSED)
    pacs.then_refuses = CONGESTED
    with pacs.running():
        half_hours(_HALF_HOURS_CONGESTED)
    attempts = tries + pacs.associations
    waiting = sum(state(database, job) is JobState.READY for job in jobs)
    pacs.then_refuses = None
    with pacs.running():
        drained = pass_time(
            queue,
            begin + DAY_S,
            begin + DAY_S + HOUR_S,
            until=lambda: all(state(database, job) is JobState.DONE for job in jobs),
        )
    wanted = made(spool, *jobs)
    return Day(
        results=len(jobs),
        waiting=waiting,
        attempts=attempts,
        drained_s=drained - begin - DAY_S,
        objects=len(pacs.kept),
        lost=len(wanted.keys() - pacs.kept.keys()),
        doubled=sum(number > 1 for number in pacs.times.values()),
        altered=sum(pacs.kept[uid] != wanted.get(uid) for uid in pacs.kept),
        is_in_order=[uid for uid, _, _ in pacs.received] == list(wanted),
    )


def section(day: Day, command: str) -> str:
    rows_ = {
        "Hours without the PACS, simulated": f"{DAY_S / HOUR_S:.0f}",
        "Results made meanwhile, and waiting at the end": f"{day.results}, {day.waiting}",
        "Attempts to reach it": str(day.attempts),
        "Simulated seconds until all had arrived, after it was back": f"{day.drained_s:.0f}",
        "Objects at the PACS": str(day.objects),
        "**Lost**": f"**{day.lost}**",
        "**Doubled**": f"**{day.doubled}**",
        "With other bytes than were made": str(day.altered),
        "The oldest first": "yes" if day.is_in_order else "no",
    }
    return "\n".join([made_by(command), "", table(("What", "How much"), rows_)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, required=True, help="where the figures are written")
    page: Path = parser.parse_args().page
    with tempfile.TemporaryDirectory() as folder:
        config = configuration(Path(folder))
        spool, database = Spool(config.node.spool), Database(config.node.database)
        schema.require_current(database)
        pacs = gone()
        day = day_without(pacs, queue_of(pacs, config, spool, database), spool, database)
        database.close()
    write_section(page, "a day", section(day, f"python -m tests.day_without_pacs --page {page}"))


if __name__ == "__main__":
    main()
