"""A node whose configuration is wrong does not start, and says which line of which file to mend."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.config.processes import verb
from tests.receive.raw_scu import receiving

NODE = "node:\n  ae_title: AI_NODE\n  port: 0\n  spool: var\n  database: sqlite:///./var/node.db\n"
REST = "metrics: {port: 0}\nweb: {port: null}\n"
SENDER = "accept:\n  - {ae_title: PACS, from: [127.0.0.1/32]}\n"
PEER = "peers:\n  pacs:\n    kind: dimse\n    ae_title: P\n    host: 127.0.0.1\n    port: 104\n"
GOOD = NODE + REST + SENDER
BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(8 * [f'*{before}'])}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

WRONG = {
    "an unknown key": (GOOD + "stdy: {}\n", "node.yaml:10: stdy: unknown key: did you mean study?"),
    "a wrong type": (GOOD + "study: {quiet_s: soon}\n", "node.yaml:10: study.quiet_s: write a num"),
    "an AE title twice": (
        GOOD + "  - {ae_title: PACS, from: [127.0.0.0/8]}\n",
        "node.yaml:10: accept.1: accept.0 is for the same AE title",
    ),
    "a missing key file": (
        GOOD + PEER + "    tls: {certificate: c.pem, key: nowhere.key}\n",
        "node.yaml:16: peers.pacs.tls.key: there is no such file",
    ),
    "a missing certificate": (
        GOOD + PEER + "    tls: {ca: nowhere.pem}\n",
        "node.yaml:16: peers.pacs.tls.ca: nowhere.pem cannot be read",
    ),
    "a missing model": (
        GOOD
        + "peers: {x: {kind: folder, path: x}}\nroutes:\n  - {model: brain-mr, send_to: [x]}\n",
        "node.yaml:12: routes.0.model: the model brain-mr is not in",
    ),
    "a bomb of anchors": (GOOD + BOMB, "node.yaml:11: it repeats itself by anchors"),
    "an anchor in itself": (GOOD + "x: &x [*x]\n", "node.yaml:10: it repeats itself by anchors"),
    "a tab": (GOOD + "study:\n\tquiet_s: 5\n", "node.yaml:11: a tab: indent with spaces"),
    "a key twice": (
        GOOD + "metrics: {port: 1}\n",
        "node.yaml:10: metrics: is there twice, first in line 6",
    ),
}


def home_with(folder: Path, text: str, name: str = "home") -> Path:
    home = folder / name
    (home / "config").mkdir(parents=True)
    (home / "config" / "node.yaml").write_text(text, encoding="utf-8", newline="")
    return home


@pytest.fixture
def foreign_port() -> Iterator[int]:
    """Another program listens on it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


@pytest.mark.fault("H1")
@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_wrong_configuration_stops_the_start(tmp_path: Path, name: str) -> None:
    text, says = WRONG[name]
    done = verb("run", cwd=home_with(tmp_path, text))
    assert done.returncode == 2
    assert f"dicom-ai-node: config/{says}" in done.stderr


@pytest.mark.fault("H1")
@pytest.mark.parametrize("key", ["node.port", "metrics.port"])
def test_a_port_of_another_program_is_named(tmp_path: Path, foreign_port: int, key: str) -> None:
    """By `check` before the start, and by the start."""
    section = key.partition(".")[0]
    text = (
        GOOD.replace("  port: 0\n", f"  port: {foreign_port}\n")
        if section == "node"
        else (GOOD.replace("metrics: {port: 0}", f"metrics: {{port: {foreign_port}}}"))
    )
    line = 3 if section == "node" else 6
    home = home_with(tmp_path, text)
    for words in (("check", "--offline"), ("run",)):
        done = verb(*words, cwd=home)
        assert done.returncode == 2, done.stderr
        said = f"config/node.yaml:{line}: {key}: {foreign_port} cannot be used: another program"
        assert said in done.stderr


@pytest.mark.fault("H1")
@pytest.mark.parametrize(("begins", "ends"), [("\ufeff", "\n"), ("", "\r\n"), ("\ufeff", "\r\n")])
def test_a_byte_order_mark_and_other_line_ends_are_no_mistake(
    tmp_path: Path, begins: str, ends: str
) -> None:
    home = home_with(tmp_path, begins + GOOD.replace("\n", ends))
    done = verb("check", "--offline", cwd=home)
    assert done.returncode == 0, done.stderr
    home = home_with(tmp_path, begins + GOOD.replace("port: 0", "prot: 0").replace("\n", ends), "b")
    done = verb("check", "--offline", cwd=home)
    assert done.returncode == 2
    assert "config/node.yaml:3: node.prot: unknown key: did you mean port?" in done.stderr


@pytest.mark.fault("H1")
def test_what_is_mended_starts_and_stores(tmp_path: Path) -> None:
    home = home_with(tmp_path, NODE + "stdy: {}\n", "node")
    assert verb("receive", cwd=home).returncode == 2
    (home / "config" / "node.yaml").unlink()
    (home / "config").rmdir()
    with receiving(home) as node:
        node.assert_serves()
