"""The published JSON Schema takes what the node takes; the page of keys and it are up to date."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.config.load import load
from dicom_ai_node.config.reference import Reference
from dicom_ai_node.config.schema import published
from scripts.configuration import pages

ROOT = Path(__file__).parents[2]
SMALL = "node: {ae_title: AI_NODE}\n"
SHOWS = "accept: [{ae_title: A, from: [10.0.0.5], certificate: DNS:a.example}]"


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    made = published()
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


def parse(text: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = "1.2"
    return yaml.load(text)


def wrong(schema: Draft202012Validator, text: str) -> list[str]:
    return [error.json_path for error in schema.iter_errors(parse(text))]


def examples() -> Iterator[tuple[str, str]]:
    """What the documents show of a configuration: the blocks that begin with one of its keys."""
    keys = "|".join(key.name for key in Reference().group())
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
            if re.match(rf"(#.*\n)*({keys}):", block):
                yield (
                    f"{page.name}: {block[:30]!r}",
                    re.sub("([0-9a-f]*)…", lambda m: m[1].ljust(64, "0"), block),
                )


@pytest.mark.parametrize("path", sorted(pages()), ids=lambda path: path.name)
def test_what_is_made_of_the_classes_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == pages()[path], "run python -m scripts.configuration"


def test_the_verb_prints_what_lies_in_docs() -> None:
    done = CliRunner().invoke(app, ["config", "schema"])
    assert json.loads(done.output) == json.loads((ROOT / "docs/node.schema.json").read_text())


def test_the_configuration_that_is_shipped_names_the_schema_and_suits_it(
    schema: Draft202012Validator,
) -> None:
    text = (ROOT / "config" / "node.yaml").read_text()
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named is not None
    assert (ROOT / "config" / named[1]).samefile(ROOT / "docs" / "node.schema.json")
    assert wrong(schema, text) == []


@pytest.mark.parametrize("block", [pytest.param(text, id=name) for name, text in examples()])
def test_an_example_in_the_documents_suits_the_schema(
    schema: Draft202012Validator, block: str
) -> None:
    assert wrong(schema, block) == []


def test_the_documents_have_examples() -> None:
    assert len(list(examples())) > 8


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (SMALL + "study: {quiet: 5}", "$.study"),
        (SMALL + "stdy: {}", "$"),
        ("node: {ae_title: A, port: '104'}", "$.node.port"),
        (SMALL + "log: {level: loud}", "$.log.level"),
        (SMALL + "peers: {'a peer': {kind: folder, path: x}}", "$.peers"),
        (SMALL + "peers: {x: {kind: folder, path: x, pot: 1}}", "$.peers.x"),
        (SMALL + "accept: [{ae_title: A, from: []}]", "$.accept[0].from"),
        (SMALL + "routes: [{model: m, send_to: [x], require: [{attr: Modality}]}]", "$.routes[0]"),
    ],
)
def test_an_editor_marks_what_the_node_would_refuse(
    schema: Draft202012Validator, text: str, where: str
) -> None:
    (found,) = wrong(schema, text)
    assert found.startswith(where)


@pytest.mark.parametrize(
    "text",
    [
        "node: {ae_title: [ONE, TWO]}",
        SMALL + "peers: {x: {kind: dimse, ae_title: P, host: h, port: 104, tls: {}}}",
        SMALL + "work: {devices: ['cuda:0']}",
        "node: {ae_title: A, port: null, tls: {certificate: a, key: KEY, ca: c}}\n" + SHOWS,
    ],
)
def test_an_editor_takes_what_the_node_takes(
    tmp_path: Path, schema: Draft202012Validator, text: str
) -> None:
    key = tmp_path / "node.key"
    key.write_text("-----BEGIN PRIVATE KEY-----\n")
    key.chmod(0o600)
    text = text.replace("KEY", str(key))
    (tmp_path / "a.yaml").write_text(text)
    load(tmp_path, {})
    assert wrong(schema, text) == []


@pytest.mark.parametrize("text", ["peers: {x: {kind: folder, path: x}}", "node: {port: 104}"])
def test_a_file_may_hold_a_part_alone(schema: Draft202012Validator, text: str) -> None:
    assert wrong(schema, text) == []


def test_every_key_says_what_it_is() -> None:
    """In a sentence, for an administrator: the docstring under it."""
    reference, groups, silent = Reference(), [""], list[str]()
    for group in groups:
        for key in reference.group(group):
            silent += [f"{group}.{key.name}"] if not key.description.endswith((".", '."')) else []
            groups += [each.group for each in key.below if each.group not in groups]
    assert silent == []
