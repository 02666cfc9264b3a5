"""The forms in which a peer is sent results."""

import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from dicom_ai_node.config.load import load
from dicom_ai_node.config.peers import AnyPeer
from dicom_ai_node.config.result_forms import ResultForms
from dicom_ai_node.config.settings import Config
from dicom_ai_node.errors import ConfigError
from dicom_ai_node.form import DEFAULT, MARKS
from tests.made import configuration

PAGE = Path(__file__).parents[2] / "docs" / "results.md"
ON_MASK = {"image": {}, "mask": {"result_of": "bright"}}


def labels(results: ResultForms) -> list[str]:
    return [form.label for form in results.ladder]


def test_a_peer_of_which_nothing_is_said_has_the_usual_form() -> None:
    assert ResultForms().ladder == (DEFAULT,)


def test_all_reports_are_tried_before_another_segmentation_is() -> None:
    results = ResultForms(
        segmentation=("labelmap", "binary"), report=("comprehensive_3d", "comprehensive"), also=()
    )
    assert labels(results) == [
        "labelmap+comprehensive_3d",
        "labelmap+comprehensive",
        "binary+comprehensive_3d",
        "binary+comprehensive",
    ]


@pytest.mark.result_rule(11)
@pytest.mark.parametrize("limit", ["max_segments", "max_frames", "max_mb"])
def test_where_there_is_a_limit_the_report_alone_is_the_last_form(limit: str) -> None:
    assert labels(ResultForms(also=(), **{limit: 1})) == [
        "binary+comprehensive_3d",
        "none+comprehensive_3d",
    ]


def test_the_examples_in_the_documentation_are_peers() -> None:
    (example,) = re.findall(r"```yaml\n(peers:.*?)```", PAGE.read_text(), re.DOTALL)
    peers = YAML(typ="safe").load(example)["peers"]
    assert len(peers) == 6
    for peer in peers.values():
        assert TypeAdapter(AnyPeer).validate_python(peer).results.ladder


def two_routes(home: Path, segmentation: str) -> Config:
    results = {"segmentation": [segmentation]}
    return configuration(
        home,
        peers={"archive": {"kind": "folder", "path": home / "results", "results": results}},
        routes=[
            {"model": "bright", "send_to": ["archive"]},
            {"model": "within", "send_to": ["archive"], "inputs": ON_MASK},
        ],
    )


@pytest.mark.parametrize(
    ("model", "segmentation", "more"),
    [
        ("bright", "none", (MARKS,)),
        ("bright", "labelmap", (MARKS,)),
        ("bright", "binary", ()),
        ("within", "none", ()),
    ],
)
def test_a_model_that_another_one_builds_on_makes_binary_marks(
    tmp_path: Path, model: str, segmentation: str, more: tuple[object, ...]
) -> None:
    config = two_routes(tmp_path, segmentation)
    ladder = config.peers["archive"].results.ladder
    assert config.forms_of(["archive"], model=model) == (*ladder, *more)


def test_a_peer_that_is_configured_no_longer_needs_the_usual_form(tmp_path: Path) -> None:
    config = two_routes(tmp_path, "none")
    assert config.forms_of(["gone"]) == (DEFAULT,)
    assert config.forms_of(["gone", "archive"]) == config.peers["archive"].results.ladder


@pytest.mark.parametrize("key", ["segmentation", "report", "also"])
def test_a_single_word_in_the_place_of_a_list_is_told_in_words(tmp_path: Path, key: str) -> None:
    results = f"{{{key}: none}}"
    (tmp_path / "node.yaml").write_text(
        f"node:\n  ae_title: NODE\npeers:\n  f: {{kind: folder, path: x, results: {results}}}\n"
    )
    with pytest.raises(ConfigError, match=f"{key}: write a list, in brackets"):
        load(tmp_path)
