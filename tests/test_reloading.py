"""A fault of ours while a configuration is taken: the role goes on with what it had."""

import json
import threading
from pathlib import Path
from queue import SimpleQueue

import pytest

from dicom_ai_node.cli import reloading, role
from dicom_ai_node.cli.node import open_node
from dicom_ai_node.cli.reloading import Reloading
from dicom_ai_node.cli.role import Held
from dicom_ai_node.config.settings import Config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    node = {"ae_title": "AI", "spool": str(tmp_path / "var")}
    node["database"] = f"sqlite:///{tmp_path}/node.db"
    (tmp_path / "config" / "a.yaml").write_text(json.dumps({"node": node}))
    return tmp_path / "config"


def fault(*_: object, **__: object) -> Config:
    raise AttributeError("of a patient")


@pytest.mark.fault("H2")
def test_whatever_goes_wrong_while_it_is_taken_the_old_one_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = open_node(folder)
    taken = Reloading("web", folder, node.spool, node.config)
    monkeypatch.setattr(reloading, "load", fault)
    assert not taken.take()
    assert taken.config is node.config
    said = role.in_force.find(node.spool, "web")
    assert said is not None
    assert (said.answered, said.config) == (1, node.config)
    assert "AttributeError" in said.mistakes[0]
    assert "of a patient" not in said.mistakes[0]
    monkeypatch.undo()
    assert not taken.take(fault)  # nor while it is applied
    assert taken.take()


def test_who_receives_goes_on_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = open_node(folder)
    ends = threading.Event()
    held = Held(
        node=node,
        stop=ends,
        leave=ends,
        hung_up=SimpleQueue(),
        reloading=None,
        in_force=None,
    )
    held.renew(fault)
    monkeypatch.setattr(role, "read_config", fault)
    held.renew(lambda _: None)
    assert role.in_force.find(node.spool, "receive") is None
