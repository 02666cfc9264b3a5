"""The demo's head, as the demo gets it."""

from pathlib import Path

import nibabel as nib
import pytest

from dicom_ai_node.demo import head
from tests.demo.fetched import demo_wheel


@pytest.fixture(scope="session")
def wheel() -> Path:
    return demo_wheel()


@pytest.fixture(scope="session")
def head_image(wheel: Path) -> nib.Nifti1Image:
    return head.image_of(wheel)
