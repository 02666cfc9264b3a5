"""Killed at each step of storage commitment: it is asked for anew, and nothing is sent again."""

from pathlib import Path

import pytest

from dicom_ai_node.durable_steps import VARIABLE, Order, Step
from tests.acceptance.bright import install_bright, route
from tests.acceptance.kills.order_file import OrderFile
from tests.acceptance.kills.sender import Sender
from tests.acceptance.kills.studies import good
from tests.acceptance.node_process import NodeProcess
from tests.peers.committing import CommittingPacs

pytestmark = pytest.mark.slow


@pytest.mark.timeout(600)
def test_killed_at_each_step_it_is_asked_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = OrderFile(tmp_path / "order")
    monkeypatch.setenv(VARIABLE, str(orders.path))
    models = install_bright(tmp_path)
    node = NodeProcess(tmp_path / "node", models=models, peers={}, routes=[])
    pacs = CommittingPacs()
    sender = Sender(node.port)
    steps = (Step.COMMITMENT_NOTED, Step.COMMITMENT_ASKED, Step.COMMITMENT_RECORDED)
    try:
        with pacs.running():
            peer = {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs.port}
            peers = {"pacs": {**peer, "commitment": {"answer_s": 5}}}
            node.configure(models=models, peers=peers, routes=[route("pacs")])
            node.start(timeout_s=200)
            sender.start()
            for number, step in enumerate(steps, start=1):
                orders.give(Order(step=step, time=1, action="kill"))
                sender.give(good(f"committed {number}"))
                node.wait(orders.is_struck, timeout_s=200)
                done = {"done": number}
                node.wait(lambda done=done: done.items() <= node.status()["jobs"].items())
            assert node.stop() == 0
    finally:
        node.stop()
    uids = [uid for uid, _ in pacs.came]
    assert len(uids) == len(set(uids)) == 3 * len(steps)
