"""An author's way to a known answer: ask the package about a study, and keep both."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_ai_node.config.expected import (
    Expected,
    ExpectedMeasurement,
    ExpectedPlace,
    ExpectedProbability,
)
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.manifest import hashes_of, sha256_of
from dicom_ai_node.config.store import read_description
from dicom_ai_node.errors import ConfigError, ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.known_answer.check import load_case
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.answering.case import CASE, MASK, arrays_of, case_of
from dicom_ai_node.models.answering.comparison import Compared, compare, labels_of
from dicom_ai_node.models.apart import apart
from dicom_ai_node.result import BoxInPatient, Result

FOLDER = "known_answer"
EXPECTED = "expected.json"
_OF_VALUE = 0.005  # another machine's arithmetic moves a border by some voxels
_OF_PROBABILITY = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    installed: InstalledModel
    study: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    case: Mapping[str, NDArray[Any]]
    expected: Expected
    mask: NDArray[np.uint8] | None
    lines: Sequence[Compared]


def record(package: Path, study: Path, *, trusted: bool) -> tuple[Path, Sequence[Compared]]:
    """Write `case.npz`, `expected.json` and `mask.npz` into the package's folder; what they say.

    `trusted`: code of the package's own may run. Raises ModelError where the model has no answer to
    the case, InputError where the study cannot be loaded.
    """
    installed = as_installed(package, trusted=trusted)
    if not study.is_dir():
        raise ConfigError(f"{study} is not a folder: give the folder of one study")
    question = _Question(installed=installed, study=study)
    found = apart(_recorded, question, timeout_s=installed.package.timeout_s + 120)
    folder = package / (installed.package.known_answer or FOLDER)
    folder.mkdir(exist_ok=True)
    for old in (CASE, EXPECTED, MASK):
        (folder / old).unlink(missing_ok=True)
    (folder / CASE).write_bytes(_npz(found.case))
    said = found.expected.model_dump(mode="json", exclude_none=True)
    (folder / EXPECTED).write_text(json.dumps(said, indent=1) + "\n")
    if found.mask is not None:
        (folder / MASK).write_bytes(_npz({"mask": found.mask}))
    return folder, found.lines


def as_installed(package: Path, *, trusted: bool) -> InstalledModel:
    """A package that lies in its author's folder, as though it were in the store."""
    described = read_description(package)
    files = hashes_of(package)
    return InstalledModel(
        folder=package,
        package=described,
        sha256=sha256_of(files),
        files=files,
        trusted=trusted and described.brings_code,
    )


def _recorded(question: _Question) -> _Recorded:
    """The answer is to the case as it will be read, whose headers hold little."""
    package = question.installed.package
    arrays = arrays_of(load_case(question.study, question.installed))
    result = open_model(question.installed).predict(case_of(arrays, package))
    if result.outcome in (Outcome.FAILED, Outcome.NOT_SUITABLE):
        raise ModelError(f"{question.installed.label} has no answer to this study: {result.reason}")
    expected = expected_of_result(result)
    mask = labels_of(result)
    lines = compare(result, expected, mask)
    return _Recorded(case=arrays, expected=expected, mask=mask, lines=lines)


def expected_of_result(result: Result) -> Expected:
    """All that a result says, with room for the arithmetic of other machines."""
    findings = result.findings
    said = [(each.tracking_identifier, each.probability) for each in findings]
    said += [(each.code.meaning, each.probability) for each in result.assessments]
    return Expected(
        outcome=result.outcome,
        findings=len(findings),
        measurements=tuple(
            ExpectedMeasurement(
                finding=finding.tracking_identifier,
                name=measured.name.meaning,
                value=measured.value,
                tolerance=round(max(_OF_VALUE * abs(measured.value), 1e-3), 6),
            )
            for finding in findings
            for measured in finding.measurements
        ),
        probabilities=tuple(
            ExpectedProbability(finding=name, value=round(value, 4), tolerance=_OF_PROBABILITY)
            for name, value in said
            if value is not None
        ),
        places=tuple(
            ExpectedPlace(finding=finding.tracking_identifier, center=_center(finding.region))
            for finding in findings
            if isinstance(finding.region, BoxInPatient)
        ),
    )


def _center(region: BoxInPatient) -> tuple[float, float, float]:
    x, y, z = (round(float(value), 2) for value in region.center)
    return x, y, z


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    written = io.BytesIO()
    np.savez_compressed(written, **arrays)  # type: ignore[arg-type]
    return written.getvalue()
