"""The folder that a model's program reads: the input as NIfTI, or as the DICOM files that came."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from dicom_ai_node.config.kinds import CommandPackage
from dicom_ai_node.errors import InputError
from dicom_ai_node.input import ModelInput
from dicom_ai_node.study import Instance
from dicom_ai_node.uids import is_uid

_CASE = "image"  # as nnU-Net calls a case: image_0000.nii.gz is its first channel
_TO_DICOM = {"S": "H", "I": "F"}  # nibabel's letters and PS3.3's; the others are equal


def give(data: ModelInput, folder: Path, package: CommandPackage) -> None:
    """Write every input there is; `folder` is empty."""
    if package.give == "dicom":
        _give_dicom(data, folder, package)
    else:
        _give_nifti(data, folder, package)


def _give_nifti(data: ModelInput, folder: Path, package: CommandPackage) -> None:
    """Of an optional input that is not there, nnU-Net gets zeros: its channels are numbered."""
    grid = data.needed_volume()
    for number, name in enumerate(package.inputs):
        volume = grid if number == 0 else data.others.get(name)
        numbered = package.naming == "nnunet"
        if volume is None and numbered:
            volume = grid.with_array(np.zeros(grid.spatial_shape, np.float32))
        if volume is not None:
            stem = f"{_CASE}_{number:04}" if numbered else name
            _write(volume, package.orientation, folder / f"{stem}.nii.gz")


def _write(volume: hd.Volume, orientation: str, path: Path) -> None:
    letters = "".join(_TO_DICOM.get(letter, letter) for letter in orientation)
    turned = volume.to_patient_orientation(letters)
    image = turned.with_array(_compact(turned.array)).to_nibabel()
    image.set_qform(image.affine, code="scanner")
    image.set_sform(image.affine, code="scanner")
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def _compact(array: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers, as HU are, in half the bytes."""
    low, high = np.iinfo(np.int16).min, np.iinfo(np.int16).max
    if low <= array.min() and array.max() <= high and not np.mod(array, 1).any():
        return array.astype(np.int16)
    return array


def _give_dicom(data: ModelInput, folder: Path, package: CommandPackage) -> None:
    """Copies: the program must not have the files of the spool. Several inputs have a folder each,
    unless mercure's names tell their series apart."""
    if not data.instances:
        raise InputError("The DICOM files of these images are not at hand for the model's program.")
    apart = len(data.instances) > 1 and package.naming != "mercure"
    for name, instances in data.instances.items():
        target = folder / name if apart else folder
        target.mkdir(exist_ok=True)
        for file, instance in _named(instances, package).items():
            shutil.copyfile(instance.path, target / file)
    if package.naming == "mercure":
        task = {"process": {"settings": package.settings}}
        (folder / "task.json").write_text(json.dumps(task))


def _named(instances: Sequence[Instance], package: CommandPackage) -> Mapping[str, Instance]:
    """mercure's modules find the series of a file in its name, before the #."""
    if package.naming != "mercure":
        return {f"{number:06}.dcm": each for number, each in enumerate(instances, start=1)}
    for each in instances:  # names from the wire become names of files here
        if not (is_uid(each.series_instance_uid) and is_uid(each.sop_instance_uid)):
            raise InputError("These images have UIDs that are none: their files cannot be named.")
    return {f"{each.series_instance_uid}#{each.sop_instance_uid}.dcm": each for each in instances}
