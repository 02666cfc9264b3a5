"""A model that is a program: any one, or a container, that reads one folder and writes another."""

import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import highdicom as hd

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.config.kinds import CommandPackage
from dicom_ai_node.deidentification.pseudonyms import KEY_BYTES
from dicom_ai_node.input import ModelInput, Outside
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.findings import findings_of_masks, present
from dicom_ai_node.models.layers import layers
from dicom_ai_node.models.pinned import pinned_path
from dicom_ai_node.models.program.exchange import as_given, give
from dicom_ai_node.models.program.returned_answer import read_answer
from dicom_ai_node.models.program.returned_masks import nifti_masks, seg_masks
from dicom_ai_node.models.program.run import environment, filled_in, run
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.result import Result

# ours, mercure's, those of MONAI application packages, and theirs of old
_INPUT = ("DICOM_AI_NODE_INPUT_DIR", "MERCURE_IN_DIR", "HOLOSCAN_INPUT_PATH", "MONAI_INPUTPATH")
_OUTPUT = (
    *("DICOM_AI_NODE_OUTPUT_DIR", "MERCURE_OUT_DIR", "HOLOSCAN_OUTPUT_PATH"),
    "MONAI_OUTPUTPATH",
)
_MODEL = ("DICOM_AI_NODE_MODEL_DIR", "HOLOSCAN_MODEL_PATH", "MONAI_MODELPATH")


def open_command(installed: InstalledModel, package: CommandPackage) -> Model:
    """Every file of the package is compared once: the program reads them itself."""
    for file in installed.files:
        pinned_path(installed, file)
    return Command(installed, package)


class Command:
    """Runs its program for each study anew, in folders of that study."""

    def __init__(self, installed: InstalledModel, package: CommandPackage) -> None:
        self._installed = installed
        self._package = package

    def predict(self, data: ModelInput) -> Result:
        data = self._outside(data)
        # TMPDIR, where it is set, is the attempt's own
        with tempfile.TemporaryDirectory(prefix="command-") as temporary:
            scratch = Path(temporary)
            # it starts in a folder of its own, where a relative path would lead elsewhere
            places = {"model": self._installed.folder.absolute()}
            for name in ("input", "output"):
                places[name] = scratch / name
                places[name].mkdir()
            give(data, places["input"], self._package)
            variables = environment(scratch, self._variables(places))
            command = [filled_in(word, places) for word in self._package.command]
            run(command, scratch, variables, label=self._installed.label)
            return taken(data, places["output"], self._package)

    def _outside(self, data: ModelInput) -> ModelInput:
        """Without a site's key, as `predict` has none, pseudonyms are of this run alone."""
        if data.outside is None and self._package.outside:
            data = replace(data, outside=Outside(key=secrets.token_bytes(KEY_BYTES)))
        return data

    def _variables(self, places: dict[str, Path]) -> dict[str, str]:
        named = {"input": _INPUT, "output": _OUTPUT, "model": _MODEL}
        own = {name: str(places[place]) for place, names in named.items() for name in names}
        more = self._package.environment
        return {**own, **{name: filled_in(value, places) for name, value in more.items()}}


def taken(data: ModelInput, folder: Path, package: CommandPackage) -> Result:
    """What the program left in its folder; ModelError where a part of it is not there."""
    masks: Sequence[hd.Volume] = ()
    for kind, read in (("nifti", nifti_masks), ("dicom_seg", seg_masks)):
        if kind in package.take:
            grid = data.needed_volume()
            arrays = layers(read(folder, as_given(grid, data), package).items())
            masks = [*masks, *(grid.with_array(array) for array in arrays)]
    segments = present(package, [mask.array for mask in masks])
    found = Result(
        outcome=Outcome.FINDINGS,
        masks=tuple(masks) if segments else (),
        segments=segments,
        findings=findings_of_masks(masks, package) if masks else (),
    )
    if "json" in package.take:
        found = read_answer(folder, found, package)
    if found.outcome is Outcome.FINDINGS and not found.findings:
        reason = f"{package.title} found nothing."
        return replace(found, outcome=Outcome.NONE, reason=reason)
    return found
