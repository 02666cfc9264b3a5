"""The case that a package brings, through the very adapter that studies go through."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dicom_ai_node.config.expected import Expected
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.store import parse_expected
from dicom_ai_node.errors import InputError, ModelError
from dicom_ai_node.folder import series_of
from dicom_ai_node.input import ModelInput
from dicom_ai_node.loading.fuse import load_inputs
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.answering.case import CASE, MASK, case_of, read_arrays
from dicom_ai_node.models.answering.comparison import Compared, Labels, compare
from dicom_ai_node.models.apart import apart
from dicom_ai_node.models.pinned import pinned_path, read_pinned
from dicom_ai_node.result import Result
from dicom_ai_node.study import Instance

DICOM = "case"  # a folder of files; of several inputs, a folder for each by its name
EXPECTED = ("expected.json", "expected.yaml")


def check_answer(installed: InstalledModel) -> list[Compared]:
    """In a process of its own, for this is the first time that the model runs here.

    Raises ModelError where the case cannot be read, or the model gives no answer to it.
    """
    try:
        return apart(compare_answer, installed, timeout_s=installed.package.timeout_s + 60)
    except ModelError as error:
        raise ModelError(f"{installed.label}, asked about its known case: {error}") from None


def require_answer(installed: InstalledModel) -> None:
    """Raises ModelError, naming each difference."""
    wrong = [line for line in check_answer(installed) if not line.agrees]
    if wrong:
        differences = "; ".join(f"{w.what}: {w.found}, and {w.expected} was due" for w in wrong)
        raise ModelError(f"{installed.label} does not give its known answer: {differences}")


def require_opening(installed: InstalledModel) -> None:
    """Of a package without a known answer, what can be known: that its parts fit together."""
    try:
        apart(_opens, installed, timeout_s=installed.package.timeout_s + 60)
    except ModelError as error:
        raise ModelError(f"{installed.label} cannot be opened: {error}") from None


def _opens(installed: InstalledModel) -> bool:
    open_model(installed)
    return True


def compare_answer(installed: InstalledModel) -> list[Compared]:
    """The same, in this process."""
    expected, mask = expected_of(installed)
    return compare(answer(installed), expected, mask)


def answer(installed: InstalledModel) -> Result:
    try:
        return open_model(installed).predict(case(installed))
    except InputError as error:
        return Result.not_suitable(str(error))


def case(installed: InstalledModel) -> ModelInput:
    """Raises ModelError where the package has none."""
    package = installed.package
    npz = f"{package.known_answer}/{CASE}"
    if package.known_answer is not None and npz in installed.files:
        return case_of(read_arrays(read_pinned(installed, npz), npz), package)
    dicom = f"{package.known_answer}/{DICOM}"
    names = [name for name in installed.files if name.startswith(f"{dicom}/")]
    if package.known_answer is None or not names:
        raise ModelError(f"{installed.label} brings no known case: see `models record`")
    for name in names:
        pinned_path(installed, name)
    return load_case(installed.folder / dicom, installed)


def load_case(folder: Path, installed: InstalledModel) -> ModelInput:
    """DICOM files: one series; of several inputs, a folder of the input's name for each."""
    inputs = installed.package.inputs
    folders = {inputs[0]: folder} if len(inputs) == 1 else {n: folder / n for n in inputs}
    there = {name: _instances(each) for name, each in folders.items() if each.is_dir()}
    if inputs[0] not in there:
        raise InputError(f"there is no folder {inputs[0]} with the images of the first input")
    return replace(load_inputs(there, {}, kind=installed.package.input), instances=there)


def expected_of(installed: InstalledModel) -> tuple[Expected, Labels | None]:
    folder = installed.package.known_answer
    file = next((f for each in EXPECTED if (f := f"{folder}/{each}") in installed.files), None)
    if file is None:
        raise ModelError(f"{folder} has no {' or '.join(EXPECTED)}: see `models record`")
    expected = parse_expected(read_pinned(installed, file), installed.folder / file)
    mask = f"{folder}/{MASK}"
    if mask not in installed.files:
        return expected, None
    labels = read_arrays(read_pinned(installed, mask), mask).get("mask")
    if labels is None:
        raise ModelError(f"{mask} has no array called mask")
    if labels.ndim == 2:  # of one image
        labels = labels[None]
    return expected, labels[None] if labels.ndim == 3 else labels


def _instances(folder: Path) -> Sequence[Instance]:
    found = series_of(folder)
    if len(found) != 1:
        raise InputError(f"{folder.name} holds {len(found)} series of images, and one was due")
    return found[0].instances
