"""The archive installs without network, and refuses to when a byte of it is another one."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

from dicom_ai_node.models.installation.install import install_folder
from scripts import offline
from tests.acceptance.bright import MODEL
from tests.deploy.small_wheels import make_wheel
from tests.tools import missing_tool

_NODE = "def main():\n    import tiny_part\n    print('installed', tiny_part.VERSION)\n"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Packed by the same code as the real one; two small wheels stand for all of them."""
    folder = tmp_path / "bright"
    folder.mkdir()
    (folder / "model.yaml").write_text(json.dumps(MODEL))
    install_folder(folder, tmp_path / "store")
    return _packed(tmp_path, tmp_path / "dicom-ai-node-0-test.tar")


def _packed(home: Path, archive: Path) -> Path:
    wheels, folder, bill = (home / f"{each}-{archive.stem}" for each in ("wheels", "all", "bill"))
    wheels.mkdir()
    make_wheel(wheels, "tiny-part", "1.2")
    make_wheel(wheels, "dicom-ai-node", "0.0", body=_NODE, script="dicom-ai-node")
    bill.write_text("{}\n")
    offline.lay_out(folder, wheels=wheels, models=[home / "store" / "bright" / "1.0"], bill=bill)
    offline.pack(folder, archive)
    return archive


def _unpacked(archive: Path, place: Path) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(place)  # noqa: S202 — made by this test; `filter` came with 3.11.4
    return place / archive.stem


def _install(folder: Path, prefix: Path) -> subprocess.CompletedProcess[str]:
    """Without network, where that can be taken away."""
    alone = ["unshare", "--net"] if os.geteuid() == 0 and shutil.which("unshare") else []
    return subprocess.run(
        [
            *(*alone, "sh", str(folder / "install.sh")),
            *("--prefix", str(prefix), "--python", sys.executable),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": "", "PIP_CONFIG_FILE": os.devnull},
    )


def test_it_installs_program_model_and_configuration_without_network(
    archive: Path, tmp_path: Path
) -> None:
    prefix = tmp_path / "opt"
    done = _install(_unpacked(archive, tmp_path / "unpacked"), prefix)
    assert done.returncode == 0, done.stderr
    assert "installed 1.2" in done.stdout
    assert (prefix / "models" / "bright" / "1.0" / "manifest.json").is_file()
    assert (prefix / "config" / "node.yaml").is_file()
    assert (prefix / "sbom.cdx.json").is_file()

    mine = prefix / "config" / "node.yaml"
    mine.write_text("# mine\n")
    assert _install(tmp_path / "unpacked" / archive.stem, prefix).returncode == 0
    assert mine.read_text() == "# mine\n"  # an upgrade leaves the configuration alone


@pytest.mark.fault("H10")
def test_an_archive_with_another_byte_is_not_installed(archive: Path, tmp_path: Path) -> None:
    for changed in ("wheels/tiny_part-1.2-py3-none-any.whl", "config/node.yaml"):
        folder = _unpacked(archive, tmp_path / f"unpacked-{Path(changed).stem}")
        content = bytearray((folder / changed).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / changed).write_bytes(content)

        done = _install(folder, tmp_path / "opt")
        assert done.returncode == 1
        assert "Nothing was installed" in done.stderr
        assert not (tmp_path / "opt").exists()

    good = _unpacked(archive, tmp_path / "again")
    assert _install(good, tmp_path / "opt").returncode == 0


@pytest.mark.fault("H10")
def test_a_file_that_was_not_packed_is_not_installed(archive: Path, tmp_path: Path) -> None:
    folder = _unpacked(archive, tmp_path / "unpacked")
    make_wheel(folder / "wheels", "tiny-part", "9.9", body="VERSION = 'hostile'\n")
    done = _install(folder, tmp_path / "opt")
    assert done.returncode == 1
    assert "not packed" in done.stderr
    assert not (tmp_path / "opt").exists()


@pytest.mark.fault("H10")
def test_sums_that_were_made_anew_do_not_let_another_wheel_in(
    archive: Path, tmp_path: Path
) -> None:
    """The lock inside the archive is a second lock, which pip itself keeps."""
    folder = _unpacked(archive, tmp_path / "unpacked")
    wheel, _ = make_wheel(folder / "wheels", "tiny-part", "1.2", body="VERSION = 'hostile'\n")
    sums = folder / "SHA256SUMS"
    name = wheel.relative_to(folder).as_posix()
    kept = [line for line in sums.read_text().splitlines() if not line.endswith(name)]
    kept.append(f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {name}")
    sums.write_text("".join(f"{line}\n" for line in kept))
    done = _install(folder, tmp_path / "opt")
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


def test_another_python_is_refused_with_the_one_that_is_wanted(
    archive: Path, tmp_path: Path
) -> None:
    folder = _unpacked(archive, tmp_path / "unpacked")
    (folder / "PYTHON").write_text("3.99\n")
    sums = folder / "SHA256SUMS"
    lines = [line for line in sums.read_text().splitlines() if not line.endswith("  PYTHON")]
    lines.append(f"{hashlib.sha256(b'3.99' + bytes([10])).hexdigest()}  PYTHON")
    sums.write_text("".join(f"{line}\n" for line in lines))
    done = _install(folder, tmp_path / "opt")
    assert done.returncode == 1
    assert "Python 3.99" in done.stderr


def test_the_same_input_gives_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    again = tmp_path / "again" / archive.name
    again.parent.mkdir()
    shutil.copytree(tmp_path / "store", again.parent / "store")
    _packed(again.parent, again)
    assert again.read_bytes() == archive.read_bytes()


@pytest.mark.slow
def test_the_nodes_own_wheel_is_whole_and_reproducible(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first, second = (offline.node_wheel(tmp_path / each) for each in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    names = set(ZipFile(first).namelist())
    package = offline.HOME / "dicom_ai_node"
    sources = {
        path.relative_to(offline.HOME).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= names


_APART = """
set -eu
cp -a /etc "$1/etc"
mkdir "$1/lib" "$1/sysusers.d" "$1/tmpfiles.d"
mount --bind "$1/etc" /etc
mount --bind "$1/lib" /var/lib
mount --bind "$1/sysusers.d" /usr/lib/sysusers.d
mount --bind "$1/tmpfiles.d" /usr/lib/tmpfiles.d
mkdir -p /etc/dicom-ai-node/secrets /etc/systemd/system
printf 'node: {}\\n' > /etc/dicom-ai-node/10-hospital.yaml
printf key > /etc/dicom-ai-node/tls.key
printf key > /etc/dicom-ai-node/secrets/node.key
chmod 0700 /etc/dicom-ai-node/secrets
chmod 0600 /etc/dicom-ai-node/*.* /etc/dicom-ai-node/secrets/node.key
[ "$4" = upgrade ] || rm /etc/dicom-ai-node/*.*
sh "$2/install.sh" --systemd --prefix "$1/opt" --python "$3" >&2
cd /etc/dicom-ai-node
find . -printf '%m %g %P\\n' | sort
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may have an /etc of its own")
@pytest.mark.parametrize(
    ("when", "there"),
    [
        ("first", ["640 dicom-ai-node node.yaml"]),
        ("upgrade", ["600 root 10-hospital.yaml", "600 root tls.key"]),
    ],
)
def test_with_systemd_it_opens_nothing_that_was_there(
    when: str, there: list[str], archive: Path, tmp_path: Path
) -> None:
    for program in ("unshare", "systemd-sysusers", "systemd-tmpfiles"):
        if shutil.which(program) is None:
            missing_tool(program)
    tools, home = tmp_path / "tools", tmp_path / "home"
    tools.mkdir()
    home.mkdir()
    (tools / "systemctl").write_text("#!/bin/sh\n")  # no systemd is told anything
    (tools / "systemctl").chmod(0o755)
    folder = _unpacked(archive, tmp_path / "unpacked")
    done = subprocess.run(
        [
            *("unshare", "--net", "--mount", "sh", "-c", _APART, "sh"),
            *(str(home), str(folder), sys.executable, when),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": "",
            "PIP_CONFIG_FILE": os.devnull,
        },
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == sorted(
        ["750 dicom-ai-node ", "700 root secrets", "600 root secrets/node.key", *there]
    )
