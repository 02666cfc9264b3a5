"""`result.json` of a model's program, added to what its masks say."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from dicom_ai_node.config.answer import (
    AnswerBox,
    AnswerFinding,
    AnswerMeasurement,
    ProgramAnswer,
)
from dicom_ai_node.config.kinds import CommandPackage
from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Answer, Assessment, BoxInPatient, Finding, Measurement, Result

RESULT = "result.json"
_MAX_BYTES = 1 << 20


def read_answer(folder: Path, found: Result, package: CommandPackage) -> Result:
    """Measurements of a segment join those of the mask; ModelError for what is not as described."""
    answer = _parsed(folder / RESULT, package)
    if answer.not_suitable is not None:
        return Result.not_suitable(answer.not_suitable)
    of_segments = _of_segments(answer, found, package)
    joined = [_joined(each, of_segments.get(each.segment_number or 0)) for each in found.findings]
    others = [_finding(each) for each in answer.findings if each.segment is None]
    assessments = tuple(
        Assessment(code=each.code, answer=Answer(each.answer), probability=each.probability)
        for each in answer.assessments
    )
    undecided = [each for each in assessments if each.answer is Answer.UNDECIDED]
    findings = (*joined, *others)
    result = replace(found, findings=findings, assessments=assessments)
    if findings or not undecided:
        return result
    names = ", ".join(dict.fromkeys(each.code.meaning for each in undecided))
    reason = f"{package.title} is not sure enough for an answer: {names}."
    return replace(result, outcome=Outcome.ABSTAINED, reason=reason)


def _of_segments(
    answer: ProgramAnswer, found: Result, package: CommandPackage
) -> dict[int, AnswerFinding]:
    there = {each.number for each in found.segments}
    by_number: dict[int, AnswerFinding] = {}
    for each in answer.findings:
        if each.segment is None:
            continue
        if each.segment not in there or each.segment in by_number:
            raise ModelError(
                f"{RESULT} of {package.name} speaks of the segment {each.segment} twice, or its "
                "mask lacks it."
            )
        by_number[each.segment] = each
    return by_number


def _parsed(file: Path, package: CommandPackage) -> ProgramAnswer:
    if file.is_symlink() or not file.is_file():
        raise ModelError(f"{package.name} gave no output: {RESULT} is not there.")
    if file.stat().st_size > _MAX_BYTES:
        raise ModelError(f"{RESULT} of {package.name} is larger than {_MAX_BYTES} bytes.")
    try:
        return ProgramAnswer.model_validate(json.loads(file.read_bytes(), parse_constant=_refuse))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        # the places of known keys; values, and keys that are not ours, may name a patient
        known = "unknown key" if first["type"] == "extra_forbidden" else first["type"]
        place = ".".join(str(part) for part in first["loc"][:-1]) or "it"
        raise ModelError(
            f"{RESULT} of {package.name} is not as described: {place}: {known}."
        ) from None
    except (ValueError, RecursionError):
        raise ModelError(f"{RESULT} of {package.name} is no JSON.") from None


def _refuse(constant: str) -> float:
    raise ValueError(constant)  # NaN and Infinity are Python's, not JSON's


def _joined(finding: Finding, said: AnswerFinding | None) -> Finding:
    if said is None:
        return finding
    return replace(
        finding,
        tracking_identifier=said.label,
        probability=said.probability,
        site=said.site or finding.site,
        laterality=said.laterality if said.site else finding.laterality,
        measurements=(*finding.measurements, *map(_measurement, said.measurements)),
    )


def _finding(said: AnswerFinding) -> Finding:
    return Finding(
        tracking_identifier=said.label,
        code=said.code,
        region=None if said.box is None else _region(said.box),
        probability=said.probability,
        site=said.site,
        laterality=said.laterality,
        measurements=tuple(map(_measurement, said.measurements)),
    )


def _region(box: AnswerBox) -> BoxInPatient:
    low, high = np.array(box.low, np.float64), np.array(box.high, np.float64)
    return BoxInPatient(center=(low + high) / 2, half_axes=np.diag((high - low) / 2))


def _measurement(said: AnswerMeasurement) -> Measurement:
    return Measurement(name=said.name, value=said.value, unit=said.unit)
