"""A model package: the folder of one model, described by its `model.yaml`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from dicom_ai_node.config.code import ConceptCode
from dicom_ai_node.config.strict import InputName, ModelName, Strict

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ResultKind = Literal["seg", "sr"]


class Weights(Strict):
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    sha256: Sha256


class SegmentEntry(Strict):
    """One segment of the mask, in the words of PS3.3 C.8.20.4."""

    number: Annotated[int, Field(ge=1, le=255)]
    label: Annotated[str, Field(min_length=1, max_length=64)]
    category: ConceptCode
    type: ConceptCode
    color: tuple[int, int, int] = (230, 60, 60)


class InputGate(Strict):
    """What the model was made for; anything else is `not_suitable` before inference.

    An absent BodyPartExamined passes: many scanners leave it out. Images that were ever compressed
    with loss pass only where the model is known to bear it.
    """

    modality: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    accept_lossy: bool = False


class VolumeRange(Strict):
    """A segment whose volume (mL) lies outside is not believed: the answer is `not_suitable`."""

    segment: int
    between_ml: tuple[float, float]


class Package(Strict):
    """What every kind of model says of itself."""

    name: ModelName
    version: Annotated[str, Field(min_length=1, max_length=32)]
    title: Annotated[str, Field(min_length=1, max_length=64)]
    intended_use: str = "Research use only; not for diagnosis."
    gate: InputGate = InputGate()
    # by the names that routes give them; results lie on the grid of the first
    inputs: Annotated[tuple[InputName, ...], Field(min_length=1)] = ("image",)
    plausible: tuple[VolumeRange, ...] = ()
    segments: tuple[SegmentEntry, ...]
    results: tuple[ResultKind, ...] = ("seg", "sr")
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    timeout_s: Annotated[float, Field(gt=0)] = 600

    @field_validator("segments")
    @classmethod
    def _numbers_are_unique(cls, segments: tuple[SegmentEntry, ...]) -> tuple[SegmentEntry, ...]:
        numbers = [segment.number for segment in segments]
        if len(set(numbers)) != len(numbers):
            raise ValueError("two segments have the same number")
        return segments

    @field_validator("inputs")
    @classmethod
    def _inputs_are_unique(cls, inputs: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(inputs)) != len(inputs):
            raise ValueError("two inputs have the same name")
        return inputs


class TorchPackage(Package):
    """A network with weights in safetensors; `pipeline` names the reviewed code around it."""

    kind: Literal["torch"]
    pipeline: Literal["brain-mr"]
    weights: Weights


class ThresholdPackage(Package):
    """No network: a voxel belongs to the one segment where its value is within the range.

    With several inputs, where each one's value is within its own. For trying the road from a
    modality to the PACS without weights, and for benchmarks of it.
    """

    kind: Literal["threshold"]
    between: tuple[float, float] | dict[InputName, tuple[float, float]]
    segments: Annotated[tuple[SegmentEntry, ...], Field(min_length=1, max_length=1)]

    @model_validator(mode="after")
    def _every_input_has_a_range(self) -> "ThresholdPackage":
        if set(self.ranges) != set(self.inputs):
            raise ValueError(f"between has not one range for each input ({', '.join(self.inputs)})")
        return self

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        return self.between if isinstance(self.between, dict) else {self.inputs[0]: self.between}


AnyPackage = Annotated[TorchPackage | ThresholdPackage, Field(discriminator="kind")]


class InstalledModel(Strict):
    """A package in the model store, with the hash that stands for all that changes its results."""

    folder: Path
    package: AnyPackage
    sha256: Sha256

    @property
    def weights_path(self) -> Path | None:
        if isinstance(self.package, TorchPackage):
            return self.folder / self.package.weights.file
        return None


def package_sha256(model_yaml: bytes) -> str:
    """The weights' hash is written in model.yaml, so this one hash covers both."""
    return hashlib.sha256(model_yaml).hexdigest()
