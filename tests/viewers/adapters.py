"""OHIF's own readers (@cornerstonejs/adapters), run in Node on our objects: no browser, seconds."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from tests.tools import missing_tool
from tests.viewers import fetch

_SCRIPTS = Path(__file__).parent / "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An object, and the images of its source in the order in which a viewer has them."""

    name: str
    images: Sequence[dict[str, Any]]
    object: Dataset


def images_of(headers: Iterable[Dataset]) -> list[dict[str, Any]]:
    """One for each frame, as node/images.mjs wants it."""
    return [image for header in headers for image in _frames_of(header)]


def _frames_of(header: Dataset) -> list[dict[str, Any]]:
    whole = {
        "sop": header.SOPInstanceUID,
        "sopClass": header.SOPClassUID,
        "series": header.SeriesInstanceUID,
        "modality": header.Modality,
        "rows": header.Rows,
        "columns": header.Columns,
        "frameOfReference": header.get("FrameOfReferenceUID"),
    }
    if "NumberOfFrames" not in header:
        return [{**whole, "frame": 1, **_place(header, header, header)}]
    (shared,) = header.SharedFunctionalGroupsSequence
    (orientation,), (measures,) = shared.PlaneOrientationSequence, shared.PixelMeasuresSequence
    return [
        {**whole, "frame": number, **_place(groups.PlanePositionSequence[0], orientation, measures)}
        for number, groups in enumerate(header.PerFrameFunctionalGroupsSequence, 1)
    ]


def _place(position: Dataset, orientation: Dataset, measures: Dataset) -> dict[str, Any]:
    if "ImagePositionPatient" not in position:
        return {}
    return {
        "position": [float(v) for v in position.ImagePositionPatient],
        "orientation": [float(v) for v in orientation.ImageOrientationPatient],
        "spacing": [float(v) for v in measures.PixelSpacing],
    }


def read(script: str, version: str, cases: Sequence[Case], folder: Path) -> dict[str, Any]:
    """By the name of the case: what `script` says of it with these packages."""
    if shutil.which("node") is None:
        missing_tool("node")
    packages = fetch.installed(version)
    folder.mkdir(parents=True, exist_ok=True)
    described = []
    for number, case in enumerate(cases):
        file, out = folder / f"{number}.dcm", folder / f"{number}.raw"
        case.object.save_as(file, enforce_file_format=True)
        paths = {"file": str(file), "out": str(out)}
        described.append({"name": case.name, "images": case.images, **paths})
    listed = folder / "cases.json"
    listed.write_text(json.dumps(described))
    done = subprocess.run(
        ["node", _SCRIPTS / script, packages, listed], capture_output=True, text=True, check=False
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases), done.stdout + done.stderr
    return {
        answer.pop("name"): answer | {"out": Path(each["out"])}
        for answer, each in zip(answers, described, strict=True)
    }


def groups_of(answer: dict[str, Any], case: Case) -> NDArray[np.uint16]:
    """Groups × frames × rows × columns: segments that overlap lie in different groups."""
    assert "error" not in answer, answer
    first = case.images[0]
    whole = np.frombuffer(answer["out"].read_bytes(), "<u2")
    return whole.reshape(answer["groups"], len(case.images), first["rows"], first["columns"])
