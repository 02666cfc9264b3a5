"""The folder that a model's program reads: the input as NIfTI, or as the DICOM files that came."""

import json
import shutil
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
from numpy.typing import NDArray

from dicom_ai_node.config.kinds import CommandPackage
from dicom_ai_node.deidentification.burned_in import require_clean
from dicom_ai_node.deidentification.profile import deidentified
from dicom_ai_node.deidentification.pseudonyms import Pseudonyms
from dicom_ai_node.errors import InputError
from dicom_ai_node.header import DAMAGED
from dicom_ai_node.input import ModelInput, Outside
from dicom_ai_node.study import Instance
from dicom_ai_node.uids import is_uid

_CASE = "image"  # as nnU-Net calls a case: image_0000.nii.gz is its first channel
_TO_DICOM = {"S": "H", "I": "F"}  # nibabel's letters and PS3.3's; the others are equal


def give(data: ModelInput, folder: Path, package: CommandPackage) -> None:
    """Write every input there is; `folder` is empty.

    Where the model runs outside: InputError for images whose pixels may name somebody.
    """
    if data.outside is not None:
        for header in (*data.headers, *data.evidence):
            require_clean(header)
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
        for number, instance in enumerate(instances, start=1):
            _give_file(instance, number, target, data.outside, package)
    if package.naming == "mercure":
        task = {"process": {"settings": package.settings}}
        (folder / "task.json").write_text(json.dumps(task))


def as_given(grid: hd.Volume, data: ModelInput) -> hd.Volume:
    """The grid as a program knows it, in whose frame of reference its DICOM answer lies."""
    uid = grid.frame_of_reference_uid
    if data.outside is None or uid is None:
        return grid
    names = Pseudonyms(data.outside.key)
    return hd.Volume(
        grid.array, grid.affine, grid.coordinate_system, frame_of_reference_uid=names.uid(uid)
    )


def _give_file(
    instance: Instance,
    number: int,
    folder: Path,
    outside: Outside | None,
    package: CommandPackage,
) -> None:
    series, sop = instance.series_instance_uid, instance.sop_instance_uid
    if outside is None:
        shutil.copyfile(instance.path, folder / _name(series, sop, number, package))
        return
    names = Pseudonyms(outside.key)
    try:
        ds = pydicom.dcmread(instance.path)
    except DAMAGED:
        raise InputError("The DICOM files of these images are damaged.") from None
    name = _name(names.uid(series), names.uid(sop), number, package)
    deidentified(ds, names, keep=outside.keep).save_as(folder / name, enforce_file_format=True)


def _name(series: str, sop: str, number: int, package: CommandPackage) -> str:
    """mercure's modules find the series of a file in its name, before the #."""
    if package.naming != "mercure":
        return f"{number:06}.dcm"
    if not (is_uid(series) and is_uid(sop)):  # names from the wire become names of files here
        raise InputError("These images have UIDs that are none: their files cannot be named.")
    return f"{series}#{sop}.dcm"
