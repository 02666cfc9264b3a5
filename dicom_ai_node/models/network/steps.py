"""MONAI transforms from their names and arguments in model.yaml; what may be named is config's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import monai.transforms
import torch
from monai.data.meta_tensor import MetaTensor

from dicom_ai_node.config.steps import Step
from dicom_ai_node.errors import ModelError

Transform = Callable[[MetaTensor], MetaTensor]

# MONAI's write their answer over their input, which is the study's own voxels, or the raw answer
_IN_PLACE = ("NormalizeIntensity", "KeepLargestConnectedComponent", "FillHoles")
# by the package's author as words, since YAML has no types of torch
_DTYPES = {"float32": torch.float32, "uint8": torch.uint8, "int64": torch.int64}


@dataclass(frozen=True, slots=True)
class OnACopy:
    """A transform that would write its answer over its input."""

    made: Transform

    def __call__(self, values: MetaTensor) -> MetaTensor:
        return self.made(values.clone())  # type: ignore[no-untyped-call]


def transforms_of(steps: Sequence[Step]) -> list[Transform]:
    """Raises ModelError, naming the step, for arguments that MONAI does not take."""
    return [_transform(step) for step in steps]


def _transform(step: Step) -> Transform:
    arguments = step.arguments
    if step.name == "Orientation":
        arguments.setdefault("labels", None)  # MONAI's default to be; it warns of the one it has
    if isinstance(dtype := arguments.get("dtype"), str):
        if dtype not in _DTYPES:
            raise ModelError(f"{step.name}: dtype is one of {', '.join(_DTYPES)}")
        arguments["dtype"] = _DTYPES[dtype]
    if arguments.get("align_corners"):
        raise ModelError(f"{step.name}: align_corners cannot be undone exactly; leave it out")
    try:
        made: Transform = getattr(monai.transforms, step.name)(**arguments)
    except (TypeError, ValueError) as error:
        raise ModelError(f"the step {step.name} of model.yaml: {error}") from error
    return OnACopy(made) if step.name in _IN_PLACE else made


def applied(transform: Transform, values: MetaTensor) -> MetaTensor:
    """ModelError, naming the step, where it cannot be done: its arguments do not fit the input."""
    try:
        return transform(values)
    except (torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        made = transform.made if isinstance(transform, OnACopy) else transform
        name = type(made).__name__
        raise ModelError(
            f"The step {name} of model.yaml cannot be done on this input ({type(error).__name__}): "
            "compare its arguments, and what the steps before it leave."
        ) from error
