"""YAML that is none: the line, what is wrong in it and what to write instead."""

from pathlib import Path

import pytest

from tests.config.written import SMALL, mistakes, read


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("node:\n\tae_title: A\n", "a.yaml:2: a tab: indent with spaces"),
        ("node: {ae_title: A\nweb: {}\n", "a.yaml:2: "),
        ("node: [\n", "a.yaml:2: a bracket is opened, and not closed"),
        ("node: {ae_title: A}}\n", "a.yaml:1: a bracket is closed that was not opened"),
        ("node: 'A\n", "a.yaml:2: a quote is opened, and not closed"),
        ("node: *A\n", "a.yaml:1: `*` refers to an anchor that is not there"),
        ("node: @A\n", "a.yaml:1: text that begins with a special character"),
        ("node: a: b\n", "a.yaml:1: a colon that is in no place for one"),
        ('node: "C:\\dicom"\n', "a.yaml:1: a backslash between double quotes"),
        ("node:\n  a: 1\n b: 2\n", "a.yaml:3: not indented as its neighbours"),
        ("web: {}\nnode\nlog: {}\n", "a.yaml:3: a key without a colon"),
        (SMALL + "---\nweb: {}\n", "a.yaml:2: `---` begins a second document"),
        (SMALL + "web: {port: 2026-13-01}\n", "a.yaml:2: a date or a number that cannot be one"),
        ("\nnode: \x07\n", "a.yaml:2: a control character"),
        ("<<: 1\n", "a.yaml:1: `<<` merges keys"),
        ("node:\n  port: !!bool maybe\n", "a.yaml:2: `!` gives this a type"),
        (SMALL + "web: !!set x\n", "a.yaml:2: `!` gives this a type"),
        (SMALL + "web: !!python/object/apply:os.system [ls]\n", "a.yaml:2: `!` gives this a type"),
        (SMALL + "web: !!omap [port: 1]\n", "a.yaml:2: `!` gives this a type"),
        (SMALL + "web: {{port}: 1}\n", "a.yaml:2: a key is one word"),
        (SMALL + "web:\n  {{PORT}}\n", "a.yaml:3: a key is one word"),
        (SMALL + "x: {1: a, 0x1: b}\n", "a.yaml:2: a key is there twice, written differently"),
    ],
)
def test_broken_yaml_is_said_with_its_line_and_what_to_do(
    tmp_path: Path, text: str, says: str
) -> None:
    (said,) = mistakes(tmp_path, a=text)
    assert said.startswith(says)
    assert ": " in said.partition(": ")[2], "no next step"


def test_each_key_that_is_there_twice_is_named_with_its_first_line(tmp_path: Path) -> None:
    text = "node:\n  ae_title: A\n  port: 1\n  port: 2\naccept:\n  - {may: [], may: []}\n"
    assert mistakes(tmp_path, a=text + "node: {}\n") == [
        "a.yaml:7: node: is there twice, first in line 1: keep one of them",
        "a.yaml:4: node.port: is there twice, first in line 3: keep one of them",
        "a.yaml:6: accept.0.may: is there twice, first in line 6: keep one of them",
    ]


def bomb(levels: int) -> str:
    """Nine times nine times nine …"""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("text", [bomb(9), bomb(60), "x: &x {a: *x}\n", "x: 1\ny: &y [1, *y]\n"])
def test_what_repeats_itself_without_end_is_refused_with_its_line(
    tmp_path: Path, text: str
) -> None:
    (said,) = mistakes(tmp_path, a=text)
    line = next(n for n, line in enumerate(text.splitlines(), 1) if "*" in line)
    assert said.startswith(f"a.yaml:{line}: it repeats itself by anchors")


def test_an_anchor_that_saves_writing_is_welcome(tmp_path: Path) -> None:
    text = "peers:\n  a: &x {kind: folder, path: /x}\n  b: *x\n"
    assert list(read(tmp_path, a=SMALL + text).peers) == ["a", "b"]


def test_a_mapping_may_come_by_an_anchor_alone(tmp_path: Path) -> None:
    text = "peers:\n  a: &x {kind: folder, path: /x}\n  b:\n    <<: *x\n"
    assert list(read(tmp_path, a=SMALL + text).peers) == ["a", "b"]
    assert mistakes(tmp_path, a=SMALL + text.replace("/x", "1")) == [
        "a.yaml:3: peers.a.path: write the path of a file or a folder, as text",
        "a.yaml:5: peers.b.path: write the path of a file or a folder, as text",
    ]


def test_the_parser_repeats_no_value_where_an_anchor_is_there_twice(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    read(tmp_path, a="node: &x {ae_title: A}\nlog: &x {level: info}\n")
    assert not recwarn


def test_a_broken_file_does_not_hide_the_mistakes_of_the_others(tmp_path: Path) -> None:
    """And what it may hold is not called missing."""
    said = mistakes(tmp_path, a="node: [\n", b="web:\n  prot: 1\n", c="log:\n\tlevel: x\n")
    assert [line.split(": ")[0] for line in said] == ["a.yaml:2", "c.yaml:2", "b.yaml:2"]
