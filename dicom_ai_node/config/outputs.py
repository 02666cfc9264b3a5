"""What each output of a network is: a segmentation, a classification, numbers, detections."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydicom.sr.coding import Code

from dicom_ai_node.config.code import ConceptCode, PlainText
from dicom_ai_node.config.steps import POSTPROCESS, Step
from dicom_ai_node.config.strict import Strict
from dicom_ai_node.laterality import Laterality

Probability = Annotated[float, Field(ge=0, le=1)]
Label = Annotated[PlainText, Field(min_length=1, max_length=62)]  # room for the number of a finding
Channel = Annotated[int, Field(ge=0)]
Activation = Literal["sigmoid", "softmax", "none"]


class Output(Strict):
    """`output` is its place among those of the network: an index, or a key.

    Above a spread of `abstain_above` (standard deviation over `augment` of the package: of the
    probability, or of a quantity in its unit) there is no answer.
    """

    output: int | str = 0
    abstain_above: Annotated[float, Field(gt=0)] | None = None


class SegmentationOutput(Output):
    """A label map after `postprocess` (one channel, the segments' numbers in it), or a channel for
    each of the package's segments, in their order, where these may overlap.

    Without a step `Restore` the answer is brought onto the source's grid at the end.
    """

    task: Literal["segmentation"]
    overlapping: bool = False
    postprocess: tuple[Step, ...] = ()

    @model_validator(mode="after")
    def _steps_are_allowed(self) -> "SegmentationOutput":
        for step in self.postprocess:
            if step.name not in POSTPROCESS:
                raise ValueError(f"postprocess: {step.name} is not among {', '.join(POSTPROCESS)}")
        return self


class NumbersOutput(Output):
    """One number per channel, without a place.

    With `input: images` each image has its own answer, or `combine` makes one for all of them: the
    largest or the mean of their probabilities or quantities. The slices of a volume need it.
    """

    combine: Literal["max", "mean"] | None = None


class ClassEntry(Strict):
    """One class, and when it counts as found: at `threshold` or above; from `undecided`'s low end
    to below its high end the model gives no answer."""

    channel: Channel
    label: Label
    finding: ConceptCode
    site: ConceptCode | None = None
    laterality: Laterality | None = None  # of the site; else what the images say of themselves
    threshold: Probability = 0.5
    undecided: tuple[Probability, Probability] | None = None

    @model_validator(mode="after")
    def _undecided_is_around_the_threshold(self) -> "ClassEntry":
        if self.undecided and not self.undecided[0] <= self.threshold <= self.undecided[1]:
            raise ValueError("undecided is (low, high), and the threshold lies between them")
        return self

    @model_validator(mode="after")
    def _laterality_is_of_a_site(self) -> "ClassEntry":
        _check_laterality(self.site, self.laterality)
        return self


def _check_laterality(site: Code | None, laterality: Laterality | None) -> None:
    if laterality and site is None:
        raise ValueError("laterality is that of a site: write site too")


Classes = Annotated[tuple[ClassEntry, ...], Field(min_length=1)]


class ClassificationOutput(NumbersOutput):
    """`calibration` (slope, intercept) is applied to the logits, before `activation`."""

    task: Literal["classification"]
    activation: Activation = "sigmoid"
    calibration: tuple[float, float] = (1.0, 0.0)
    classes: Classes

    @model_validator(mode="after")
    def _channels_are_unique(self) -> "ClassificationOutput":
        _unique(self.classes)
        return self


class QuantityEntry(Strict):
    """A number: slope × channel + intercept, in `unit` (UCUM); outside `between` it is not
    believed, and neither is what else the network says of that input."""

    channel: Channel = 0
    label: Label
    finding: ConceptCode
    site: ConceptCode | None = None
    laterality: Laterality | None = None
    name: ConceptCode
    unit: ConceptCode
    slope: float = 1.0
    intercept: float = 0.0
    between: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _low_is_low(self) -> "QuantityEntry":
        if self.between and not self.between[0] <= self.between[1]:
            raise ValueError("between is (low, high)")
        return self

    @model_validator(mode="after")
    def _laterality_is_of_a_site(self) -> "QuantityEntry":
        _check_laterality(self.site, self.laterality)
        return self


class RegressionOutput(NumbersOutput):
    task: Literal["regression"]
    quantities: Annotated[tuple[QuantityEntry, ...], Field(min_length=1)]


class DetectionOutput(Output):
    """`boxes`: the network gives boxes (n × 2d: the low corner, then the high one, in the order of
    the axes of the prepared input), scores and labels, by these keys or indices. `heatmap`: a
    channel of probability for each class, at `output`; a finding is a local maximum, with the box
    of what is connected to it at half its height or more, or as a point.

    `origin` says what 0 is in boxes: the centre of the first voxel (as in MONAI's affines), or its
    outer edge (where a box around all is 0 to the size). `channel` of a class is its label.
    Boxes that overlap more than `nms_iou` with a better one of their class are dropped; `at_most`
    are reported of one volume or image.
    """

    task: Literal["detection"]
    form: Literal["boxes", "heatmap"] = "boxes"
    boxes: int | str = "boxes"
    scores: int | str = "scores"
    labels: int | str = "labels"
    origin: Literal["center", "edge"] = "center"
    region: Literal["box", "point"] = "box"
    activation: Activation = "none"
    classes: Classes
    nms_iou: Probability = 0.1
    at_most: Annotated[int, Field(ge=1)] = 50

    @model_validator(mode="after")
    def _can_be_read(self) -> "DetectionOutput":
        _unique(self.classes)
        if self.form == "boxes" and self.activation == "softmax":
            raise ValueError("scores of boxes have one channel: activation is sigmoid or none")
        return self


AnyOutput = Annotated[
    SegmentationOutput | ClassificationOutput | RegressionOutput | DetectionOutput,
    Field(discriminator="task"),
]


class Saliency(Strict):
    """How a map of what an answer was drawn from is made, where one is asked for: Grad-CAM at
    `layer` (its dotted name in a network of torch), or without one by covering blocks of the input
    (`blocks` along each axis, half overlapping: about (2·blocks)³ runs of the network)."""

    layer: Annotated[str, Field(min_length=1)] | None = None
    blocks: Annotated[int, Field(ge=2, le=16)] = 4


def cannot_be_joined(outputs: Sequence[Output], inference: str) -> str | None:
    """Why an answer cannot be put together from what the network sees at a time, or None."""
    for output in outputs:
        if isinstance(output, NumbersOutput) and inference == "sliding_window":
            return "classification and regression want the input at once: inference: {kind: whole}"
        if isinstance(output, NumbersOutput) and inference == "slices" and not output.combine:
            return "classification and regression of slices need combine: max or mean"
        if isinstance(output, DetectionOutput) and output.form == "boxes" and inference != "whole":
            return "boxes want the input at once: inference: {kind: whole}, or a heatmap"
    return None


def _unique(classes: Sequence[ClassEntry]) -> None:
    if len({each.channel for each in classes}) != len(classes):
        raise ValueError("two classes have the same channel")
