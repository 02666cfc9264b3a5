"""docs/peers.md: its examples are loaded, and what it says of answers is so."""

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from dicom_ai_node.config.load import load
from dicom_ai_node.config.peers import AnyPeer
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.peers.tls import why_no_tls

PAGE = (Path(__file__).parents[2] / "docs" / "peers.md").read_text()
EXAMPLES = [
    YAML(typ="safe", pure=True).load(text)
    for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
]


def loaded(home: Path, peers: dict[str, object]) -> dict[str, AnyPeer]:
    (home / "node.yaml").write_text(json.dumps({"node": {"ae_title": "AI_NODE"}, "peers": peers}))
    return load(home, environ={}).peers


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: "+".join(each["peers"]))
def test_every_example_is_a_configuration(
    tmp_path: Path, example: dict[str, dict[str, object]]
) -> None:
    for name, settings in loaded(tmp_path, example["peers"]).items():
        assert example["peers"][name]["kind"] == settings.kind


def test_every_kind_has_an_example() -> None:
    kinds = {entry["kind"] for example in EXAMPLES for entry in example["peers"].values()}
    assert kinds == {"dimse", "dicomweb", "folder"}


def test_every_sentence_of_the_page_is_one_of_ours() -> None:
    rows = re.findall(r"^\| (\w.+?) \| .+ \|$", PAGE.partition("## A DICOMweb")[0], re.MULTILINE)
    source = Path(why_no_tls.__code__.co_filename).read_text().replace("{where}", "tls.ca")
    said = [row for row in rows if row != "sentence"]
    assert len(said) == 6
    assert [row for row in said if row not in source] == []


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            {"kind": "dicomweb", "url": "http://pacs/"},
            r"node\.yaml:\d+: peers\.web: results would cross the network unprotected",
        ),
        (
            {"kind": "dicomweb", "url": "https://pacs/", "tls": {"key": "node.key"}},
            r"node\.yaml:\d+: peers\.web\.tls: certificate and key belong together",
        ),
        (
            {"kind": "dicomweb", "url": "https://pacs/?q"},
            r"node\.yaml:\d+: peers\.web\.url: leave out what follows",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, entry: dict[str, object], expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        loaded(tmp_path, {"web": entry})
