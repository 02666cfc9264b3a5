"""Models of Python packages that are installed beside the node."""

import sys
from pathlib import Path

import highdicom as hd
import pytest

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.installation.install import install_folder
from dicom_ai_node.predict import predict
from tests import dicom_factory

MODULE = '''
"""Bright voxels, in words of its own."""

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.input import ModelInput
from dicom_ai_node.models.findings import result_from_mask
from dicom_ai_node.result import Result


class Bright:
    def __init__(self, installed: InstalledModel, *, above: float) -> None:
        self.package, self.above = installed.package, above

    def predict(self, data: ModelInput) -> Result:
        volume = data.needed_volume()
        return result_from_mask(volume.with_array((volume.array > self.above).astype("u1")),
                                self.package)


def nothing(installed: InstalledModel, *, above: float) -> None:
    return None
'''
ENTRY_POINTS = """\
[dicom_ai_node.models]
bright = {module}:Bright
nothing = {module}:nothing
broken = {module}:Missing
absent = no_such_module_of_{module}:Bright
"""
MODEL_YAML = """\
kind: python
name: acme
version: 2.0.0
title: Acme bone
entry_point: bright
distribution: acme-bone==1.4
arguments: {above: 300}
segments:
  - {number: 1, label: Bone, category: "SCT:91723000:Anatomical Structure",
     type: "SCT:272673000:Bone"}
"""


@pytest.fixture(autouse=True)
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A distribution as pip leaves it; the module has a name for each test, for it stays loaded."""
    site = tmp_path / "site-packages"
    module = f"acme_{abs(hash(request.node.name))}"
    about = site / "acme_bone-1.4.dist-info"
    about.mkdir(parents=True)
    (site / f"{module}.py").write_text(MODULE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-bone\nVersion: 1.4\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS.format(module=module))
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])


def install(home: Path, old: str = "", new: str = "") -> InstalledModel:
    (home / "source").mkdir()
    (home / "source/model.yaml").write_text(MODEL_YAML.replace(old, new) if old else MODEL_YAML)
    found = install_folder(home / "source", home / "store")
    return found.model_copy(update={"trusted": True})


def test_from_install_to_seg_and_sr(tmp_path: Path) -> None:
    dicom_factory.write(dicom_factory.series(), tmp_path / "study")
    ((folder, report),) = predict(tmp_path / "study", install(tmp_path), tmp_path / "out")
    assert report.outcome is Outcome.FINDINGS
    seg = hd.seg.segread(folder / "1-seg.dcm")
    assert seg.get_segment_description(1).segment_label == "Bone"
    (group,) = hd.sr.srread(folder / "2-sr.dcm").content.get_volumetric_roi_measurement_groups()
    assert group.tracking_identifier == "Bone 1"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "entry_point: bright",
            "entry_point: lung",
            r"entry point lung .*bright of acme-bone",
        ),
        ("bone==1.4", "bone==1.5", r"bright of acme-bone==1\.5 \(there: .*acme-bone==1\.4"),
        ("entry_point: bright", "entry_point: broken", r"cannot be imported \(AttributeError"),
        ("entry_point: bright", "entry_point: absent", r"cannot be imported \(ModuleNotFoundError"),
        ("entry_point: bright", "entry_point: nothing", "gave no model"),
        ("above: 300", "below: 300", "does not take its arguments"),
    ],
    ids=["name", "version", "attribute", "module", "none", "arguments"],
)
def test_what_is_not_there_is_named(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        open_model(install(tmp_path, old, new))


def test_code_needs_trust(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="brings code of its own"):
        open_model(install(tmp_path).model_copy(update={"trusted": False}))
