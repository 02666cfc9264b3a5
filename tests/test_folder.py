"""What is taken from a folder, as `predict` does: DICOM that is nothing else, and nothing that
could be started is written."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dicom_ai_node.errors import InputError
from dicom_ai_node.folder import series_of
from dicom_ai_node.models.installation.install import install
from tests.dicom_factory import series, write

ROOT = Path(__file__).parents[1]
PROGRAMS = {
    "PE": b"MZ\x90\x00",
    "ELF": b"\x7fELF",
    "Mach-O 32": b"\xfe\xed\xfa\xce",
    "Mach-O 64": b"\xfe\xed\xfa\xcf",
    "Mach-O 32, little endian": b"\xce\xfa\xed\xfe",
    "Mach-O 64, little endian": b"\xcf\xfa\xed\xfe",
    "Mach-O, several machines": b"\xca\xfe\xba\xbe",
}


def begins_with(path: Path, magic: bytes) -> None:
    content = path.read_bytes()
    assert content[128:132] == b"DICM"
    path.write_bytes(magic + content[len(magic) :])


def predict(study: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """The command, where everything may be done with every new file (umask 0)."""
    install("threshold-ct", out.parent / "models", print)
    command = [sys.executable, "-m", "dicom_ai_node", "predict", str(study), "--out", str(out)]
    return subprocess.run(
        [*command, "--model", "threshold-ct", "--config", str(ROOT / "config")],
        env=os.environ | {"DICOM_AI_NODE__NODE__MODELS": str(out.parent / "models")},
        umask=0,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.fault("C16")
@pytest.mark.parametrize("magic", PROGRAMS.values(), ids=PROGRAMS)
def test_dicom_that_is_a_program_as_well_is_refused(tmp_path: Path, magic: bytes) -> None:
    paths = write(series(shape=(3, 4, 4)), tmp_path)
    begins_with(paths[1], magic)
    with pytest.raises(InputError, match="is a program as well: its preamble begins like an exec"):
        series_of(tmp_path)
    begins_with(paths[1], bytes(4))
    (found,) = series_of(tmp_path)
    assert len(found.instances) == 3


@pytest.mark.parametrize("magic", [b"II*\0", b"MM\0*"], ids=["little endian", "big endian"])
def test_dicom_that_is_a_tiff_as_well_is_taken(tmp_path: Path, magic: bytes) -> None:
    """What PS3.10 7.1 has the preamble for."""
    begins_with(write(series(shape=(3, 4, 4)), tmp_path)[1], magic)
    (found,) = series_of(tmp_path)
    assert len(found.instances) == 3


def test_programs_on_the_same_disc_are_passed_over(tmp_path: Path) -> None:
    """A CD for a patient has a viewer on it."""
    write(series(shape=(3, 4, 4)), tmp_path)
    (tmp_path / "viewer.exe").write_bytes(b"MZ" + bytes(1000))
    (found,) = series_of(tmp_path)
    assert len(found.instances) == 3


@pytest.mark.fault("C16")
def test_nothing_that_is_written_can_be_started(tmp_path: Path) -> None:
    """Whatever the sources may do, and whatever the shell allows."""
    for path in write(series(), tmp_path / "study"):
        path.chmod(0o755)
        begins_with(path, b"II*\0")
    done = predict(tmp_path / "study", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    names = ["1-seg.dcm", "2-sr.dcm", "3-summary.dcm", "report.json"]
    assert sorted(path.name for path in written) == names
    for path in written:
        assert not path.stat().st_mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        assert path.suffix == ".json" or path.read_bytes()[:132] == bytes(128) + b"DICM"


@pytest.mark.fault("C16")
def test_a_person_is_told_of_a_program(tmp_path: Path) -> None:
    paths = write(series(), tmp_path / "study")
    begins_with(paths[5], PROGRAMS["PE"])
    done = predict(tmp_path / "study", tmp_path / "out")
    assert done.returncode == 1
    assert "dicom-ai-node: A DICOM file of the study is a program as well" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "content",
    [bytes(128) + b"DICM", bytes(128) + b"DICM" + bytes(range(256)), b"", b"no DICOM at all"],
    ids=["only a preamble", "a broken meta group", "empty", "text"],
)
def test_a_bad_file_does_not_hide_the_good_ones(tmp_path: Path, content: bytes) -> None:
    write(series(shape=(3, 4, 4)), tmp_path)
    (tmp_path / "bad.dcm").write_bytes(content)
    (found,) = series_of(tmp_path)
    assert len(found.instances) == 3
