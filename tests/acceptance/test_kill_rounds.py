"""Every durable step is struck once: nothing that was acknowledged is lost, and no result is sent
to be there twice (P1, P7, P10, P12)."""

from pathlib import Path

import pytest

from dicom_ai_node.durable_steps import Step
from tests.acceptance.kills.plan import MOST, plan
from tests.acceptance.kills.rounds import Rounds

SEED = 7
# of verbs, and of a PACS that commits: test_killed_verbs.py, test_erasure.py,
# test_killed_commitment.py
ELSEWHERE = {
    *(Step.PURGE_RECORDED, Step.PURGE_DONE, Step.DISCARD_RECORDED, Step.SCHEMA_WRITTEN),
    Step.ERASURE_RECORDED,
    *(Step.COMMITMENT_NOTED, Step.COMMITMENT_ASKED, Step.COMMITMENT_RECORDED),
}


def test_every_step_has_its_turn() -> None:
    assert set(MOST) == set(Step) - ELSEWHERE
    assert {plan(SEED, number)[-1].order.step for number in range(200)} == set(MOST)
    assert plan(SEED, 11) == plan(SEED, 11)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_node_that_is_struck_at_every_step_loses_and_doubles_nothing(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path / "rounds")
    try:
        rounds.start()
        results = [rounds.run(number, plan(SEED, number)) for number in range(len(MOST))]
        rounds.end()
    finally:
        rounds.abandon()
    not_struck = [each.strikes for each in results if not each.struck]
    assert not_struck == []
    # the kills did hit something: answers that were lost, and objects that were sent twice
    assert sum(sender.ledger.sent_again for sender in rounds.senders) > 0
    assert rounds.pacs.came > len(rounds.pacs.copies)
