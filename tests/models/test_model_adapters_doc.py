"""What docs/model-adapters.md shows can be written down as it stands."""

import json
import re
from pathlib import Path

import pytest

from dicom_ai_node.config.answer import ProgramAnswer
from dicom_ai_node.config.kinds import CommandPackage, MonaiBundlePackage, PythonPackage
from dicom_ai_node.config.network import NetworkPackage
from dicom_ai_node.config.package import Package
from dicom_ai_node.config.store import read_description

TEXT = (Path(__file__).parents[2] / "docs" / "model-adapters.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_every_model_yaml_is_one(tmp_path: Path, block: str) -> None:
    (tmp_path / "model.yaml").write_text(block)
    assert read_description(tmp_path).title


@pytest.mark.parametrize("block", blocks("json"))
def test_every_result_json_is_one(block: str) -> None:
    assert ProgramAnswer.model_validate(json.loads(block)).findings


@pytest.mark.parametrize("kind", [MonaiBundlePackage, CommandPackage, PythonPackage])
def test_every_key_of_these_kinds_is_explained(kind: type[Package]) -> None:
    known: type[Package] = NetworkPackage if issubclass(kind, NetworkPackage) else Package
    own = kind.model_fields.keys() - known.model_fields.keys() - {"kind"}
    assert [key for key in own if f"`{key}`" not in TEXT and f"\n{key}:" not in TEXT] == []
