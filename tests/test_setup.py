"""`setup`: five answers make a node that works; nothing that is there is lost."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import Comprehensive3DSRStorage, SecondaryCaptureImageStorage, SegmentationStorage
from pynetdicom import AE, build_context

from dicom_ai_node.models.installation.install import install
from tests import dicom_factory
from tests.acceptance.loopback import free_port
from tests.config.processes import ROOT, verb
from tests.peers.pacs import Pacs
from tests.receive.raw_scu import wait

RESULTS = (SegmentationStorage, Comprehensive3DSRStorage, SecondaryCaptureImageStorage)


def answers(*lines: object) -> str:
    return "".join(f"{line}\n" for line in lines)


@contextmanager
def running(home: Path, port: int) -> Iterator[None]:
    """`run`, with a short quiet time, until it listens."""
    short = {
        "DICOM_AI_NODE__STUDY__QUIET_S": "0.5",
        "DICOM_AI_NODE__METRICS__PORT": "0",
        "DICOM_AI_NODE__WEB__PORT": "null",
        "DICOM_AI_NODE__WORK__THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    with (home / "node.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dicom_ai_node", "run", "--config", "config"],
            cwd=home,
            env={**os.environ, **short},
            stdout=log,
            stderr=log,
        )
    try:
        wait(lambda: "receiver_listening" in (home / "node.log").read_text(), timeout_s=90)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def send(port: int) -> None:
    """A CT of a phantom, as the PACS."""
    made = dicom_factory.series()
    ae = AE(ae_title="PACS")
    wanted = {(ds.SOPClassUID, ds.file_meta.TransferSyntaxUID) for ds in made}
    association = ae.associate(
        "127.0.0.1", port, [build_context(*each) for each in wanted], ae_title="AI_NODE"
    )
    assert association.is_established
    assert {association.send_c_store(ds).Status for ds in made} == {0}
    association.release()


def test_five_answers_make_a_node_that_sends_its_results_to_the_pacs(tmp_path: Path) -> None:
    """From a pipe; two of them wrong at first. Then `check`, and a study."""
    port = free_port()
    install("threshold-ct", tmp_path / "models", print)
    with Pacs(sop_classes=RESULTS).running() as pacs:
        said = verb(
            "setup",
            cwd=tmp_path,
            stdin=answers(
                "", 99999, port, "PACS", "127.0.0.1", pacs.port, "brian", "threshold-ct", "var", ""
            ),
        )
        assert said.returncode == 0, said.stderr
        for sentence in (
            f"PACS at 127.0.0.1:{pacs.port} answers.",
            "there is no brian",
            "Written: config/node.yaml",
            f"At the PACS, enter this node: AE title AI_NODE, host 127.0.0.1, port {port}",
            "  dicom-ai-node check --config config",
        ):
            assert sentence in said.stdout
        checked = verb(
            "check", cwd=tmp_path, DICOM_AI_NODE__WEB__PORT="0", DICOM_AI_NODE__METRICS__PORT="0"
        )
        assert checked.returncode == 0, checked.stderr
        assert "no mistakes" in checked.stdout
        assert "answers" in checked.stdout
        with running(tmp_path, port):
            send(port)
            wait(lambda: len(pacs.received) == len(RESULTS), timeout_s=90)


def test_what_the_pacs_does_not_answer_can_be_entered_again(tmp_path: Path) -> None:
    nowhere = free_port()
    with Pacs(sop_classes=RESULTS).running() as pacs:
        said = verb(
            "setup",
            cwd=tmp_path,
            stdin=answers(
                *("", "", "PACS", "127.0.0.1", nowhere, "n", "", "", pacs.port),
                *("none", "", "PACS 127.0.0.1, CT1 10.0.0.0/24"),
            ),
        )
    assert said.returncode == 0, said.stderr
    assert f"127.0.0.1:{nowhere} does not answer" in said.stdout
    text = (tmp_path / "config" / "node.yaml").read_text()
    assert f"port: {pacs.port}" in text
    assert "{ae_title: CT1, from: [10.0.0.0/24]}" in text
    assert "host: 0.0.0.0" in text  # CT1 is elsewhere
    assert "cross the network unprotected" in said.stdout


def test_answers_that_end_too_soon_write_nothing(tmp_path: Path) -> None:
    said = verb("setup", cwd=tmp_path, stdin="AI_NODE\n")
    assert said.returncode == 2
    assert "give them with --answers FILE" in said.stderr
    assert not (tmp_path / "config").exists()


FILE = "pacs: {host: 127.0.0.1, port: 4}\nmodels: [threshold-ct]\nspool: here/var\n"


def test_answers_of_a_file_need_nobody(tmp_path: Path) -> None:
    """A PACS that does not answer yet is said, and stops nothing."""
    (tmp_path / "answers.yaml").write_text(FILE)
    said = verb("setup", "--answers", "answers.yaml", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "does not answer" in said.stdout
    assert "models install threshold-ct --config config" in said.stdout
    shown = json.loads(verb("config", "show", "--json", cwd=tmp_path).stdout)
    assert shown["node"]["spool"] == str(tmp_path / "here/var")
    assert shown["accept"][0]["from"] == ["127.0.0.1/32"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pcas: {}\n", "answers.yaml:1: pcas: unknown key"),
        ("models:\n  - brian\n", "answers.yaml:1: models: there is no brian"),
        ("port: x\n", "answers.yaml:1: port: write a whole number"),
        ("pacs: {host: nowhere.invalid}\n", "answers.yaml: pacs.host: nowhere.invalid has no addr"),
    ],
)
def test_a_mistake_in_the_file_of_answers_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "answers.yaml").write_text(text)
    said = verb("setup", "--answers", "answers.yaml", cwd=tmp_path)
    assert said.returncode == 2
    assert says in said.stderr
    assert not (tmp_path / "config").exists()


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """But with --force, which keeps a copy that is no configuration any more."""
    (tmp_path / "answers.yaml").write_text(FILE)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "mine.yaml").write_text("node: {ae_title: MINE}\n")
    said = verb("setup", "--answers", "answers.yaml", cwd=tmp_path)
    assert said.returncode == 2
    assert "config/mine.yaml is there already" in said.stderr
    said = verb("setup", "--answers", "answers.yaml", "--force", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    (copy,) = (tmp_path / "config").glob("mine.yaml.before-*")
    assert copy.read_text() == "node: {ae_title: MINE}\n"
    assert [path.name for path in (tmp_path / "config").glob("*.yaml")] == ["node.yaml"]
