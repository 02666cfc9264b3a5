"""What the demonstrations are scored on: a head kept apart, and what is found in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from numpy.typing import NDArray

from dicom_ai_node.result import BoxInPatient, Result
from examples.lesions import Lesion, Range, drawn, random_lesions
from examples.scenes import varied
from examples.sources import Head

HIT_MM = 8.0  # a detection within this distance of a lesion's centre has found it


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    volume: hd.Volume
    lesions: Sequence[Lesion]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """Of one case: which of its lesions were found, and how many detections were none."""

    found: Sequence[bool]
    false: int


def cases(head: Head, count: int, seed: int, diameter: Range) -> Iterator[Case]:
    """Every second one has one to three lesions; each has noise, gain and shading of its own."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        wanted = int(rng.integers(1, 4)) if number % 2 else 0
        lesions = random_lesions(head.volume, head.places, head.level, wanted, rng, diameter)
        # in units in which the brain is about where a prepared image has it, for the noise
        units = np.float32(2 * head.level)
        array = varied(np.asarray(drawn(head.volume, lesions).array, np.float32) / units, rng)
        yield Case(volume=head.volume.with_array(array * units), lesions=lesions)


def detected(case: Case, result: Result) -> Detected:
    """The surest detection comes first, and each lesion is found once."""
    found = [False] * len(case.lesions)
    false = 0
    for center in centers(result):
        away = [float(np.linalg.norm(center - lesion.center)) for lesion in case.lesions]
        near = [at for at, mm in enumerate(away) if mm <= HIT_MM]
        if not near:
            false += 1
        for at in near:
            found[at] = True
    return Detected(found=found, false=false)


def centers(result: Result) -> list[NDArray[np.float64]]:
    """Where the findings lie, LPS mm."""
    regions = [finding.region for finding in result.findings]
    return [region.center for region in regions if isinstance(region, BoxInPatient)]


def probability(result: Result) -> float:
    """The answer of a classification that asks one question, whichever it was."""
    findings = [each.probability for each in result.findings]
    (said,) = findings + [each.probability for each in result.assessments]
    if said is None:
        raise ValueError("the classification gave no probability")
    return said
