"""What makes a build fail: no pin, another hash, a known vulnerability, a package too many."""

import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from scripts import lock
from tests.deploy.small_wheels import make_wheel

_SHA = "0" * 64


def test_the_lock_is_whole() -> None:
    assert lock.check() == []


@pytest.mark.fault("H10")
def test_a_dependency_without_a_pin_fails_the_build() -> None:
    text = f"alpha==1.0 \\\n    --hash=sha256:{_SHA}\n"
    found = list(lock.mistakes(text, "alpha==1.0\n", "", ["alpha", "beta"]))
    assert found == [
        "beta is needed and has no pin: add it to constraints.txt, and make the lock anew"
    ]
    for line in ("alpha>=1.0", "alpha", "alpha==1.*"):
        with pytest.raises(lock.LockError, match="is no pin"):
            lock.pins(line)


@pytest.mark.fault("H10")
def test_a_version_with_a_known_vulnerability_fails_the_build() -> None:
    refused = "alpha<1.5  # CVE-2099-0001\n"
    old = f"alpha==1.4 \\\n    --hash=sha256:{_SHA}\n"
    (found,) = lock.mistakes(old, "alpha==1.4\n", refused, ["alpha"])
    assert found == "alpha==1.4 is refused (CVE-2099-0001): take a later one"
    mended = old.replace("1.4", "1.5")
    assert list(lock.mistakes(mended, "alpha==1.5\n", refused, ["alpha"])) == []


@pytest.mark.fault("H10")
def test_a_pin_without_a_hash_or_unlike_the_tested_one_fails_the_build() -> None:
    (bare,) = lock.mistakes("alpha==1.0\n", "alpha==1.0\n", "", ["alpha"])
    assert bare == "alpha==1.0 has no hash: make the lock anew"
    text = f"alpha==1.0 \\\n    --hash=sha256:{_SHA}\n"
    (other,) = lock.mistakes(text, "alpha==1.1\n", "", ["alpha"])
    assert other == "alpha==1.0 is not what constraints.txt has: make the lock anew"


@pytest.mark.fault("H10")
def test_a_wheel_with_another_hash_is_not_installed(tmp_path: Path) -> None:
    """As the image and the archive do it, by the text that the lock is written in."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    _, sha256 = make_wheel(wheels, "tiny-part", "1.2")
    file = tmp_path / "requirements.lock"
    file.write_text(lock.render({"tiny-part": "1.2"}, {"tiny-part": [sha256]}))

    assert _install(file, wheels, tmp_path / "good").returncode == 0
    assert (tmp_path / "good" / "tiny_part.py").is_file()

    make_wheel(wheels, "tiny-part", "1.2", body="VERSION = 'hostile'\n")
    refused = _install(file, wheels, tmp_path / "bad")
    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    assert not (tmp_path / "bad").exists()


def _install(file: Path, wheels: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--no-cache-dir", "install", "--quiet", "--no-index"),
            *("--find-links", str(wheels), "--require-hashes", "--no-deps"),
            *("--target", str(target), "-r", str(file)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )


def test_the_lock_needs_no_torch_and_names_no_index() -> None:
    text = lock.LOCK.read_text()
    names = set(lock.pins(text))
    assert not {name for name in names if lock.BY_TORCH.match(name)} | names & {"torch"}
    assert "://" not in text


@pytest.mark.parametrize("unwanted", ["torchvision", "torchaudio"])
def test_what_nobody_asked_for_is_not_installed(unwanted: str) -> None:
    """torchvision pins torch, and brings decoders that nothing here fences."""
    assert unwanted not in {each.name for each in distributions()}


def test_a_torch_for_the_cpu_brought_no_driver_along() -> None:
    import torch

    if torch.version.cuda is None:
        found = {each.name for each in distributions() if lock.BY_TORCH.match(each.name or "")}
        assert not {name for name in found if name.startswith("nvidia")}


def test_the_workflow_is_one_and_may_only_read() -> None:
    workflow = lock.HOME / ".github" / "workflows" / "ci.yml"
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([sys.executable, *command, workflow], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "permissions:\n  contents: read\n" in workflow.read_text()
