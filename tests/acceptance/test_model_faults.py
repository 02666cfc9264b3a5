"""Models that misbehave in a node of separate processes: the killer among good studies, a node that
is killed meanwhile, a worker that sleeps, a model that changes, and the kill switch."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pynetdicom import AE
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.models.installation.install import install
from dicom_ai_node.peers.association import leave_answers
from dicom_ai_node.uids import derived_uid
from tests.acceptance.loopback import own_network
from tests.acceptance.node_process import NodeProcess
from tests.engines import misbehaving as told

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

GOOD = [f"good {number}" for number in range(20)]
ACTS = {
    "killer": told.CRASHES,
    "raises": told.RAISES,
    "both": told.NOT_A_NUMBER,
    "hangs": told.SLEEPS,
}
LONG_S = 240


class Story:
    """A node, and what it has to say of the studies by their names."""

    def __init__(self, home: Path) -> None:
        self.store = home / "models"
        self.results = home / "results"
        self.told = told.told(home / "packages", self.store)
        hasty = told.told(home / "packages", self.store, name="hasty", timeout_s=3)
        install("threshold-ct", self.store, print)
        self.node = NodeProcess(home / "node", models=self.store, peers={}, routes=[])
        self.node.configure(
            models=self.store,
            peers={"archive": {"kind": "folder", "path": str(self.results)}},
            routes=[
                _route("told", ".*", but="hangs"),
                _route("hasty", "hangs"),
                _route("threshold-ct", "both"),
            ],
            trusted_models=[self.told.sha256, hasty.sha256],
        )
        work = {"work": {"retry_after_s": 0.1, "memory_mb": 3000}}
        (self.node.config / "work.yaml").write_text(json.dumps(work))

    def send(self, *names: str, acts: dict[str, int] = ACTS) -> None:
        studies = [told.study(acts.get(name, told.GOOD), name=name) for name in names]
        ae = AE("PACS")
        ae.add_requested_context(studies[0][0].SOPClassUID)
        association = ae.associate("127.0.0.1", self.node.port, ae_title="AI_NODE")
        leave_answers(association)
        assert association.is_established
        statuses = {association.send_c_store(ds).Status for study in studies for ds in study}
        association.release()
        assert statuses == {0}

    def jobs(self, name: str) -> list[dict[str, Any]]:
        uid = derived_uid(name, "study")
        listed = json.loads(self.verb("jobs", "list", "--limit", "200", "--json"))
        return [job for job in listed if job["study_instance_uid"] == uid]

    def job(self, name: str) -> dict[str, Any]:
        """The only one, with its events."""
        (found,) = self.jobs(name)
        return dict(json.loads(self.verb("jobs", "show", str(found["id"]), "--json")))

    def verb(self, *words: str) -> str:
        """In this process: another one for each would take most of the test's time."""
        done = CliRunner().invoke(app, [*words, "--config", str(self.node.config)])
        assert done.exit_code == 0, done.output
        return done.stdout

    def ended(self, name: str, *states: str) -> dict[str, Any]:
        self.node.wait(
            lambda: any(job["state"] in (states or ("done",)) for job in self.jobs(name)),
            timeout_s=LONG_S,
        )
        return self.job(name)

    def objects(self, name: str) -> list[Dataset]:
        uid = derived_uid(name, "study")
        found = [pydicom.dcmread(path) for path in self.results.glob("*.dcm")]
        return [ds for ds in found if ds.StudyInstanceUID == uid]


def _route(model: str, name: str, but: str | None = None) -> dict[str, Any]:
    named = {"attr": "SeriesDescription", "op": "matches", "value": name}
    route: dict[str, Any] = {"model": model, "send_to": ["archive"], "require": [named]}
    if but:
        route["exclude"] = [{"attr": "SeriesDescription", "op": "eq", "value": but}]
    return route


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Everything came, the killer has struck once, the whole node was killed and is up again."""
    with own_network():
        made = Story(tmp_path_factory.mktemp("model-faults"))
        made.node.start()
        try:
            made.send(*GOOD[:3], *ACTS, *GOOD[3:])
            made.node.wait(
                lambda: any(job["error_kind"] == "crash" for job in made.jobs("killer")),
                timeout_s=LONG_S,
            )
            made.node.kill()
            made.node.start()
            made.node.wait(lambda: _is_idle(made.node), timeout_s=LONG_S)
            yield made
        finally:
            made.node.stop()


def _is_idle(node: NodeProcess) -> bool:
    jobs = node.status()["jobs"]
    return sum(jobs.values()) >= 25 and not any(jobs[s] for s in ("queued", "running", "ready"))


def _starts(job: dict[str, Any]) -> int:
    return sum(event["to_state"] == "running" for event in job["events"])


@pytest.mark.fault("E8")
def test_a_killer_among_good_studies_is_quarantined_after_three_starts(story: Story) -> None:
    """Across a `kill -9` of the whole node as well, with the evidence of each."""
    killer = story.job("killer")
    assert (killer["state"], _starts(killer)) == ("quarantined", 3)
    assert (killer["error_kind"], "SIGSEGV" in killer["error_text"]) == ("crash", True)
    ends = [event["why"] for event in killer["events"] if event["from_state"] == "running"]
    assert len(ends) == 3
    assert all(end.startswith(("crash: the attempt process", "worker_lost: ")) for end in ends)
    assert story.node.log().count("job_quarantined") == 3


def test_every_good_study_is_done(story: Story) -> None:
    jobs = [story.jobs(name) for name in GOOD]
    assert [[(job["state"], job["outcome"]) for job in each] for each in jobs] == [
        [("done", "findings")]
    ] * len(GOOD)
    every = ["OT", "SEG", "SR"]
    assert all(sorted(ds.Modality for ds in story.objects(n)) == every for n in GOOD[:5])


@pytest.mark.fault("E1")
def test_a_model_that_raises_is_quarantined_with_its_reason(story: Story) -> None:
    job = story.job("raises")
    assert (job["state"], job["error_kind"], _starts(job)) == ("quarantined", "error", 3)
    assert job["error_text"].startswith("ValueError at network.py")
    assert "SECRET" not in story.node.log()


@pytest.mark.fault("E2")
def test_a_model_that_hangs_is_quarantined(story: Story) -> None:
    job = story.job("hangs")
    assert (job["state"], job["error_kind"], _starts(job)) == ("quarantined", "timeout", 3)


@pytest.mark.fault("E14", "E5")
def test_what_one_model_fails_on_another_one_delivers(story: Story) -> None:
    jobs = {job["model"]: job for job in story.jobs("both")}
    assert {name: (job["state"], job["outcome"]) for name, job in jobs.items()} == {
        "told": ("done", "failed"),
        "threshold-ct": ("done", "findings"),
    }
    kinds = sorted(ds.Modality for ds in story.objects("both"))
    assert kinds == ["OT", "OT", "SEG", "SR", "SR"]


@pytest.mark.fault("E16")
def test_a_worker_that_slept_through_its_lease_publishes_nothing(story: Story) -> None:
    """Its attempt had ended well meanwhile; the study is analysed again, and sent once."""
    story.send("sleeper", acts={"sleeper": told.TAKES_FIVE_SECONDS})
    story.node.wait(lambda: [j for j in story.jobs("sleeper") if j["state"] == "running"])
    worker = _stopped(story.node)
    try:
        story.node.wait(lambda: story.job("sleeper")["state"] == "queued")
    finally:
        os.kill(worker, signal.SIGCONT)
    job = story.ended("sleeper")
    assert (job["outcome"], _starts(job)) == ("findings", 2)
    assert sorted(ds.Modality for ds in story.objects("sleeper")) == ["OT", "SEG", "SR"]
    assert "lease_lost" in story.node.log()


@pytest.mark.fault("E12")
def test_a_model_that_was_changed_is_disabled_until_somebody_enables_it(story: Story) -> None:
    """While it is warm; its jobs wait, and no attempt is counted."""
    weights = story.told.folder / "weights.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + b"\x01")
    story.send("changed")
    story.node.wait(lambda: "model_disabled" in story.node.log())
    story.node.wait(lambda: story.job("changed")["state"] == "queued")
    job = story.job("changed")
    assert job["attempts"] == 0
    assert job["waits"].startswith("waits: told 1.0 is disabled: weights.safetensors of told 1.0")
    weights.write_bytes(content)
    story.verb("models", "enable", "told")
    assert story.ended("changed")["outcome"] == "findings"


def test_the_kill_switch_ends_what_runs_and_lets_wait_or_cancels_what_is_queued(
    story: Story,
) -> None:
    story.send("stopped", acts={"stopped": told.SLEEPS})
    story.node.wait(lambda: [j for j in story.jobs("stopped") if j["state"] == "running"])
    story.verb("models", "disable", "told", "--why", "ticket 4711")
    story.node.wait(lambda: story.job("stopped")["state"] == "queued")
    job = story.job("stopped")
    assert (job["attempts"], job["waits"]) == (0, "waits: told 1.0 is disabled: ticket 4711")
    story.verb("models", "disable", "told", "--cancel", "--why", "ticket 4711")
    assert story.job("stopped")["state"] == "cancelled"
    story.verb("models", "enable", "told")
    story.send("after all of it")
    assert story.ended("after all of it")["outcome"] == "findings"


def _stopped(node: NodeProcess) -> int:
    """The worker, asleep, and not in the middle of a transaction that would stop all others."""
    worker = node.pid_of("work")
    assert worker is not None
    for _ in range(20):  # with a write-ahead log a lock is always there, and stops nobody
        os.kill(worker, signal.SIGSTOP)
        node.wait(lambda: "T" in Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2][:3])
        locks = Path("/proc/locks").read_text().splitlines()
        if not any("POSIX" in line and str(worker) in line.split() for line in locks):
            break
        os.kill(worker, signal.SIGCONT)
    os.kill(worker, signal.SIGSTOP)
    return worker
