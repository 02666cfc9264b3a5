"""Independent programs that judge our objects: each function returns the errors it was told."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset

# dcentvfy files AccessionNumber under Series for images and under Study for a report
_DCENTVFY_KNOWN = re.compile(r"Element=<AccessionNumber>")
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"  # Label Map Segmentation Storage, since 2024
_DCIODVFY_LABEL_MAP = re.compile(
    r"ReferencedSegmentNumber.*Shall not be present for Referenced SOP Class that is not segmentat"
)
_XPATH_LIMITS = "-Djdk.xml.xpathTotalOpLimit=0 -Djdk.xml.xpathExprOpLimit=0"
_JAVA = {**os.environ, "JAVA_TOOL_OPTIONS": f"{_XPATH_LIMITS} -Djdk.xml.xpathExprGrpLimit=0"}


def tool(name: str) -> str:
    """A program that is no Python script, as the virtual environment has namesakes of DCMTK's.

    A missing tool skips the test, but fails it where CI is "true".
    """
    here = str(Path(sys.executable).parent)
    folders = [p for p in os.environ["PATH"].split(os.pathsep) if Path(p) != Path(here)]
    found = shutil.which(name, path=os.pathsep.join([*folders, "/usr/bin"])) or shutil.which(
        name, path=here
    )
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{name} is missing")
    return found


def dciodvfy(path: Path) -> list[str]:
    """Errors against the IOD (dicom3tools, whose older builds do not know label maps)."""
    errors = _lines(_run(tool("dciodvfy"), "-new", path), "Error")
    if LABEL_MAP.encode() in path.read_bytes():
        errors = [line for line in errors if not _DCIODVFY_LABEL_MAP.search(line)]
    return errors


def dcentvfy(paths: Iterable[Path]) -> list[str]:
    """Errors of patient, study and other entities that differ within a study (dicom3tools)."""
    lines = _lines(_run(tool("dcentvfy"), *paths), "Error")
    return [line for line in lines if not _DCENTVFY_KNOWN.search(line)]


def dsrdump(path: Path) -> str:
    """The report as text (DCMTK); fails where it cannot be rendered."""
    done = subprocess.run(
        [tool("dsrdump"), "-Pl", "+Pl", str(path)], capture_output=True, check=False
    )
    errors = _lines(done.stderr.decode("utf-8", "replace"), "E:", "F:")
    assert done.returncode == 0, errors
    assert not errors
    return done.stdout.decode("utf-8", "replace")


def sr_validator(path: Path) -> list[str]:
    """Errors against the SR templates (PixelMed).

    It tries every group template on every group of a report with different ones: what it says of
    a group under another template than the group's own is left out. A group without the item that
    tells its template apart goes unnoticed: tests look for those items themselves.
    """
    output = _run(tool("DicomSRValidator"), path, env=_JAVA)
    assert "IOD validation complete" in output, output
    ds = pydicom.dcmread(path)
    return [line for line in _lines(output, "Error") if not _of_another_template(line, ds)]


def dcmpschk(path: Path) -> list[str]:
    """Errors of a presentation state (DCMTK), which takes a padded Date Time for one."""
    lines = _lines(_run(tool("dcmpschk"), path), "E:")
    errors = "\n".join(lines).split("E: Error:")[1:]
    return [error for error in errors if "(0018,a002), Type DT" not in error]


def paramap2itkimage(path: Path, folder: Path) -> Path:
    """NRRD file (dcmqi)."""
    folder.mkdir()
    _run(
        *(tool("paramap2itkimage"), "--inputDICOM", path, "--outputDirectory", folder),
        *("-t", "nrrd"),
        check=True,
    )
    (found,) = folder.glob("*.nrrd")
    return found


def segimage2itkimage(path: Path, folder: Path, *further: str) -> list[Path]:
    """NRRD files, one for each segment unless further arguments say otherwise (dcmqi)."""
    folder.mkdir()
    _run(
        *(tool("segimage2itkimage"), "--inputDICOM", path, "--outputDirectory", folder),
        *("-t", "nrrd", "-p", "s", *further),
        check=True,
    )
    return sorted(folder.glob("*.nrrd"))


def _of_another_template(line: str, ds: Dataset) -> bool:
    found = re.search(r"Template (\d+) .* within 1((?:\.\d+)+):", line)
    if not found:
        return False
    item = ds
    for number in found[2].strip(".").split("."):
        item = item.ContentSequence[int(number) - 1]
    own = item.get("ContentTemplateSequence")
    return bool(own) and own[0].TemplateIdentifier != found[1]


def _run(*command: object, env: dict[str, str] | None = None, check: bool = False) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, env=env, check=check, timeout=300)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def _lines(text: str, *starts: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith(starts)]
