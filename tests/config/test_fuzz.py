"""Whatever stands in a file or a variable, `load()` says what is wrong with it and nothing else."""

import random
import re
from pathlib import Path

import pytest

from dicom_ai_node.config.load import load
from dicom_ai_node.errors import ConfigError

WHOLE = """\
node: &node {ae_title: AI_NODE, port: 104, models: MODELS}
accept:
  - {ae_title: PACS, from: [10.0.0.5/32]}
peers:
  pacs: {kind: dimse, ae_title: PACS, host: 127.0.0.1, port: 104}
  archive: &x {kind: folder, path: ./results}
routes:
  - model: lungs
    send_to: [pacs]
    require:
      - {attr: Modality, op: eq, value: CT}
      - any: [{attr: KVP, op: ge, value: 1}]
    prefer: [{when: {attr: $spacing, op: between, value: [0, 2]}, weight: 1}]
study: {quiet_s: 2.5}
alarms: {webhooks: [{url: "https://a.example/"}], studies_come: {between: ["07:00", "19:00"]}}
"""
ODD = (
    *("!!bool maybe", "!!set x", "!!set {a, b}", "!!omap [a: 1]", "{<<: *node}", "[<<: *x]", "= "),
    "!!python/object/apply:os.system [ls]",
    *("!!binary x", "!!timestamp x", "!!float x", "!x {a: 1}", "!!null x", "!", "!!str", "!!map x"),
    *("{<<: *x}", "<<: *node", "*x", "&x", "? [a]", "? {a: 1}", "{[[a]]: 1}", "{{a: {b: c}}: 1}"),
    *("~", "-", "- ", "[", "]", "{", "}", "'", '"', "|", ">", "%", "@", "#", "---", "\t", "\x00"),
    *("2024-13-45", "1e999", "0x", "9" * 5000, ".inf", ".nan", "-1", "''", "\ud7ff", "null", "{}"),
)


_VALUES = [found.end() for found in re.finditer(": |- ", WHOLE)]


def changed(chance: random.Random) -> str:
    """A few places of the whole, replaced."""
    text = WHOLE
    for _ in range(chance.randint(1, 3)):
        at = chance.choice((chance.randrange(len(text)), chance.choice(_VALUES)))
        word = re.split("[ ,\n]", text[at:], maxsplit=1)[0]
        line = text[at:].partition("\n")[0]
        upto = at + chance.choice((0, 1, len(word), len(line)))
        text = text[:at] + chance.choice(ODD) + text[upto:]
    return text


def outcome(folder: Path, text: str, environ: dict[str, str]) -> str:
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    try:
        load(folder, environ)
    except ConfigError as error:
        return str(error) or pytest.fail("a mistake that says nothing")
    return ""


def test_a_file_that_was_spoilt_is_a_mistake_that_is_said(tmp_path: Path) -> None:
    for seed in range(150):
        outcome(tmp_path, changed(random.Random(seed)), {})  # noqa: S311


@pytest.mark.parametrize("key", ["NODE", "PEERS__PACS", "ROUTES__0__REQUIRE__0", "ACCEPT__1"])
def test_so_is_a_variable(tmp_path: Path, key: str) -> None:
    """In the place of a section, of one of several, and of a rule."""
    for odd in ODD:
        outcome(tmp_path, WHOLE, {f"DICOM_AI_NODE__{key}": odd})


def test_a_part_of_a_variable_may_be_as_long_as_it_likes(tmp_path: Path) -> None:
    for part in ("9" * 5000, "\u0663", "\u00b2"):
        assert "is no entry of this list" in outcome(
            tmp_path, WHOLE, {f"DICOM_AI_NODE__ACCEPT__{part}": "x"}
        )
