"""The files against what a running node took from them."""

from pathlib import Path

from dicom_ai_node import in_force
from dicom_ai_node.config.settings import Config
from dicom_ai_node.doctor import configuration as check
from dicom_ai_node.doctor.finding import Level
from dicom_ai_node.in_force import InForce
from dicom_ai_node.spool import Spool
from tests.made import configuration


def test_nothing_is_said_where_no_node_runs(config: Config, spool: Spool) -> None:
    in_force.write(spool, "run", InForce(config=config))
    assert list(check.examine(config, spool)) == []


def test_what_differs_is_named_with_what_to_do(
    config: Config, spool: Spool, tmp_path: Path
) -> None:
    in_force.write(spool, "run", InForce(config=config))
    with spool.lock("run"):
        (same,) = check.examine(config, spool)
        assert same.level is Level.OK
        (other,) = check.examine(configuration(tmp_path, node={"retain_days": 2}), spool)
        assert (other.level, other.next_step) == (Level.WARN, "`dicom-ai-node reload`")
        assert "node.retain_days" in other.text
        (late,) = check.examine(configuration(tmp_path, node={"port": 2}), spool)
        assert "restart the node" in late.next_step


def test_a_reload_that_was_refused_is_not_forgotten(config: Config, spool: Spool) -> None:
    in_force.write(spool, "run", InForce(config=config, mistakes=("node.yaml:3: accept: empty",)))
    with spool.lock("run"):
        _, refused = check.examine(config, spool)
    assert refused.level is Level.WARN
    assert "node.yaml:3" in refused.text
