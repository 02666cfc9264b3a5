"""What a role took from the files: written down whole, read again the same, compared by keys."""

import json
from pathlib import Path
from typing import Any

import pytest

from dicom_ai_node import in_force
from dicom_ai_node.config.load import load
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database.engine import Database
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.in_force import InForce
from dicom_ai_node.spool import Spool
from tests.made import configuration
from tests.operator import Operator

EVERYTHING: dict[str, Any] = {
    "node": {"ae_title": ["AI_NODE", "AI_2"], "language": "de", "accept_sop_classes": ["1.2.3"]},
    "accept": [
        {"ae_title": "PACS", "from": ["10.0.0.0/24", "::1"], "complete": {"quiet_s": 3}},
        {"ae_title": "SCANNER", "from": "10.0.0.7", "may": ["store", "notify"]},
    ],
    "peers": {
        "archive": {"kind": "folder", "path": "results"},
        "pacs": {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": 104},
    },
    "work": {"devices": ["cpu", "cuda:0"]},
}


def test_what_is_written_is_read_the_same(tmp_path: Path, spool: Spool) -> None:
    """Values that were written differently included: the roles start with it again and again."""
    EVERYTHING["accept"][1]["from"] = ["10.0.0.7"]
    config = configuration(tmp_path, **EVERYTHING)
    in_force.write(spool, "run", InForce(config=config, answered=2, mistakes=("a line",)))
    found = in_force.read(in_force.path_of(spool, "run"))
    assert in_force.changed_keys(found.config, config) == []
    assert (found.answered, found.mistakes) == (2, ("a line",))
    assert in_force.path_of(spool, "run").stat().st_mode & 0o077 == 0


def test_the_shipped_configuration_is_read_the_same(spool: Spool) -> None:
    config = load(Path("config"), environ={})
    in_force.write(spool, "run", InForce(config=config))
    assert in_force.read(in_force.path_of(spool, "run")).config == config


def test_a_half_made_file_of_one_that_was_killed_is_replaced(config: Config, spool: Spool) -> None:
    in_force.write(spool, "run", InForce(config=config))
    in_force.path_of(spool, "run").with_suffix(".new").write_text("{")
    in_force.write(spool, "run", InForce(config=config, answered=1))
    said = in_force.find(spool, "run")
    assert said is not None
    assert said.answered == 1


def test_a_file_of_another_version_names_the_key_and_no_value(config: Config, spool: Spool) -> None:
    in_force.write(spool, "run", InForce(config=config))
    path = in_force.path_of(spool, "run")
    content = json.loads(path.read_text())
    content["config"]["node"]["retired"] = "secret"
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"node\.retired") as caught:
        in_force.read(path)
    assert "secret" not in str(caught.value)
    assert in_force.find(spool, "run") is None


def test_changes_are_named_by_their_keys(tmp_path: Path, config: Config) -> None:
    other = configuration(
        tmp_path,
        node={"retain_days": 3},
        limits={"associations": 4},
        accept=[{"ae_title": "OTHER", "from": ["10.0.0.5"]}],
        peers={"archive": {"kind": "folder", "path": tmp_path / "elsewhere"}},
    )
    assert in_force.changed_keys(config, other) == [
        "accept",
        "limits.associations",
        "node.retain_days",
        "peers.archive.path",
    ]
    assert in_force.needs_restart(config, other) == []


def test_a_default_that_is_written_out_is_no_change(tmp_path: Path, config: Config) -> None:
    assert in_force.changed_keys(config, configuration(tmp_path, node={"retain_days": 14})) == []


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("node", "port", 104),
        ("node", "host", "127.0.0.2"),
        ("node", "spool", "elsewhere"),
        ("node", "database", "sqlite:///elsewhere.db"),
        ("node", "receive_processes", 2),
        ("node", "drain_s", 1),
        ("metrics", "port", 9999),
        ("web", "host", "127.0.0.2"),
    ],
)
def test_what_is_bound_at_the_start_needs_a_restart(
    tmp_path: Path, config: Config, section: str, key: str, value: object
) -> None:
    other = configuration(tmp_path, **{section: {key: value}})
    assert in_force.needs_restart(config, other) == [f"{section}.{key}"]


def test_a_port_with_tls_comes_by_a_restart_and_its_files_do_not(tmp_path: Path) -> None:
    files = {"certificate": "a", "key": "b", "ca": "c"}
    plain = configuration(tmp_path)
    with_tls, renewed, moved = (
        configuration(tmp_path, node={"tls": {**files, **changes}})
        for changes in ({}, {"certificate": "new"}, {"port": 2763})
    )
    assert in_force.needs_restart(plain, with_tls) == ["node.tls"]
    assert in_force.needs_restart(with_tls, plain) == ["node.tls"]
    assert in_force.needs_restart(with_tls, renewed) == []
    assert in_force.needs_restart(with_tls, moved) == ["node.tls.port"]


def test_only_who_is_there_now_runs_with_something(config: Config, spool: Spool) -> None:
    """A file that was left behind says nothing; a role below `run` follows that."""
    said = InForce(config=config)
    for role in ("run", "receive", "web"):
        in_force.write(spool, role, said)
    assert in_force.running(spool) == {}
    with spool.lock("receive"), spool.lock("web"):
        assert list(in_force.running(spool)) == ["receive", "web"]
        with spool.lock("run"):
            assert list(in_force.running(spool)) == ["run"]


@pytest.mark.parametrize("mistake", ["bogus: 1", "peers: ["])
def test_a_mistake_in_the_files_takes_no_verb_from_who_has_a_running_node(
    tmp_path: Path, config: Config, spool: Spool, database: Database, mistake: str
) -> None:
    """The kill switch least of all; and each of them is in the trail."""
    operator = Operator(tmp_path, config)
    operator.must("models", "install", "threshold-ct")
    file = operator.config / "node.yaml"
    file.write_text(f"node:\n  ae_title: AI\n  spool: {spool.root}   # here\n{mistake}\n")
    assert operator.ask("status")[0] == 2  # no node runs: the files are all that there is

    said = InForce(config=config, directory=tmp_path / "elsewhere")
    in_force.write(spool, "run", said)
    with spool.lock("run"):
        assert operator.ask("status")[0] == 2  # another folder's node
        in_force.write(spool, "run", InForce(config=config, directory=operator.config))
        said_of_status = operator.must("status")
        assert "have mistakes, which `dicom-ai-node check` names" in said_of_status
        assert "is disabled" in operator.must("models", "disable", "threshold-ct")
        assert "is enabled" in operator.must("models", "enable", "threshold-ct")
        assert "models disable" in operator.must("audit", "list")
        assert "would not start again: " in operator.ask("doctor")[1]
        for excepted in (["check", "--offline"], ["reload"], ["config", "show"]):
            assert operator.ask(*excepted)[0] == 2


def test_status_says_what_a_changed_key_needs(tmp_path: Path, config: Config, spool: Spool) -> None:
    """`reload` refuses a port: the node is to be restarted."""
    operator = Operator(tmp_path, config)
    in_force.write(spool, "run", InForce(config=configuration(tmp_path, node={"retain_days": 3})))
    with spool.lock("run"):
        assert "`dicom-ai-node reload`" in operator.must("status")
        other = configuration(tmp_path, node={"port": 3})
        in_force.write(spool, "run", InForce(config=other))
        said = " ".join(operator.must("status").split())
    assert "node.port" in said
    assert "restart the node: it keeps some of them." in said
