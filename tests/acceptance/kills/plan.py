"""Which step is struck in a round, the how-manyth time, and how: from the seed alone."""

import random
from dataclasses import dataclass

from dicom_ai_node.durable_steps import Order, Step

STUDIES, SLICES = 2, 3  # of a round
_INSTANCES, _OBJECTS = STUDIES * SLICES, STUDIES * 3

# how often a round comes to it at the most, where nothing ends
MOST: dict[Step, int] = {
    Step.INSTANCE_WRITTEN: _INSTANCES,
    Step.INSTANCE_SYNCED: _INSTANCES,
    Step.INSTANCE_ACKNOWLEDGED: _INSTANCES,
    Step.ROWS_WRITTEN: 1,
    Step.ROWS_COMMITTED: 1,
    Step.CONFLICT_RECORDED: 1,
    Step.ORPHAN_ADOPTED: 1,
    Step.JOBS_WRITTEN: STUDIES,
    Step.STUDY_SETTLED: STUDIES,
    Step.JOB_CLAIMED: STUDIES,
    Step.REQUEST_READ: STUDIES,
    Step.OBJECTS_WRITTEN: STUDIES,
    Step.REPORT_WRITTEN: STUDIES,
    Step.RESULT_TAKEN: STUDIES,
    Step.OUTBOX_RENAMED: STUDIES,
    Step.READY_WRITTEN: STUDIES,
    Step.READY_PUBLISHED: STUDIES,
    Step.OBJECT_SENT: _OBJECTS,
    Step.DELIVERY_WRITTEN: STUDIES,
    Step.JOB_DONE_WRITTEN: STUDIES,
    Step.DELIVERY_RECORDED: STUDIES,
}
# of a lease that runs out meanwhile, and is taken from it
_UNDER_LEASE = (Step.JOB_CLAIMED, Step.RESULT_TAKEN, Step.OUTBOX_RENAMED)


@dataclass(frozen=True, kw_only=True)
class Strike:
    """`how`: kill the process; the node, all of it at once; or pause the process for a while."""

    order: Order
    how: str

    def __str__(self) -> str:
        return f"{self.order.step} {self.order.time} {self.how}"

    @property
    def pause_s(self) -> float:
        return 13.0 if self.order.step in _UNDER_LEASE else 2.0


def strike(step: Step, time: int, how: str) -> Strike:
    action = "kill" if how == "kill" else "stop"
    return Strike(order=Order(step=step, time=time, action=action), how=how)


def plan(seed: int, number: int) -> list[Strike]:
    """Of round `number`; each step has its turn, and what is done there is by chance."""
    dice = random.Random(f"{seed}:{number}")  # noqa: S311 - no secret
    steps = list(MOST)
    turn = random.Random(f"{seed}:{number // len(steps)}")  # noqa: S311
    turn.shuffle(steps)
    step = steps[number % len(steps)]
    how = dice.choices(("kill", "node", "pause"), (65, 30, 5))[0]
    if step is Step.ORPHAN_ADOPTED:  # there must be orphans first
        return [strike(Step.ROWS_WRITTEN, 1, "kill"), strike(step, 1, how)]
    strikes = [strike(step, dice.randint(1, MOST[step]), how)]
    if dice.random() < 0.2:  # and once more, while things are mended
        again = dice.choice([each for each in steps if each is not Step.CONFLICT_RECORDED])
        strikes.append(strike(again, 1, dice.choice(("kill", "node"))))
    return strikes
