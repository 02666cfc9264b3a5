"""docs/outputs.md shows what can be read."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from dicom_ai_node.config.outputs import AnyOutput
from tests.models.network.oblique import NODULE, package

PAGE = Path(__file__).parents[3] / "docs" / "outputs.md"
BLOCKS = [part.split("```")[0] for part in PAGE.read_text().split("```yaml\n")[1:]]
SEGMENT = {"number": 1, "label": "Nodule", "category": "SCT:49755003", "type": NODULE}


def test_the_page_has_examples() -> None:
    assert len(BLOCKS) == 6


@pytest.mark.parametrize("block", BLOCKS)
def test_every_example_is_read(block: str) -> None:
    written = YAML(typ="safe").load(block)
    if isinstance(written, list):
        TypeAdapter(tuple[AnyOutput, ...]).validate_python(written)
    else:
        outputs = written.pop("outputs", [{"task": "segmentation"}])
        package(*outputs, segments=[SEGMENT], **written)
