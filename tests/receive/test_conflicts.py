"""A database that is made anew, or put back, knows again which studies wait for a person."""

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_ai_node.database import studies
from dicom_ai_node.review import accept_first
from tests.receive.scu import slices, store
from tests.receive.syscalls import ReceiveProcess


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ReceiveProcess]:
    made = ReceiveProcess(tmp_path / "node")
    made.make_tables()
    yield made
    made.kill()


def verb(node: ReceiveProcess, *words: str) -> None:
    command = [sys.executable, "-m", "dicom_ai_node", *words]
    subprocess.run([*command, "--config", str(node.home / "config")], check=True)


def send(node: ReceiveProcess, *instances: Dataset) -> None:
    with node.database() as database:
        for ds in instances:
            store(node.spool(), database, ds)


def contradicting(name: str) -> Dataset:
    ds = copy.deepcopy(slices(3, name=name)[1])
    ds.ContentTime = "235959"
    return ds


def state(node: ReceiveProcess, name: str) -> str:
    with node.database() as database, database.read() as connection:
        row = studies.find(connection, str(slices(3, name=name)[0].StudyInstanceUID))
    assert row is not None
    return str(row["state"])


def test_a_rebuilt_database_knows_which_study_needs_a_review(node: ReceiveProcess) -> None:
    send(node, *slices(3, name="good"), *slices(3, name="bad"), contradicting("bad"))
    verb(node, "db", "rebuild")
    assert (state(node, "good"), state(node, "bad")) == ("receiving", "needs_review")


def test_a_database_that_is_put_back_knows_what_came_after_it_was_saved(
    node: ReceiveProcess, tmp_path: Path
) -> None:
    """What a person had decided before stays decided."""
    send(node, *slices(3, name="seen"), contradicting("seen"), *slices(3, name="bad"))
    (aside,) = node.spool().conflict.glob("??/*.dcm")
    os.utime(aside, (1_600_000_000, 1_600_000_000))
    with node.database() as database:
        accept_first(node.spool(), database, str(slices(3, name="seen")[0].StudyInstanceUID))
    verb(node, "backup", str(tmp_path / "saved"))
    send(node, contradicting("bad"))
    assert (state(node, "seen"), state(node, "bad")) == ("receiving", "needs_review")

    verb(node, "restore", str(tmp_path / "saved"), "--force")

    assert (state(node, "seen"), state(node, "bad")) == ("receiving", "needs_review")
