"""What a run came to, as codes (CID 6047) and in words: no report is without it."""

from dataclasses import dataclass

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node.job import Outcome

SUMMARY = codes.DCM.CADProcessingAndFindingsSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """`headline` is what a reader is to see first.

    `why` is a further (name, value) pair for outcomes that the summary code does not tell apart.
    """

    short: str  # for the series description
    headline: str
    code: Code
    sentence: str  # where the model gives no reason
    why: tuple[Code, Code] | None = None


STATUS = {
    Outcome.FINDINGS: Status(
        short="RESULT",
        headline="AI RESULT: findings, see the measurements",
        code=codes.DCM.AllAlgorithmsSucceededWithFindings,
        sentence="The analysis was completed.",
    ),
    Outcome.NONE: Status(
        short="NO FINDING",
        headline="AI RESULT: NO FINDING",
        code=codes.DCM.AllAlgorithmsSucceededWithoutFindings,
        sentence="The images were analysed and nothing was found.",
    ),
    Outcome.PARTLY: Status(
        short="INCOMPLETE",
        headline="AI RESULT: INCOMPLETE, a part of the analysis failed",
        code=codes.DCM.NotAllAlgorithmsSucceededWithFindings,
        sentence="A part of the analysis failed.",
    ),
    Outcome.FAILED: Status(
        short="FAILED",
        headline="AI FAILED: the images were NOT ANALYSED, because of a technical fault",
        code=codes.DCM.NoAlgorithmsSucceededWithoutFindings,
        sentence="The analysis failed.",
    ),
    Outcome.NOT_SUITABLE: Status(
        short="NOT SUITABLE",
        headline="AI NOT SUITABLE: the images were NOT ANALYSED, the model was not made for them",
        code=codes.DCM.NoAlgorithmsSucceededWithoutFindings,
        sentence="The images are not what this model was made for.",
        why=(codes.DCM.QualityFinding, codes.DCM.InsufficientQualityForInterpretation),
    ),
    # No code of CID 6047 is for abstention. "Without findings" after success would read as a
    # negative study, so it is counted as no success, and the conclusion says whose turn it is.
    Outcome.ABSTAINED: Status(
        short="NO ANSWER",
        headline="AI NO ANSWER: the model looked and did not decide",
        code=codes.DCM.NoAlgorithmsSucceededWithoutFindings,
        sentence="The model is not sure enough to give an answer.",
        why=(codes.DCM.Conclusion, codes.DCM.InterpretationRequiresSpecialistExpertise),
    ),
}


def evaluations(outcome: Outcome, *, has_findings: bool) -> list[tuple[Code, Code]]:
    """(name, value) of the status; `has_findings` decides between the two codes for PARTLY."""
    status = STATUS[outcome]
    code = status.code
    if outcome is Outcome.PARTLY and not has_findings:
        code = codes.DCM.NotAllAlgorithmsSucceededWithoutFindings
    found = [(SUMMARY, code)]
    if status.why:
        found.append(status.why)
    return found
