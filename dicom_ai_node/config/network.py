"""A network in model.yaml: what is done before it, how it is run, what its outputs mean."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dicom_ai_node.config.outputs import (
    AnyOutput,
    Saliency,
    SegmentationOutput,
    cannot_be_joined,
)
from dicom_ai_node.config.package import Package
from dicom_ai_node.config.steps import PREPROCESS, Step
from dicom_ai_node.config.strict import Strict


class Whole(Strict):
    """Everything at once."""

    kind: Literal["whole"] = "whole"


class SlidingWindow(Strict):
    """Windows of this size (voxels of the prepared input), their answers blended."""

    kind: Literal["sliding_window"]
    roi_size: Annotated[tuple[int, ...], Field(min_length=2, max_length=3)]
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.25
    batch: Annotated[int, Field(ge=1)] = 1  # windows at a time; halved when memory is short
    blend: Literal["constant", "gaussian"] = "gaussian"


class Slices(Strict):
    """A 2-D network on each slice along an axis of the prepared volume."""

    kind: Literal["slices"]
    axis: Literal[0, 1, 2] = 2
    batch: Annotated[int, Field(ge=1)] = 8


Inference = Annotated[Whole | SlidingWindow | Slices, Field(discriminator="kind")]


class NetworkPackage(Package):
    """`preprocess` are MONAI transforms in their order, applied to every input by itself; inputs
    become the network's channels, in the order of `inputs`.

    `augment`: the network is asked again with the prepared input flipped along these axes, each
    tuple once, where a map of uncertainty is asked for or an output has `abstain_above`. The answer
    is that of the input as it is; the spread of all answers is its uncertainty.
    """

    preprocess: tuple[Step, ...] = ()
    inference: Inference = Whole()
    outputs: Annotated[tuple[AnyOutput, ...], Field(min_length=1)]
    backend: Literal["auto", "torch", "openvino", "onnxruntime"] = "auto"
    augment: tuple[Annotated[tuple[Literal[0, 1, 2], ...], Field(min_length=1)], ...] = ()
    saliency: Saliency | None = None

    @property
    def maps(self) -> frozenset[str]:
        made = {"uncertainty": bool(self.augment), "saliency": self.saliency is not None}
        return frozenset(name for name, makes in made.items() if makes)

    @model_validator(mode="after")
    def _outputs_can_be_made(self) -> "NetworkPackage":
        if mistake := cannot_be_joined(self.outputs, self.inference.kind):
            raise ValueError(mistake)
        if not self.augment and any(each.abstain_above for each in self.outputs):
            raise ValueError("abstain_above needs augment: list the axes to flip")
        return self

    @model_validator(mode="after")
    def _steps_are_allowed(self) -> "NetworkPackage":
        for step in self.preprocess:
            if step.name not in PREPROCESS:
                raise ValueError(f"preprocess: {step.name} is not among {', '.join(PREPROCESS)}")
        return self

    @model_validator(mode="after")
    def _segments_have_a_source(self) -> "NetworkPackage":
        segments = any(isinstance(each, SegmentationOutput) for each in self.outputs)
        if segments and not self.segments:
            raise ValueError("an output is a segmentation: describe its segments")
        if self.segments and not segments:
            raise ValueError("segments are described, and no output is a segmentation")
        return self


class NetworkEntry(Strict):
    """A class of `monai.networks.nets` by its name, or of a file of the package."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+\.py$")] | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
