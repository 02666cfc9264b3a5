"""The demo's folder: it removes only what it made, and never under a running demo or node."""

from pathlib import Path

import pytest

from dicom_ai_node.config.load import load
from dicom_ai_node.database.engine import Database
from dicom_ai_node.demo.home import environment, open_home, write_configuration
from dicom_ai_node.errors import AlreadyRunning, ConfigError
from dicom_ai_node.spool import Spool


def test_a_folder_that_the_demo_did_not_make_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    with pytest.raises(ConfigError, match="--dir"), open_home(tmp_path):
        pass
    assert (tmp_path / "node").is_dir()


def test_a_second_run_starts_afresh_and_keeps_the_wheel(tmp_path: Path) -> None:
    with open_home(tmp_path / "demo") as home:
        for folder in (home.spool, home.archive, home.wheels):
            folder.mkdir()
            (folder / "file").touch()
    with open_home(tmp_path / "demo") as home:
        assert not home.spool.exists()
        assert not home.archive.exists()
        assert (home.wheels / "file").exists()


def test_two_demos_never_share_a_folder(tmp_path: Path) -> None:
    with (
        open_home(tmp_path / "demo"),
        pytest.raises(AlreadyRunning, match="--dir"),
        open_home(tmp_path / "demo"),
    ):
        pass


def test_nothing_is_removed_under_a_node_that_still_runs(tmp_path: Path) -> None:
    with open_home(tmp_path / "demo") as home:
        spool = Spool(home.spool)
    with spool.lock("run"):
        with pytest.raises(AlreadyRunning), open_home(tmp_path / "demo"):
            pass
        assert spool.instances.is_dir()


def test_the_configuration_is_an_ordinary_one(tmp_path: Path) -> None:
    with open_home(tmp_path / "with a 'quote'") as home:
        write_configuration(home, archive_port=4242)
        home.spool.mkdir()
        config = load(home.config, {})
    assert config.node.spool == home.spool
    assert Database(config.node.database).path == home.spool / "node.db"
    assert config.study.quiet_s == 2
    assert config.routes[0].send_to == ("archive",)


def test_overrides_of_the_sites_own_node_do_not_reach_the_demo() -> None:
    found = environment(
        {
            "DICOM_AI_NODE__NODE__SPOOL": "/var/lib/node",
            "DICOM_AI_NODE__NODE__MODELS": "/models",
            "HOME": "/root",
        }
    )
    assert found == {"DICOM_AI_NODE__NODE__MODELS": "/models", "HOME": "/root"}
