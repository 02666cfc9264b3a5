"""Keys from the environment: any of them, however deep, and who is to blame for a mistake."""

from pathlib import Path

import pytest

from dicom_ai_node.config.peers import DimsePeer
from tests.config.written import SMALL, mistakes, read

ONE = "node: {ae_title: A, port: 1}\naccept: []\n"
PEER = "{kind: dimse, ae_title: P, host: h, port: 104}"
ROUTE = "- {model: m, send_to: [x]}"


def test_the_environment_has_the_last_word(tmp_path: Path) -> None:
    environ = {"DICOM_AI_NODE__NODE__PORT": "104", "DICOM_AI_NODE__STUDY__QUIET_S": "2.5"}
    config = read(tmp_path, environ=environ, a="node: {ae_title: A, port: 1}\n")
    assert (config.node.port, config.study.quiet_s) == (104, 2.5)


def test_a_list_can_come_from_the_environment(tmp_path: Path) -> None:
    config = read(tmp_path, environ={"DICOM_AI_NODE__NODE__AE_TITLE": "[ONE, 'off', NO]"}, a=SMALL)
    assert config.node.ae_title == ("ONE", "off", "NO")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DICOM_AI_NODE__NODE__PORT", "high", "node.port: "),
        ("DICOM_AI_NODE__NODE__PROT", "1", "node.prot: unknown key"),
        ("DICOM_AI_NODE__NODE__PORT__X", "1", "port has no keys below it"),
        ("DICOM_AI_NODE__NODE__HOST", "[1", "the value is not YAML"),
        ("DICOM_AI_NODE__NODE__", "1", "names no key: write DICOM_AI_NODE__NODE__PORT"),
        ("DICOM_AI_NODE__ACCEPT__3", "{}", "3 is no entry of this list: it has 0"),
        ("DICOM_AI_NODE__ACCEPT__FIRST", "{}", "FIRST is no entry of this list"),
        ("DICOM_AI_NODE__WEB__PROT", "1", "web.prot: unknown key: did you mean port?"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(
    tmp_path: Path, name: str, value: str, says: str
) -> None:
    (found,) = mistakes(tmp_path, environ={name: value}, a=ONE)
    assert found.startswith(f"environment {name}: ")
    assert says in found


def ports(folder: Path, text: str, **environ: str) -> dict[str, int]:
    """Of peers, with variables below PEERS."""
    named = {f"DICOM_AI_NODE__PEERS__{name}": value for name, value in environ.items()}
    config = read(folder, environ=named, a=SMALL + text)
    return {k: peer.port for k, peer in config.peers.items() if isinstance(peer, DimsePeer)}


@pytest.mark.parametrize("name", ["pacs", "PACS", "Pacs-1"])
def test_a_peer_is_found_whatever_the_case_of_its_name(tmp_path: Path, name: str) -> None:
    text = f"peers: {{{name}: {PEER}}}\n"
    assert ports(tmp_path, text, **{f"{name.upper()}__PORT": "105"}) == {name: 105}


def test_peers_that_differ_in_case_alone_are_told_apart(tmp_path: Path) -> None:
    text = f"peers: {{pacs: {PEER}, PACS: {PEER}}}\n"
    assert ports(tmp_path, text, PACS__PORT="105") == {"pacs": 104, "PACS": 105}
    (said,) = mistakes(tmp_path, environ={"DICOM_AI_NODE__PEERS__Pacs__PORT": "1"}, a=SMALL + text)
    assert "pacs and PACS differ in upper and lower case alone" in said


def test_a_peer_can_come_from_the_environment_alone(tmp_path: Path) -> None:
    parts = {"KIND": "dimse", "AE_TITLE": "P", "HOST": "h", "PORT": "104"}
    assert ports(tmp_path, "", **{f"PACS__{k}": v for k, v in parts.items()}) == {"pacs": 104}
    assert ports(tmp_path, "", **{"7": PEER}) == {"7": 104}


def test_an_item_of_a_list_is_named_by_its_number(tmp_path: Path) -> None:
    """Ten routes of a file, of which one changes; and two more, in the order of their numbers."""
    routes = "".join(f"  - {{model: m{index}, send_to: [x]}}\n" for index in range(10))
    text = f"{SMALL}peers: {{x: {{kind: folder, path: /x}}}}\nroutes:\n{routes}"
    environ = {
        "DICOM_AI_NODE__ROUTES__2__MODEL": "other",
        "DICOM_AI_NODE__ROUTES__10": "{model: ten, send_to: [x]}",
        "DICOM_AI_NODE__ROUTES__11__MODEL": "eleven",
        "DICOM_AI_NODE__ROUTES__11__SEND_TO__0": "x",
    }
    named = [route.model for route in read(tmp_path, environ=environ, a=text).routes]
    assert named == ["m0", "m1", "other", *(f"m{n}" for n in range(3, 10)), "ten", "eleven"]


def test_a_list_may_be_made_of_its_items(tmp_path: Path) -> None:
    environ = {
        "DICOM_AI_NODE__ACCEPT__0__AE_TITLE": "P",
        "DICOM_AI_NODE__ACCEPT__0__FROM__0": "10.0.0.5",
    }
    (entry,) = read(tmp_path, environ=environ, a=SMALL).accept
    assert (entry.ae_title, str(entry.from_[0])) == ("P", "10.0.0.5/32")


def test_what_a_variable_replaces_is_no_mistake_of_the_file(tmp_path: Path) -> None:
    environ = {"DICOM_AI_NODE__WEB": "{port: x}"}
    (said,) = mistakes(tmp_path, environ=environ, a=SMALL + "web:\n  port: 80\n")
    assert said.startswith("environment DICOM_AI_NODE__WEB: web.port: ")


def test_variables_of_others_are_none_of_our_keys(tmp_path: Path) -> None:
    environ = {"DICOM_AI_NODE_TEST_MODELS": "x", "DICOM_AI_NODES__X": "y", "PORT": "1"}
    assert read(tmp_path, environ=environ, a=SMALL).node.port == 11112


def test_a_variable_that_holds_itself_is_refused(tmp_path: Path) -> None:
    (said,) = mistakes(tmp_path, environ={"DICOM_AI_NODE__ACCEPT": "&a [*a, *a]"}, a=SMALL)
    assert said.startswith("environment DICOM_AI_NODE__ACCEPT: ")
