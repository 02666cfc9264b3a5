"""Every kind of model package: what runs it, and what that needs to know."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from dicom_ai_node.config.network import NetworkEntry, NetworkPackage
from dicom_ai_node.config.package import Package, RelativePath, SegmentEntry, Weights
from dicom_ai_node.config.strict import InputName

AxisCodes = Annotated[str, Field(pattern=r"^[RLAPSI]{3}$")]  # as nibabel writes them
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class BuiltInPackage(Package):
    """Code of this node, reviewed with it; `pipeline` says which."""

    kind: Literal["built_in"]
    pipeline: Literal["brain-mr", "lung-ct", "lung-cxr"]
    weights: Weights | None = None


class TorchPackage(NetworkPackage):
    """A network of MONAI or of the package's own, and its weights: safetensors, or a state dict as
    torch saves it (read without running any of it)."""

    kind: Literal["torch"]
    network: NetworkEntry
    weights: Weights

    @property
    def brings_code(self) -> bool:
        return self.network.file is not None


class TorchExportPackage(NetworkPackage):
    """A program of torch.export, whole (.pt2)."""

    kind: Literal["torch_export"]
    program: Weights


class OnnxPackage(NetworkPackage):
    """An ONNX graph with one input; weights outside it are files beside it."""

    kind: Literal["onnx"]
    graph: Weights

    @field_validator("backend")
    @classmethod
    def _runs_elsewhere(cls, backend: str) -> str:
        if backend == "torch":
            raise ValueError("torch does not run ONNX graphs: write onnxruntime, openvino or auto")
        return backend


class MonaiBundlePackage(NetworkPackage):
    """A MONAI bundle; what `preprocess`, `inference`, the network and the steps after a
    segmentation are, it says itself, unless they are written in model.yaml.

    `orientation` is how the axes of its training files lay, where the bundle does not turn images.
    """

    kind: Literal["monai_bundle"]
    bundle: RelativePath = "bundle"
    configuration: RelativePath = "configs/inference.json"
    weights: RelativePath = "models/model.pt"
    network: NetworkEntry | None = None
    orientation: AxisCodes | None = None

    @property
    def brings_code(self) -> bool:
        return self.network is not None and self.network.file is not None


class CommandPackage(Package):
    """Any program or container: it reads a folder and writes another one.

    `give`: every input as NAME.nii.gz, its axes as `orientation` says, or the DICOM files. `take`:
    what must be there afterwards. A mask is the one NIfTI file (or `mask`), or for each segment a
    file of `files`; `labels` are the program's own numbers (in a DICOM SEG, or labels) by segment.
    `outside`: it shows its input to another machine, and so is given nothing that names a patient.
    """

    kind: Literal["command"]
    command: Annotated[tuple[str, ...], Field(min_length=1)]
    environment: dict[VariableName, str] = Field(default_factory=dict)
    give: Literal["nifti", "dicom"] = "nifti"
    naming: Literal["plain", "nnunet", "mercure"] = "plain"
    settings: dict[str, Any] = Field(default_factory=dict)  # in mercure's task.json
    orientation: AxisCodes = "RAS"
    take: tuple[Literal["nifti", "dicom_seg", "json"], ...] = ("nifti",)
    mask: RelativePath | None = None
    files: dict[int, RelativePath] = Field(default_factory=dict)
    labels: dict[int, int | str] = Field(default_factory=dict)
    outside: bool = False

    @property
    def brings_code(self) -> bool:
        return True

    @field_validator("take", mode="before")
    @classmethod
    def _one_is_a_list(cls, take: Any) -> Any:
        return (take,) if isinstance(take, str) else take

    @model_validator(mode="after")
    def _fits_together(self) -> "CommandPackage":
        needed = {"nnunet": "nifti", "mercure": "dicom"}.get(self.naming, self.give)
        if self.give != needed:
            raise ValueError(f"naming: {self.naming} needs give: {needed}")
        if self.input == "images" and (self.give != "dicom" or self.take != ("json",)):
            raise ValueError("input: images needs give: dicom and take: json")
        numbers = {segment.number for segment in self.segments}
        if not (self.files.keys() | self.labels.keys()) <= numbers:
            raise ValueError("files and labels are of segments, by their numbers")
        if {"nifti", "dicom_seg"} & set(self.take) and not self.segments:
            raise ValueError("a mask is taken: describe its segments")
        return self


class PythonPackage(Package):
    """An entry point (group `dicom_ai_node.models`) of a Python package that is installed here:
    of this `distribution` alone, as NAME==VERSION, for another would give other results."""

    kind: Literal["python"]
    entry_point: Annotated[str, Field(min_length=1)]
    distribution: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9.!+_-]+$")]
    arguments: dict[str, Any] = Field(default_factory=dict)

    @property
    def maps(self) -> frozenset[str]:
        """Nobody knows: what it does not make, it leaves out."""
        return frozenset({"saliency", "uncertainty"})

    @property
    def brings_code(self) -> bool:
        return True


class ThresholdPackage(Package):
    """No network: a voxel belongs to the one segment where its value is within the range.

    With several inputs, where each one's value is within its own. For trying the road from a
    modality to the PACS without weights, and for benchmarks of it.
    """

    kind: Literal["threshold"]
    between: dict[InputName, tuple[float, float]]  # in model.yaml, of one input without its name
    segments: Annotated[tuple[SegmentEntry, ...], Field(min_length=1, max_length=1)]

    @field_validator("between", mode="before")
    @classmethod
    def _of_one_input(cls, between: Any, info: ValidationInfo) -> Any:
        """`inputs` stands before it in the model, so it is known here."""
        inputs = info.data.get("inputs", ())
        is_range = isinstance(between, (list, tuple))
        return {inputs[0]: between} if is_range and len(inputs) == 1 else between

    @model_validator(mode="after")
    def _every_input_has_a_range(self) -> "ThresholdPackage":
        if set(self.between) != set(self.inputs):
            raise ValueError(f"between has not one range for each input ({', '.join(self.inputs)})")
        return self


AnyPackage = Annotated[
    BuiltInPackage
    | TorchPackage
    | TorchExportPackage
    | OnnxPackage
    | MonaiBundlePackage
    | CommandPackage
    | PythonPackage
    | ThresholdPackage,
    Field(discriminator="kind"),
]
