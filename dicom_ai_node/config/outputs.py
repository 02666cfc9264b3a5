"""What each output of a network is: a segmentation, a classification, numbers, detections."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dicom_ai_node.config.code import ConceptCode
from dicom_ai_node.config.steps import POSTPROCESS, Step
from dicom_ai_node.config.strict import Strict

Probability = Annotated[float, Field(ge=0, le=1)]
Label = Annotated[str, Field(min_length=1, max_length=64)]


class Output(Strict):
    """`output` is its place among those of the network: an index, or a key."""

    output: int | str = 0
    postprocess: tuple[Step, ...] = ()

    @model_validator(mode="after")
    def _steps_are_allowed(self) -> "Output":
        for step in self.postprocess:
            if step.name not in POSTPROCESS:
                raise ValueError(f"postprocess: {step.name} is not among {', '.join(POSTPROCESS)}")
        return self


class SegmentationOutput(Output):
    """A label map after `postprocess` (one channel, the segments' numbers in it), or a channel for
    each of the package's segments, in their order, where these may overlap.

    Without a step `Restore` the answer is brought onto the source's grid at the end.
    """

    task: Literal["segmentation"]
    overlapping: bool = False


class ClassEntry(Strict):
    """One class, and when it counts as found: at `threshold` or above; `undecided` (low, high) is
    the range in which the model gives no answer."""

    channel: Annotated[int, Field(ge=0)]
    label: Label
    finding: ConceptCode
    site: ConceptCode | None = None
    threshold: Probability = 0.5
    undecided: tuple[Probability, Probability] | None = None


class ClassificationOutput(Output):
    """One number per channel. `calibration` (slope, intercept) is applied to the logits, before
    `activation`."""

    task: Literal["classification"]
    activation: Literal["sigmoid", "softmax", "none"] = "sigmoid"
    calibration: tuple[float, float] = (1.0, 0.0)
    classes: Annotated[tuple[ClassEntry, ...], Field(min_length=1)]


class QuantityEntry(Strict):
    """A number: slope × channel + intercept, in `unit` (UCUM); outside `between` it is not
    believed."""

    channel: Annotated[int, Field(ge=0)] = 0
    label: Label
    finding: ConceptCode
    name: ConceptCode
    unit: ConceptCode
    slope: float = 1.0
    intercept: float = 0.0
    between: tuple[float, float] | None = None


class RegressionOutput(Output):
    task: Literal["regression"]
    quantities: Annotated[tuple[QuantityEntry, ...], Field(min_length=1)]


class DetectionOutput(Output):
    """`boxes`: the network gives boxes (n × 2d: the low corner, then the high one, in voxels of the
    prepared input), scores and labels, by these keys or indices. `heatmap`: a channel of
    probability for each class, whose local maxima are the findings.

    `channel` of a class is its label. Boxes that overlap more than `nms_iou` with a better one of
    their class are dropped; `at_most` are reported.
    """

    task: Literal["detection"]
    form: Literal["boxes", "heatmap"] = "boxes"
    boxes: int | str = "boxes"
    scores: int | str = "scores"
    labels: int | str = "labels"
    classes: Annotated[tuple[ClassEntry, ...], Field(min_length=1)]
    nms_iou: Probability = 0.1
    at_most: Annotated[int, Field(ge=1)] = 50


AnyOutput = Annotated[
    SegmentationOutput | ClassificationOutput | RegressionOutput | DetectionOutput,
    Field(discriminator="task"),
]
