"""A model that comes with a Python package of its own, found by its entry point.

The entry point is a callable: given the InstalledModel, and `arguments` as keywords, it returns a
`Model`.
"""

import inspect
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import PythonPackage
from dicom_ai_node.errors import ModelError
from dicom_ai_node.models.protocol import Model

GROUP = "dicom_ai_node.models"


def open_python(installed: InstalledModel, package: PythonPackage) -> Model:
    """Raises ModelError where no such entry point is installed, or gives no model."""
    point = _found(installed, package)
    try:
        make = point.load()
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"{installed.label}: {point.value} of {package.distribution} cannot be imported "
            f"({type(error).__name__}: {error}): install it with all that it needs"
        ) from error
    try:
        inspect.signature(make).bind(installed, **package.arguments)
    except TypeError as error:
        raise ModelError(
            f"{installed.label}: {point.value} does not take its arguments ({error})"
        ) from None
    model = make(installed, **package.arguments)
    if not callable(getattr(model, "predict", None)):
        raise ModelError(f"{installed.label}: {point.value} gave no model, it has no predict")
    return cast("Model", model)


def _found(installed: InstalledModel, package: PythonPackage) -> EntryPoint:
    there = entry_points(group=GROUP)
    for point in there:
        if point.name == package.entry_point and _distribution(point) == package.distribution:
            return point
    names = ", ".join(sorted(f"{point.name} of {_distribution(point)}" for point in there))
    raise ModelError(
        f"{installed.label} needs the entry point {package.entry_point} of {package.distribution} "
        f"(there: {names or 'none'}): install that package beside the node"
    )


def _distribution(point: EntryPoint) -> str | None:
    return f"{point.dist.name}=={point.dist.version}" if point.dist else None
