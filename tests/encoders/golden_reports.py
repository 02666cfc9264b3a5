"""The report of each outcome as a text viewer shows it, in `golden/`, and in German; made anew with
`python -m tests.encoders.golden_reports`, and then looked through."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom import Dataset

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.job import Outcome
from dicom_ai_node.language import Language
from dicom_ai_node.laterality import Laterality
from dicom_ai_node.result import Answer, Assessment, BoxInPatient, Finding, Result
from dicom_ai_node.tracked import Tracked, TrackedMeasurement, TrackedStudy
from tests import dicom_factory
from tests.encoders import made
from tests.validators import dsrdump

FOLDER = Path(__file__).parent / "golden"
GERMAN = FOLDER / "de"
NODULE = made.Code("27925004", "SCT", "Nodule")
EFFUSION = made.Code("60046008", "SCT", "Pleural effusion")
EARLIER = TrackedStudy(
    study_date="20250301",
    model="phantom-box",
    version="1.1",
    findings=(
        Tracked(
            name="Lung volume",
            code="SCT:39607008:Lung",
            uid="2.25.1234567890",
            measurements=(
                TrackedMeasurement(name="SCT:118565006:Volume", value=11.2, unit="UCUM:mL:mL"),
            ),
        ),
    ),
)


def results(instances: list[Dataset]) -> dict[Outcome, Result]:
    """One of each outcome, with everything in it that a report can say of it."""
    segments = made.findings(instances)
    nodule = Finding(
        tracking_identifier="Nodule 1",
        code=NODULE,
        site=made.LUNG,
        laterality=Laterality.LEFT,
        probability=0.93,
        region=BoxInPatient(
            center=np.array([-20.0, -20.0, -15.0]), half_axes=np.diag([4.0, 4.0, 5.0])
        ),
    )
    absent = Assessment(code=EFFUSION, answer=Answer.ABSENT, probability=0.04)
    undecided = Assessment(code=EFFUSION, answer=Answer.UNDECIDED, probability=0.45)
    found = replace(segments, findings=(*segments.findings, nodule), assessments=(absent,))
    return {
        Outcome.FINDINGS: found,
        Outcome.NONE: Result(outcome=Outcome.NONE, assessments=(absent,)),
        Outcome.PARTLY: replace(
            segments, outcome=Outcome.PARTLY, reason="The second network gave no answer."
        ),
        Outcome.FAILED: Result.failed("Phantom box gave no output."),
        Outcome.NOT_SUITABLE: Result.not_suitable("The images are of a head, not of a chest."),
        Outcome.ABSTAINED: Result(
            outcome=Outcome.ABSTAINED,
            reason="Phantom box is not sure enough for an answer: Pleural effusion.",
            assessments=(undecided,),
        ),
    }


def reports(language: Language = Language.ENGLISH) -> dict[Outcome, Dataset]:
    instances = dicom_factory.series(name="golden", shape=(6, 20, 24))
    headers = made.without_pixels(instances)
    found = {}
    for outcome, result in results(instances).items():
        run = made.run(earlier=(EARLIER,), language=language)
        objects = encode(result, headers, run, ("seg", "sr"))
        (found[outcome],) = (each.dataset for each in objects if each.kind == "sr")
    return found


def text_of(report: Dataset, folder: Path) -> str:
    path = folder / f"{report.SOPInstanceUID}.dcm"
    report.save_as(path, enforce_file_format=True)
    return dsrdump(path)


def main() -> None:
    for goldens, language in ((FOLDER, Language.ENGLISH), (GERMAN, Language.GERMAN)):
        goldens.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            for outcome, report in reports(language).items():
                (goldens / f"{outcome}.txt").write_text(text_of(report, Path(folder)), "utf-8")


if __name__ == "__main__":
    main()
