"""Score the demonstrations of the catalogue on a head that training never saw.

    python -m examples.score_demonstrations [--cases 60] [--downloads DIR]

Prints the table that stands in the model cards and in examples/README.md.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.installation.install import CATALOGUE, install_folder
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.result import Answer
from examples.cases import Case, Detected, cases, detected, probability
from examples.intervals import area, area_interval, wilson
from examples.lesions import LARGE_MM, SMALL_MM
from examples.networks import CLASSIFICATION, DETECTION
from examples.sources import DOWNLOADS, HELD_OUT, given, read_head

SEED = 2026

Row = tuple[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=60, help="half of them without a lesion")
    parser.add_argument("--downloads", type=Path, default=DOWNLOADS)
    asked = parser.parse_args()
    console = Console()
    for name, source in HELD_OUT.items():
        head = read_head(name, source, asked.downloads, console.print)
        small = list(cases(head, asked.cases, SEED, SMALL_MM))
        large = list(cases(head, asked.cases, SEED, LARGE_MM))
        rows = scored_detection(_opened(DETECTION), small)
        rows += scored_classification(_opened(CLASSIFICATION), large)
        console.print(f"{asked.cases} cases drawn into {source.requirement} ({source.what}):\n")
        console.print("| what | value (95 % interval) |\n|---|---|")
        for what, value in rows:
            console.print(f"| {what} | {value} |")


def scored_detection(model: Model, given_cases: Sequence[Case]) -> list[Row]:
    done = [detected(case, model.predict(given(case.volume))) for case in given_cases]
    small, large = _found_by_size(given_cases, done)
    without = [each.false for each, case in zip(done, given_cases, strict=True) if not case.lesions]
    false = [each.false for each in done]
    return [
        ("detection: sensitivity", _share(small + large)),
        ("detection: sensitivity, below 9 mm", _share(small)),
        ("detection: sensitivity, 9 mm and more", _share(large)),
        ("detection: false positives per volume", f"{sum(false) / len(false):.2f}"),
        (
            "detection: volumes without lesions and without detections",
            _share([not n for n in without]),
        ),
    ]


def scored_classification(model: Model, given_cases: Sequence[Case]) -> list[Row]:
    results = [model.predict(given(case.volume)) for case in given_cases]
    has = [bool(case.lesions) for case in given_cases]
    said = [probability(result) for result in results]
    undecided = [any(a.answer is Answer.UNDECIDED for a in each.assessments) for each in results]
    found = [bool(result.findings) for result in results]
    decided = [(h, f) for h, f, u in zip(has, found, undecided, strict=True) if not u]
    silent = [not f for h, f in decided if not h]
    with_lesion = [p for p, h in zip(said, has, strict=True) if h]
    without = [p for p, h in zip(said, has, strict=True) if not h]
    low, high = area_interval(with_lesion, without)
    # drawing again from cases that are all told apart draws nothing else
    interval = f"{low:.2f}–{high:.2f}" if low < high else "no interval: all were told apart"
    return [
        ("classification: sensitivity, where decided", _share([f for h, f in decided if h])),
        ("classification: specificity, where decided", _share(silent)),
        ("classification: undecided", _share(undecided)),
        (
            "classification: area under the ROC curve",
            f"{area(with_lesion, without):.2f} ({interval})",
        ),
    ]


def _found_by_size(
    given_cases: Sequence[Case], done: Sequence[Detected]
) -> tuple[list[bool], list[bool]]:
    small: list[bool] = []
    large: list[bool] = []
    for case, each in zip(given_cases, done, strict=True):
        for lesion, found in zip(case.lesions, each.found, strict=True):
            (small if lesion.diameter < 9 else large).append(found)
    return small, large


def _share(these: Sequence[bool]) -> str:
    if not these:
        return "no case"
    low, high = wilson(sum(these), len(these))
    return f"{sum(these)}/{len(these)} = {sum(these) / len(these):.2f} ({low:.2f}–{high:.2f})"


def _opened(name: str) -> Model:
    with tempfile.TemporaryDirectory() as store:
        return open_model(install_folder(CATALOGUE / name, Path(store)))


if __name__ == "__main__":
    main()
