"""Verbs that change what is stored, killed in the middle: the next run goes on, and nothing that
was deleted comes back."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_ai_node.config.load import load
from dicom_ai_node.database import jobs, schema, studies
from dicom_ai_node.database.engine import Database
from dicom_ai_node.durable_steps import VARIABLE, Step
from dicom_ai_node.intake.intake import Intake
from dicom_ai_node.job import JobState
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import StudyState
from tests.receive.scu import slices, store
from tests.receive.syscalls import ReceiveProcess


def verb(node: ReceiveProcess, *words: str, order: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "dicom_ai_node", *words, "--config", str(node.home / "config")],
        env={**os.environ, VARIABLE: order},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ReceiveProcess]:
    """Nothing is kept longer than needed."""
    made = ReceiveProcess(tmp_path / "node", node={"retain_days": 0})
    made.make_tables()
    yield made
    made.kill()


def settled(node: ReceiveProcess) -> str:
    """A study that no route took; its UID."""
    instances = slices(3)
    with node.database() as database:
        for ds in instances:
            assert store(node.spool(), database, ds).status == 0
        config = load(node.home / "config", {})
        intake = Intake(config=config, models={}, spool=node.spool(), database=database)
        assert intake.settle_quiet(now=database.now() + 100) == 1
    return str(instances[0].StudyInstanceUID)


def state_of(database: Database, study: str) -> str:
    with database.read() as connection:
        row = studies.find(connection, study)
        assert row is not None
        assert jobs.counts(connection)[JobState.QUEUED] == 0
    return str(row["state"])


def left(spool: Spool) -> list[Path]:
    return list(spool.instance_files())


def test_what_a_killed_purge_left_over_does_not_become_a_study_again(node: ReceiveProcess) -> None:
    """Of half a series a model would say something else."""
    study = settled(node)
    assert verb(node, "purge", order="purge_recorded:1:kill").returncode == -signal.SIGKILL
    first, *_ = left(node.spool())
    first.unlink()  # it was killed a little later
    assert len(left(node.spool())) == 2

    assert verb(node, "rescan").returncode == 0

    assert left(node.spool()) == []
    with node.database() as database:
        assert state_of(database, study) == StudyState.PURGED


@pytest.mark.parametrize("words", [["studies", "discard", "--yes"], ["purge"]])
def test_what_a_killed_verb_left_over_is_not_mixed_with_what_came_afterwards(
    node: ReceiveProcess, words: list[str]
) -> None:
    """The right images have other UIDs: nothing but the list tells them from the wrong ones."""
    study = settled(node)
    name, about = words[-1] if len(words) == 1 else words[1], [study] if len(words) > 1 else []
    killed = verb(node, *words, *about, order=f"{name}_recorded:1:kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    wrong = {path.name for path in left(node.spool())}
    assert len(wrong) == 3
    with node.database() as database:
        for ds in slices(3):
            uid = f"{ds.SOPInstanceUID}.7"
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid
            ds.SeriesInstanceUID = f"{ds.SeriesInstanceUID}.7"
            assert store(node.spool(), database, ds).status == 0

    assert verb(node, "rescan").returncode == 0

    there = {path.name for path in left(node.spool())}
    assert len(there) == 3
    assert not there & wrong
    assert list((node.spool_root / "taken-out").iterdir()) == []


def test_what_is_sent_again_after_a_purge_is_kept_even_where_its_row_is_missing(
    node: ReceiveProcess,
) -> None:
    study = settled(node)
    assert verb(node, "purge").returncode == 0
    with node.database() as database:
        assert state_of(database, study) == StudyState.PURGED
        instances = slices(3)
        for ds in instances:
            assert store(node.spool(), database, ds).status == 0
        with database.write() as connection:  # as if it had been killed before they were committed
            row = studies.find(connection, study)
            assert row is not None
            connection.exec_driver_sql("DELETE FROM instance")
            connection.exec_driver_sql(
                "UPDATE study SET state = 'purged', last_received_at = last_received_at - 60"
            )
    assert verb(node, "rescan").returncode == 0
    assert len(left(node.spool())) == 3
    with node.database() as database:
        assert state_of(database, study) == StudyState.RECEIVING


def test_a_schema_upgrade_that_is_killed_leaves_the_schema_as_it_was(node: ReceiveProcess) -> None:
    older = schema.known()[0]
    with node.database() as database:
        database.path.unlink()
    with node.database() as database:
        schema.upgrade(database, older)
    order = f"{Step.SCHEMA_WRITTEN}:1:kill"
    assert verb(node, "db", "upgrade", order=order).returncode == -signal.SIGKILL
    with node.database() as database:
        assert schema.current(database) == older
    assert verb(node, "db", "upgrade").returncode == 0
    with node.database() as database:
        assert schema.current(database) == schema.head()
