"""A model package: the folder of one model, described by its `model.yaml`."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from dicom_ai_node.config.code import ConceptCode, PlainText
from dicom_ai_node.config.gate import InputGate, Plausible
from dicom_ai_node.config.strict import InputName, ModelName, ModelVersion, Sha256, Strict
from dicom_ai_node.laterality import Laterality

# below the package's folder; no component begins with a dot, so none leads out of it
RelativePath = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+-]*(/[A-Za-z0-9_][A-Za-z0-9._+-]*)*$")
]
ResultKind = Literal["seg", "sr", "pm"]
InputKind = Literal["volume", "images"]


class Weights(Strict):
    """A file of the package; its hash may be written down here as well, to be compared."""

    file: RelativePath
    sha256: Sha256 | None = None


class SegmentEntry(Strict):
    """One segment of the mask, in the words of PS3.3 C.8.20.4."""

    number: Annotated[int, Field(ge=1, le=255)]
    label: Annotated[PlainText, Field(min_length=1, max_length=64)]
    category: ConceptCode
    type: ConceptCode
    laterality: Laterality | None = None
    color: tuple[int, int, int] = (230, 60, 60)


class Package(Strict):
    """What every kind of model says of itself."""

    name: ModelName
    version: ModelVersion
    title: Annotated[PlainText, Field(min_length=1, max_length=64)]
    intended_use: str = "Research use only; not for diagnosis."
    license: Annotated[str, Field(max_length=64)] = "not stated"
    input: InputKind = "volume"  # one stack of slices, or images each by itself
    gate: InputGate = InputGate()
    # by the names that routes give them; results lie on the grid of the first
    inputs: Annotated[tuple[InputName, ...], Field(min_length=1)] = ("image",)
    plausible: tuple[Plausible, ...] = ()
    segments: tuple[SegmentEntry, ...] = ()
    results: tuple[ResultKind, ...] = ("seg", "sr")
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["float32", "mixed"] = "float32"  # mixed: where the device gains by it
    timeout_s: Annotated[float, Field(gt=0)] = 600
    memory_mb: Annotated[int, Field(gt=0)] | None = None  # of the attempt; work.memory_mb if less
    known_answer: RelativePath | None = None  # the folder of one case and what it must give

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

    @model_validator(mode="after")
    def _limits_can_apply(self) -> "Package":
        if not {each.segment for each in self.plausible} <= {each.number for each in self.segments}:
            raise ValueError("plausible speaks of a segment that is not among segments")
        if self.input == "images":
            if any(each.between_ml for each in self.plausible):
                raise ValueError("single images have no mL: write between_percent in plausible")
            if self.gate.extent_mm or self.gate.slices:
                raise ValueError("gate: extent_mm and slices are of a volume, not of single images")
        return self

    @property
    def maps(self) -> frozenset[str]:
        """What a route may ask of it beside its answer."""
        return frozenset()

    @property
    def brings_code(self) -> bool:
        """Whether running it runs code of the package's own, which somebody must have trusted."""
        return False
