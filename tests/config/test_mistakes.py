"""What to write instead of what is wrong."""

from pathlib import Path

import pytest

from tests.config.written import SMALL, mistakes, read

TAKES = "peers:\n  x: {kind: dimse, ae_title: P, host: h, port: 104, "


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("study: {quiets: 5}", "study.quiets: unknown key: did you mean quiet_s?"),
        ("stduy: {quiet_s: 5}", "stduy: unknown key: did you mean study?"),
        ("limits: {quiet_s: 5}", "limits.quiet_s: unknown key: it belongs under study"),
        ("quiet_s: 5", "quiet_s: unknown key: it belongs under study"),
        ("log: {colour: red}", "log.colour: unknown key: there are level, format"),
        ("node: {colour: red}", "node.colour: unknown key: `dicom-ai-node config example` shows"),
        (TAKES + "timeout: 5}", "peers.x.timeout: unknown key: did you mean timeout_s?"),
        (TAKES + "request_mb: 5}", "peers.x.request_mb: unknown key: "),
        (TAKES + "results: {als: []}}", "peers.x.results.als: unknown key: did you mean also?"),
        (
            "accept:\n  - {ae_title: P, from: [10.0.0.5], complete: {asks: x}}",
            "accept.0.complete.asks: unknown key: did you mean ask?",
        ),
        (
            "routes:\n  - {model: m, send_to: [x], requires: []}",
            "routes.0.requires: unknown key: did you mean require?",
        ),
        ("log: {level: loud}", "log.level: write 'debug', 'info', 'warning' or 'error'"),
        ("log: {level: SECRET}", "log.level: write 'debug', 'info', 'warning' or 'error'"),
        ("node: {language: xx}", "node.language: write 'en', 'de', 'fr' or 'es'"),
        ("study: {quiet_s: soon}", "study.quiet_s: write a number"),
        ("study: {quiet_s: 0}", "study.quiet_s: write a number above 0"),
        ("study: {single_series: maybe}", "study.single_series: write true or false"),
        ("work: {slots: 100}", "work.slots: write a number of at most 64"),
        ('web: {port: "80"}', "web.port: write a whole number, without quotes"),
        ("web: 80", "web: expected keys, each with a colon and a value"),
        ("node: {host: 10}", "node.host: write text; numbers, dates and the like in quotes"),
        ("accept: {ae_title: P}", "accept: write a list, in brackets"),
        ("accept: [{ae_title: P}]", "accept.0.from: is missing: write from: with list of text"),
        ("peers: {a b: {kind: folder, path: x}}", "peers.a b"),
        ("routes: [{model: M, send_to: [x]}]", "routes.0.model: a model's name has small letters"),
        ("node: {trusted_models: [x]}", "node.trusted_models.0: a hash has 64 digits"),
    ],
)
def test_a_mistake_says_what_to_write_instead(tmp_path: Path, text: str, says: str) -> None:
    text = f"node:\n  ae_title: A\n  {text[7:-1]}\n" if text[:5] == "node:" else SMALL + text
    (said,) = mistakes(tmp_path, a=text)
    assert said.partition(": ")[2].startswith(says)
    assert "SECRET" not in said


def test_the_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    said = mistakes(
        tmp_path,
        a="node: {ae_title: A, prot: 1}\n",
        b="study: {quiet_s: x}\nlog: {level: x}\n",
        c="peers: {x: {kind: y}}\n",
        environ={"DICOM_AI_NODE__WEB__PORT": "x"},
    )
    named = [line.split(": ")[:2] for line in said]
    assert sorted(named) == [
        ["a.yaml:1", "node.prot"],
        ["b.yaml:1", "study.quiet_s"],
        ["b.yaml:2", "log.level"],
        ["c.yaml:1", "peers.x.kind"],
        ["environment DICOM_AI_NODE__WEB__PORT", "web.port"],
    ]


PACS = "  - {ae_title: PACS, from: [10.0.0.0/24]}\n"


@pytest.mark.parametrize(
    "second",
    [
        "{ae_title: PACS, from: [10.0.0.5]}",
        "{ae_title: PACS, from: [10.1.0.0/16, 10.0.0.0/8], may: [echo]}",
    ],
)
def test_one_peer_in_two_entries_of_accept_is_a_mistake(tmp_path: Path, second: str) -> None:
    """The first would be taken, whatever the second allows."""
    (said,) = mistakes(tmp_path, a=f"{SMALL}accept:\n{PACS}  - {second}\n")
    assert said.startswith("a.yaml:4: accept.1: accept.0 is for the same AE title, PACS, from")


@pytest.mark.parametrize(
    "second",
    ["{ae_title: PACS, from: [10.0.1.5]}", "{ae_title: CT1, from: [10.0.0.5]}"],
)
def test_other_titles_and_other_addresses_are_told_apart(tmp_path: Path, second: str) -> None:
    assert len(read(tmp_path, a=f"{SMALL}accept:\n{PACS}  - {second}\n").accept) == 2


def test_an_ae_title_that_is_there_twice_is_a_mistake(tmp_path: Path) -> None:
    (said,) = mistakes(tmp_path, a="node:\n  ae_title: [A, B, A]\n")
    assert said.startswith("a.yaml:2: node.ae_title.2: this AE title is there twice")
