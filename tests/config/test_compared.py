"""`config show`, `diff` and `example`: what is in force, and where it is from."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.config.load import load
from dicom_ai_node.config.reference import Reference
from dicom_ai_node.config.writing import flow, lines

A = """\
node:
  ae_title: AI_NODE
  port: 104
accept:
  - {ae_title: PACS, from: [10.0.0.5]}
peers:
  pacs: {kind: dimse, ae_title: "1234", host: 10.0.0.5, port: 104}
"""
B = "study: {quiet_s: 5}\naccept: [{ae_title: CT1, from: [10.0.0.6]}]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DICOM_AI_NODE__WEB__PORT", "null")
    made = tmp_path / "config"
    made.mkdir()
    (made / "a.yaml").write_text(A)
    (made / "b.yaml").write_text(B)
    return made


def said(folder: Path, *words: str) -> str:
    done = CliRunner().invoke(app, ["config", *words, "--config", str(folder)])
    assert done.exit_code == 0, done.output
    return done.output


def test_what_is_shown_is_a_configuration_and_the_same_one(folder: Path, tmp_path: Path) -> None:
    """All defaults in it; written down, it loads as what it was."""
    shown = said(folder, "show")
    again = tmp_path / "again"
    again.mkdir()
    (again / "node.yaml").write_text(shown)
    assert load(again, {}) == load(folder)
    for key in Reference().group("LimitsSettings"):
        assert f"  {key.name}: " in shown


@pytest.mark.parametrize(
    ("line", "origin"),
    [
        ("  port: 104", "a.yaml:3"),
        ("  quiet_s: 5.0", "b.yaml:1"),
        ("  incomplete_s: 600.0", "default"),
        ("  - ae_title: PACS", "a.yaml:5"),
        ("  - ae_title: CT1", "b.yaml:2"),
        ("  port: null", "environment DICOM_AI_NODE__WEB__PORT"),
        ('    ae_title: "1234"', "a.yaml:7"),
    ],
)
def test_the_origin_of_a_value_is_its_file_and_line(folder: Path, line: str, origin: str) -> None:
    shown = said(folder, "show", "--origin").replace(f"{folder}/", "")
    assert f"{line}  # {origin}\n" in shown


def test_origins_can_be_read_by_programs(folder: Path) -> None:
    found = {each["key"]: each for each in json.loads(said(folder, "show", "--origin", "--json"))}
    assert found["node.port"] == {
        "key": "node.port",
        "value": 104,
        "origin": f"{folder}/a.yaml:3",
    }
    assert found["limits.pdu_s"]["origin"] == "default"
    assert json.loads(said(folder, "show", "--json"))["node"]["port"] == 104


def test_what_differs_from_the_defaults_is_said_with_them(folder: Path) -> None:
    shown = said(folder, "diff")
    assert "  port: 104  # default: 11112\n" in shown
    assert "  quiet_s: 5.0  # default: 60.0\n" in shown
    assert "  port: null  # default: 8080\n" in shown
    assert "incomplete_s" not in shown
    assert json.loads(said(folder, "diff", "--json"))["study"] == {"quiet_s": 5.0}


def test_two_folders_are_compared_key_by_key(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "node.yaml").write_text(A.replace("port: 104\na", "port: 11112\na") + B[:20] + "\n")
    assert said(folder, "diff", str(other)).splitlines()[:2] == [
        "- node.port: 104",
        "+ node.port: 11112",
    ]
    found = json.loads(said(folder, "diff", str(other), "--json"))
    assert {"key": "accept.1.ae_title", "config": "CT1", "other": None} in found
    assert said(folder, "diff", str(folder)) == ""


def test_the_example_loads_has_every_key_and_changes_nothing(tmp_path: Path) -> None:
    text = CliRunner().invoke(app, ["config", "example"]).output
    (tmp_path / "node.yaml").write_text(text)
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "node.yaml").write_text("node: {ae_title: AI_NODE}\n")
    assert load(tmp_path, {}) == load(tmp_path / "small", {})
    reference, groups = Reference(), [""]
    for group in groups:
        for key in reference.group(group):
            assert f"{key.name}:" in text, f"{group}.{key.name}"
            groups += [each.group for each in key.below if each.group not in groups]


def test_what_is_off_in_the_example_loads_once_it_is_on(tmp_path: Path) -> None:
    """The two signs that a person takes away leave YAML behind."""
    text = CliRunner().invoke(app, ["config", "example"]).output
    block = text[text.index("#  tls:") : text.index("  # Must be true to listen")]
    taken = "\n".join(line.removeprefix("#") for line in block.splitlines())
    found = YAML(typ="safe", pure=True).load(taken)
    assert set(found["tls"]) == {"port", "certificate", "key", "ca", "crl"}


@pytest.mark.parametrize(
    "value",
    ["a", "NO", "null", "true", "1", "1.5", "a b", "", "*x", "a: b", "10.0.0.5/32", "ä", "#x", "-"],
)
def test_text_stays_text_when_it_is_written(value: str) -> None:
    yaml = YAML(typ="safe", pure=True)
    assert yaml.load(f"key: {flow(value)}") == {"key": value}
    assert yaml.load("\n".join(lines({"a": [{"b": value}], "c": {value or "x": [value]}}))) == {
        "a": [{"b": value}],
        "c": {value or "x": [value]},
    }


def test_of_a_webhook_the_host_alone_is_shown(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for home, token in ((folder, "T0KEN"), (other, "T0KEN2")):
        hook = f"alarms: {{webhooks: [{{url: 'https://a.example:8443/in/{token}?key={token}'}}]}}\n"
        (home / "c.yaml").write_text(hook)
        (home / "a.yaml").write_text(A)
        (home / "b.yaml").write_text(B)
    for words in (["show"], ["show", "--json"], ["diff"], ["diff", "--json"], ["diff", str(other)]):
        out = said(folder, *words)
        assert "https://a.example:8443/" in out
        assert "T0KEN" not in out
