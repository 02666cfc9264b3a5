"""Every study that is wrong in one way is met by a node in processes of its own, and a good one
after it is analysed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pynetdicom import AE

from dicom_ai_node.peers.association import leave_answers
from tests.acceptance.bright import install_bright, route
from tests.acceptance.loopback import own_network
from tests.acceptance.node_process import NodeProcess
from tests.acceptance.reports import volume_ml
from tests.acceptance.study_faults import PHANTOM_ML, Case, cases, made

pytestmark = pytest.mark.slow

CASES = cases()
GOOD = "the good one"


class Answers:
    """What the node had to say of each study, in its tables and in its reports."""

    def __init__(self, node: NodeProcess, results: Path) -> None:
        self.log = node.log()
        self.studies = {
            row["study_instance_uid"]: row for row in node.verb("studies", "list", "--limit", "500")
        }
        self.jobs: dict[str, list[dict[str, Any]]] = {uid: [] for uid in self.studies}
        for job in node.verb("jobs", "list", "--limit", "500"):
            self.jobs[job["study_instance_uid"]].append(job)
        self.reports: dict[str, list[pydicom.Dataset]] = {uid: [] for uid in self.studies}
        for path in sorted(results.glob("*.dcm")):
            ds = pydicom.dcmread(path)
            if ds.Modality == "SR":
                self.reports[ds.StudyInstanceUID].append(ds)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    home = tmp_path_factory.mktemp("study-faults")
    models = install_bright(home)
    with own_network():
        node = NodeProcess(home / "node", models=models, peers={}, routes=[])
        node.configure(
            models=models,
            peers={"archive": {"kind": "folder", "path": str(home / "results")}},
            routes=[route("archive")],
            # a busy machine must not take one study for two
            sections={"study": {"quiet_s": 6, "incomplete_s": 8}},
        )
        node.start()
        try:
            _send(node, [case.instances for case in CASES])
            _send(node, [more for case in CASES for more in case.again])
            node.wait(lambda: _is_idle(node, len({case.study for case in CASES})), timeout_s=240)
            _send(node, [made(name=GOOD)])
            node.wait(lambda: _is_idle(node, len({case.study for case in CASES}) + 1))
            yield Answers(node, home / "results")
        finally:
            node.stop()


def _send(node: NodeProcess, studies: list[Any]) -> None:
    ae = AE(ae_title="PACS")
    classes = {ds.SOPClassUID for study in studies for ds in study}
    for sop_class in sorted(classes):
        ae.add_requested_context(sop_class, "1.2.840.10008.1.2.1")
    association = ae.associate("127.0.0.1", node.port, ae_title="AI_NODE")
    leave_answers(association)
    assert association.is_established
    for study in studies:
        for ds in study:
            assert association.send_c_store(ds).Status == 0x0000
    association.release()


def _is_idle(node: NodeProcess, studies: int) -> bool:
    """All of them have come, and nothing is on its way."""
    books = node.status()
    open_ = books["studies"]["receiving"] + books["studies"].get("incomplete", 0)
    busy = sum(books["jobs"][state] for state in ("queued", "running", "ready"))
    return sum(books["studies"].values()) == studies and not open_ and not busy


def _case_marks() -> list[Any]:
    return [pytest.param(case, id=case.what, marks=pytest.mark.fault(case.fault)) for case in CASES]


@pytest.mark.parametrize("case", _case_marks())
def test_what_is_wrong_is_said_and_what_is_right_is_analysed(case: Case, answers: Answers) -> None:
    study, jobs = answers.studies[case.study], answers.jobs[case.study]
    assert study["state"] == case.state
    if case.outcome is None:
        assert case.says in study["reason"]
        if not case.again:  # else the first part of it may have been analysed by then
            assert jobs == []
            assert answers.reports[case.study] == []
        return
    (job,) = jobs
    assert (job["outcome"], job["state"]) == (case.outcome, "done")
    assert case.says in (job["reason"] or "")
    (report,) = answers.reports[case.study]
    if case.volume_ml is None:
        assert "NOT SUITABLE" in report.SeriesDescription
    else:
        assert volume_ml(report) == pytest.approx(case.volume_ml, rel=case.within)


def test_a_good_study_after_all_of_them_is_analysed(answers: Answers) -> None:
    study = made(name=GOOD)[0].StudyInstanceUID
    (job,) = answers.jobs[study]
    assert (job["outcome"], job["state"]) == ("findings", "done")
    (report,) = answers.reports[study]
    assert volume_ml(report) == pytest.approx(PHANTOM_ML)
    alarms = [json.loads(line) for line in answers.log.splitlines() if '"level": "error"' in line]
    # a look for alarms, every 30 s, may find the studies that wait for a person
    said = {each["event"] for each in alarms if each.get("name") != "needs_review"}
    assert said == {"patient_corrected"}  # D8: a result was out


@pytest.mark.fault("D28")
def test_nothing_from_a_header_stands_in_the_log(answers: Answers) -> None:
    assert "faked" not in answers.log
    assert "\x1b[2J" not in answers.log
    for case in CASES:
        assert str(case.instances[0].get("PatientName")) not in answers.log
