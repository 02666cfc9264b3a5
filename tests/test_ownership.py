"""Who owns the spool, who may look into it, who runs the node: refused, or said with the cure."""

import os
import pwd
from pathlib import Path

import pytest

from dicom_ai_node.config.settings import Config
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.ownership import doubts, require_own_spool
from tests.config.processes import verb
from tests.made import configuration
from tests.receive.raw_scu import receiving

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
NOBODY = pwd.getpwnam("nobody").pw_uid


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """With folders as the node makes them."""
    for name in ("spool", "config"):
        (tmp_path / name).mkdir(mode=0o700)
    tmp_path.chmod(0o700)
    (tmp_path / "config" / "node.yaml").touch(mode=0o644)
    return configuration(tmp_path, work={"user": "nobody"})


def test_what_the_node_makes_itself_is_beyond_doubt(config: Config, tmp_path: Path) -> None:
    require_own_spool(config)
    assert list(doubts(config, tmp_path / "config")) == []


@AS_ROOT
@pytest.mark.fault("H5")
def test_the_spool_of_another_user_is_refused_by_every_verb(tmp_path: Path) -> None:
    """And is left as it is; given back, the node stores."""
    home = tmp_path / "node"
    with receiving(home) as node:
        node.assert_serves()
    os.chown(home / "var", NOBODY, -1)
    before = sorted(home.rglob("*"))
    for words in (["receive"], ["status"], ["jobs", "list"], ["doctor"], ["check", "--offline"]):
        done = verb(*words, cwd=home)
        assert done.returncode == 2, words
        assert "belongs to nobody, and you are root" in done.stderr
        assert "sudo -u nobody dicom-ai-node" in done.stderr
    assert sorted(home.rglob("*")) == before
    os.chown(home / "var", 0, -1)
    assert verb("status", cwd=home).returncode == 0


@AS_ROOT
def test_a_mounted_volume_may_belong_to_root(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is not root may still write there, by its group."""
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    require_own_spool(config)
    os.chown(config.node.spool, NOBODY + 1, -1)
    with pytest.raises(ConfigError, match="you are nobody"):
        require_own_spool(config)


@pytest.mark.fault("H5")
@pytest.mark.parametrize("mode", [0o750, 0o705])
def test_a_spool_that_others_may_look_into_is_said(
    config: Config, tmp_path: Path, mode: int
) -> None:
    config.node.spool.chmod(mode)
    (said,) = doubts(config, tmp_path / "config")
    assert said.startswith("node.spool: ")
    assert said.endswith(f"run `chmod 700 {config.node.spool}`")


@pytest.mark.fault("H5")
@pytest.mark.parametrize("name", ["config", "config/node.yaml"])
def test_a_configuration_that_everybody_may_change_is_said(
    config: Config, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.chmod(path.stat().st_mode | 0o002)
    (said,) = doubts(config, tmp_path / "config")
    assert said == f"{path} may be changed by everybody: run `chmod o-w {path}`"


@AS_ROOT
@pytest.mark.fault("H5")
def test_a_node_of_root_is_said_unless_its_models_have_a_user(tmp_path: Path) -> None:
    root = configuration(tmp_path)
    assert any("runs as root" in each for each in doubts(root, tmp_path))
    apart = configuration(tmp_path, work={"user": "nobody"})
    assert not any("runs as root" in each for each in doubts(apart, tmp_path))


@pytest.mark.fault("H5")
def test_a_key_that_others_may_read_stops_the_start(tmp_path: Path) -> None:
    """With file and line; and once it is its owner's alone, an instance is stored."""
    home = tmp_path / "node"
    key = tmp_path / "node.key"
    key.write_text("-----BEGIN PRIVATE KEY-----\n")
    key.chmod(0o644)
    (home / "config").mkdir(parents=True)
    (home / "config" / "node.yaml").write_text(
        "node:\n  ae_title: A\n  tls:\n    certificate: c\n    ca: c\n"
        f"    key: {key}\n  spool: var\n"
    )
    done = verb("receive", cwd=home)
    assert done.returncode == 2
    assert f"config/node.yaml:6: node.tls.key: {key} may be read by others" in done.stderr
    assert f"run `chmod 600 {key}`" in done.stderr
