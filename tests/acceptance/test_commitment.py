"""A job is done when the PACS has committed to its results: the whole node, killed as well."""

import json
import signal
import threading
import urllib.request
from os import kill
from pathlib import Path
from typing import Any

import pytest

from tests import dicom_factory
from tests.acceptance.node_process import NodeProcess
from tests.acceptance.orthanc import Orthanc
from tests.acceptance.test_road import Road, _send_directly, results
from tests.made import IS_CT
from tests.peers.committing import CommittingPacs

pytestmark = pytest.mark.slow

AI_NODE = "/modalities/ainode"


def configure(node: NodeProcess, store: Path, *, port: int, ae_title: str = "ORTHANC") -> None:
    pacs = {"kind": "dimse", "ae_title": ae_title, "host": "127.0.0.1", "port": port}
    node.configure(
        models=store,
        peers={"pacs": {**pacs, "commitment": {"answer_s": 30}}},
        routes=[{"model": "threshold-ct", "send_to": ["pacs"], "require": [IS_CT]}],
    )


def deliveries(node: NodeProcess) -> list[dict[str, Any]]:
    (job,) = node.verb("jobs", "list")
    return list(node.verb("jobs", "show", str(job["id"]))["deliveries"])


def ask(pacs: Orthanc, path: str, method: str, body: Any = None) -> None:
    data = None if body is None else json.dumps(body).encode()
    url = f"http://127.0.0.1:{pacs.http_port}{path}"
    request = urllib.request.Request(url, data=data, method=method)
    with urllib.request.urlopen(request, timeout=30):  # noqa: S310
        pass


@pytest.mark.orthanc
def test_orthanc_commits_on_an_association_of_its_own(road: Road, threshold_store: Path) -> None:
    node, pacs = road
    configure(node, threshold_store, port=pacs.dicom_port)
    node.start()
    series = dicom_factory.series(name="committed")
    study = str(series[0].StudyInstanceUID)
    _send_directly(node, series)
    node.wait(lambda: node.status()["jobs"]["done"] == 1)
    sent = deliveries(node)
    assert {each["state"] for each in sent} == {"committed"}
    assert len(sent) >= 2
    assert [len(found) for found in results(pacs, study)] == [1, 1]
    assert "commitment_report_refused" not in node.log()
    assert node.stop() == 0


@pytest.mark.orthanc
@pytest.mark.fault("F9")
def test_what_orthanc_has_lost_before_it_was_asked_is_found_and_sent_again(
    road: Road, threshold_store: Path
) -> None:
    """It stores for anybody, and takes requests only of whom it knows."""
    node, pacs = road
    configure(node, threshold_store, port=pacs.dicom_port)
    ask(pacs, AI_NODE, "DELETE")
    node.start()
    series = dicom_factory.series(name="lost")
    study = str(series[0].StudyInstanceUID)
    _send_directly(node, series)
    node.wait(lambda: "commitment_not_asked" in node.log())
    assert node.status()["jobs"]["done"] == 0
    (seg,), (_,) = results(pacs, study)
    (lost,) = _ids(pacs, str(seg.SOPInstanceUID))
    ask(pacs, f"/instances/{lost}", "DELETE")
    assert results(pacs, study)[0] == []

    known = {"AET": "AI_NODE", "Host": "127.0.0.1", "Port": node.port}
    ask(pacs, AI_NODE, "PUT", known)
    node.wait(lambda: node.status()["jobs"]["done"] == 1, timeout_s=120)
    assert "0112 no such object instance" in node.log()
    assert {each["state"] for each in deliveries(node)} == {"committed"}
    (again,), (_,) = results(pacs, study)
    assert again == seg

    _send_directly(node, dicom_factory.series(name="a good one"))
    node.wait(lambda: node.status()["jobs"]["done"] == 2)


def _ids(pacs: Orthanc, sop_instance_uid: str) -> list[str]:
    body = json.dumps({"Level": "Instance", "Query": {"SOPInstanceUID": sop_instance_uid}})
    return list(json.loads(pacs.request("/tools/find", body.encode())))


@pytest.mark.parametrize("moment", ["before it is sent", "before it is answered", "while waiting"])
def test_the_sender_is_killed_around_a_request(
    tmp_path: Path, threshold_store: Path, moment: str
) -> None:
    """Before the N-ACTION, within it, and before the report: it is asked anew, and sent once."""
    reached, go_on = threading.Event(), threading.Event()

    def stop_here() -> None:
        if not go_on.is_set():
            reached.set()
            go_on.wait(180)

    pacs = CommittingPacs(silent=moment == "while waiting")
    if moment == "before it is sent":
        pacs.on_association = stop_here
    elif moment == "before it is answered":
        pacs.on_request = stop_here
    else:
        pacs.on_request = reached.set
    node = NodeProcess(tmp_path / "node", models=threshold_store, peers={}, routes=[])
    try:
        with pacs.running():
            configure(node, threshold_store, port=pacs.port, ae_title="PACS")
            node.start()
            _send_directly(node, dicom_factory.series(name="killed"))
            assert reached.wait(180)
            # one that is on its way when its sender is killed would rightly come again
            node.wait(lambda: {each["state"] for each in deliveries(node)} == {"stored"})
            pid = node.pid_of("deliver")
            assert pid is not None
            kill(pid, signal.SIGKILL)
            pacs.silent = False
            go_on.set()
            node.wait(lambda: node.status()["jobs"]["done"] == 1, timeout_s=120)
            sent = deliveries(node)
            assert node.stop() == 0
    finally:
        go_on.set()
        node.stop()
    assert {each["state"] for each in sent} == {"committed"}
    assert sorted(uid for uid, _ in pacs.came) == sorted(each["sop_instance_uid"] for each in sent)


def test_a_peer_whose_commitment_is_asked_no_longer_leaves_nothing_waiting(
    tmp_path: Path, threshold_store: Path
) -> None:
    pacs = CommittingPacs(silent=True)
    node = NodeProcess(tmp_path / "node", models=threshold_store, peers={}, routes=[])
    try:
        with pacs.running():
            configure(node, threshold_store, port=pacs.port, ae_title="PACS")
            node.start()
            _send_directly(node, dicom_factory.series(name="no longer"))
            node.wait(lambda: pacs.requests)
            assert node.status()["jobs"]["ready"] == 1
            assert node.stop() == 0
            file = node.config / "node.yaml"
            said = json.loads(file.read_text())
            del said["peers"]["pacs"]["commitment"]
            file.write_text(json.dumps(said))
            node.start()
            node.wait(lambda: node.status()["jobs"]["done"] == 1)
            assert "commitment_no_longer_asked" in node.log()
    finally:
        node.stop()
