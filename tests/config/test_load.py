"""What an administrator writes, and what is said when it cannot be used."""

from pathlib import Path

import pytest

from dicom_ai_node.config.load import load
from dicom_ai_node.config.peers import DimsePeer, FolderPeer
from dicom_ai_node.errors import ConfigError
from tests.config.written import SMALL, mistakes, read

EXAMPLE = Path(__file__).parents[2] / "config"


def test_the_example_configuration_loads() -> None:
    config = load(EXAMPLE, {})
    assert config.node.ae_title == ("AI_NODE",)
    assert isinstance(config.peers["pacs"], DimsePeer)
    assert isinstance(config.peers["archive"], FolderPeer)
    assert config.routes[0].model == "brain-mr"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("node:\n  ae_title: A\n  prot: 104\n", "a.yaml:3: node.prot: unknown key"),
        ("study: {quiet_s: 5}\n", "configuration: node: is missing"),
        ("node:\n  port: 104\n", "a.yaml:1: node.ae_title: is missing"),
        ("node:\n  ae_title: A\n  port: 70000\n", "a.yaml:3: node.port: "),
        ('node:\n  ae_title: A\n  port: "104"\n', "a.yaml:3: node.port: "),
        ("node:\n  ae_title: A23456789012345678\n", "a.yaml:2: node.ae_title.0: "),
        ("node:\n  ae_title: []\n", "a.yaml:2: node.ae_title: "),
        ("node:\n  ae_title: ' '\n", "a.yaml:2: node.ae_title.0: "),
        (SMALL + "study:\n  quiet_s: -1\n", "a.yaml:3: study.quiet_s: "),
        (SMALL + "accept:\n  - {ae_title: P, from: [x]}\n", "a.yaml:3: accept.0.from.0: write an"),
        (
            SMALL + "accept:\n  - {ae_title: P, from: [10.0.0.5/24]}\n",
            "a.yaml:3: accept.0.from.0: write an",
        ),
        (SMALL + "accept:\n  - {ae_title: P, from: []}\n", "a.yaml:3: accept.0.from: "),
        (SMALL + "accept:\n  - ae_title: P\n", "a.yaml:3: accept.0.from: is missing"),
        (SMALL + "peers:\n  x: {kind: ftp}\n", "a.yaml:3: peers.x.kind: write one of 'dimse'"),
        (
            SMALL + "peers:\n  x: {}\n",
            "a.yaml:3: peers.x.kind: is missing: write kind: with `dimse`",
        ),
        (SMALL + "peers:\n  x: {kind: folder}\n", "a.yaml:3: peers.x.path: is missing"),
        (
            SMALL + "peers:\n  x:\n    kind: folder\n    path: /a\n    pot: 1\n",
            "a.yaml:6: peers.x.pot: unknown key",
        ),
        (
            SMALL + "routes:\n  - {model: m, send_to: [x]}\n",
            "a.yaml:3: routes.0.send_to: there is no",
        ),
        (
            SMALL + "web: {port: 11112}\n",
            "a.yaml:2: web.port: 11112 is the port of node.port as well",
        ),
        (SMALL + "study: {quiet_s: .inf}\n", "a.yaml:2: study.quiet_s: "),
        (SMALL + "- 1\n", "a.yaml:2: "),
        ("- 1\n", "a.yaml:1: expected keys"),
        ("node\n", "a.yaml:1: expected keys"),
        ("node: [\n", "a.yaml:2: "),
        ("node: " + 20_000 * "[", "a.yaml:1: more than 100 brackets within brackets"),
        ("node: *nothing\n", "a.yaml:1: "),
        ("node:\n\tae_title: A\n", "a.yaml:2: "),
        ("node: {ae_title: A}\nnode: {ae_title: B}\n", "a.yaml:2: "),
        ("node: \x07\n", "a.yaml:1: a control character"),
        ("", "configuration: node: is missing"),
        ("# nothing yet\n", "configuration: node: is missing"),
    ],
)
def test_a_mistake_names_file_line_and_key(tmp_path: Path, text: str, line: str) -> None:
    (found,) = mistakes(tmp_path, a=text)
    assert found.startswith(line)


@pytest.mark.parametrize(
    ("clause", "says"),
    [
        ("{attr: Modalty, op: eq, value: CT}", "attr: Modalty is not a keyword"),
        ("{attr: $instance, op: ge, value: 2}", "attr: $instance is no fact"),
        ("{attr: Modality, op: like, value: CT}", "op: write 'eq', 'in'"),
        ("{attr: Modality, op: eq, value: [CT]}", ": eq takes one value"),
        ("{attr: Modality, op: in, value: CT}", ": in takes a list"),
        ("{attr: KVP, op: between, value: [1, 2, 3]}", ": between takes a list of two"),
        ("{attr: KVP, op: ge, value: high}", ": ge takes numbers"),
        ("{attr: Modality, op: matches, value: '('}", ": not a regular expression"),
        ("{attr: Modality, op: eq}", "value: is missing"),
        ("{attr: Modality, op: eq, value: CT, missing: maybe}", "missing: write 'fail' or 'pass'"),
        ("{any: []}", "any: "),
        ("{all: [{attr: Modalty, op: eq, value: CT}]}", "attr: Modalty is not a keyword"),
        ("{any: [{all: [{attr: KVP, op: le, value: x}]}]}", ": le takes numbers"),
    ],
)
def test_a_rule_that_cannot_be_judged_is_refused(tmp_path: Path, clause: str, says: str) -> None:
    text = f"""\
        node: {{ae_title: A}}
        peers: {{x: {{kind: folder, path: /x}}}}
        routes:
          - model: m
            send_to: [x]
            require:
              - {clause}
        """
    (found,) = mistakes(tmp_path, a=text)
    assert found.startswith("a.yaml:7: routes.0.require.0")
    assert says in found


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    found = mistakes(tmp_path, a="node: {ae_title: A, prot: 1}\n", b="web:\n  port: x\nlgo: {}\n")
    assert [line.split(":")[0] for line in found] == ["a.yaml", "b.yaml", "b.yaml"]


def test_files_merge_in_the_order_of_their_names(tmp_path: Path) -> None:
    """Mappings merge, lists grow, a later value wins."""
    config = read(
        tmp_path,
        b="node: {port: 2}\naccept: [{ae_title: TWO, from: [10.0.0.2]}]\n",
        a="node: {ae_title: A, port: 1}\naccept: [{ae_title: ONE, from: [10.0.0.1/32]}]\n",
    )
    assert (config.node.ae_title, config.node.port) == (("A",), 2)
    assert [entry.ae_title for entry in config.accept] == ["ONE", "TWO"]


def test_a_mistake_in_an_appended_item_names_its_own_file(tmp_path: Path) -> None:
    entry = "accept: [{ae_title: ONE, from: [10.0.0.1/32]}]\n"
    (found,) = mistakes(tmp_path, a=SMALL + entry, b="accept:\n  - {ae_title: TWO, form: []}\n")[:1]
    assert found.startswith("b.yaml:2: accept.1.")


@pytest.mark.parametrize(
    ("written", "read_as"), [("NO", "NO"), ("off", "off"), ("yes", "yes"), ("Y", "Y")]
)
def test_words_stay_words(tmp_path: Path, written: str, read_as: str) -> None:
    """YAML 1.1 would read a node called NO as False."""
    assert read(tmp_path, a=f"node: {{ae_title: {written}}}\n").node.ae_title == (read_as,)


def test_a_leading_zero_is_not_octal(tmp_path: Path) -> None:
    assert read(tmp_path, a="node: {ae_title: A, port: 0104}\n").node.port == 104


@pytest.mark.parametrize("text", ["\ufeffnode: {ae_title: A}\n", "node:\r\n  ae_title: A\r\n"])
def test_files_of_other_editors_are_read(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, a=text).node.ae_title == ("A",)


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"node: {ae_title: A\xe9}\n")
    with pytest.raises(ConfigError, match=r"a\.yaml:1: not UTF-8 text \(byte 18\)"):
        load(tmp_path, {})


def test_a_huge_file_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"#" * (1 << 21))
    with pytest.raises(ConfigError, match="is it configuration"):
        load(tmp_path, {})


def test_a_folder_that_looks_like_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"a\.yaml cannot be read"):
        load(tmp_path, {})


def test_there_must_be_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no \*\.yaml"):
        load(tmp_path, {})
    with pytest.raises(ConfigError, match="is not a folder"):
        load(tmp_path / "nowhere", {})


def test_merge_keys_are_read(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        a="""\
        node: {ae_title: A}
        peers:
          one: &pacs {kind: dimse, ae_title: P, host: h, port: 104}
          two: {<<: *pacs, port: 105}
        """,
    )
    assert [peer.port for peer in config.peers.values()] == [104, 105]


@pytest.mark.parametrize(
    "text",
    [
        "node:\n  ae_title: A\n  host: SECRET\n  host: SECRET\n",
        "node: {ae_title: A}\npassword: SECRET\n",
        "node: {ae_title: A, port: SECRET}\n",
        "node: {ae_title: A}\nlog: {level: SECRET}\n",
        "node: {ae_title: A}\nweb: {host: {a: SECRET}}\n",
        "node: {ae_title: A}\nweb: [SECRET]\n",
        "node: {ae_title: A}\nweb: {host: 'SECRET\n",
        "node: {ae_title: A}\nweb: {host: SECRET: SECRET}\n",
        "node: {ae_title: A}\nweb: &a {port: SECRET}\nlog: *a\n",
    ],
)
def test_values_are_never_repeated(tmp_path: Path, text: str) -> None:
    """What is in the wrong place may be a password."""
    assert "SECRET" not in "\n".join(mistakes(tmp_path, a=text))


def test_two_routes_of_one_name_are_refused(tmp_path: Path) -> None:
    routes = "routes:\n  - {model: m, send_to: [x]}\n  - {model: m, send_to: [x]}\n"
    peers = "peers: {x: {kind: folder, path: /x}}\n"
    (found,) = mistakes(tmp_path, a=SMALL + peers + routes)
    assert "two routes are called m" in found


def test_a_route_needs_its_model(tmp_path: Path) -> None:
    text = SMALL.replace("}", f", models: {tmp_path / 'models'}}}")
    text += "peers: {x: {kind: folder, path: /x}}\nroutes:\n  - send_to: [x]\n    model: brain-mr\n"
    read(tmp_path, a=text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {}, need_models=True)
    assert f"{tmp_path}/a.yaml:5: routes.0.model: the model brain-mr" in str(caught.value)
    assert "models install brain-mr" in str(caught.value)


PEERS = """peers:
  store: {kind: folder, path: /x}
  pacs: {kind: dimse, ae_title: P, host: h, port: 1}
"""


@pytest.mark.parametrize("asked", ["store", "other"])
def test_who_is_asked_for_counts_must_be_a_peer_that_can_answer(tmp_path: Path, asked: str) -> None:
    text = f"accept:\n  - ae_title: P\n    from: [10.0.0.5]\n    complete: {{ask: {asked}}}\n"
    (line,) = mistakes(tmp_path, a=SMALL + text + PEERS)
    assert line == (
        f"a.yaml:5: accept.0.complete.ask: there is no peer {asked} of kind dimse under peers "
        "(there: pacs)"
    )


@pytest.mark.parametrize("may", ["[echo]", "[echo, notify]"])
def test_what_is_caught_up_must_be_allowed_to_come(tmp_path: Path, may: str) -> None:
    peers = PEERS.replace("port: 1}", "port: 1, catch_up: {hours: 8}}")
    accept = f"accept:\n  - {{ae_title: P, from: [10.0.0.5], may: {may}}}\n"
    line = (
        "peers.pacs.catch_up: what is fetched from P could not come: let it store, with an entry "
        "of accept"
    )
    assert mistakes(tmp_path, a=SMALL + peers + accept) == [f"a.yaml:4: {line}"]
    config = read(tmp_path, a=SMALL + peers + accept.replace(may, "[store]"))
    peer = config.peers["pacs"]
    assert isinstance(peer, DimsePeer)
    assert peer.catch_up is not None
    assert (peer.catch_up.hours, peer.catch_up.every_s, peer.catch_up.wait_s) == (8, 3600, 120)


def test_a_sender_says_only_what_differs(tmp_path: Path) -> None:
    text = "accept:\n  - {ae_title: P, from: [10.0.0.5], complete: {ask: pacs, quiet_s: 5}}\n"
    config = read(tmp_path, a=SMALL + text + PEERS + "study: {longest_s: 100}\n")
    (entry,) = config.accept
    said = entry.complete.over(config.study)
    assert (said.quiet_s, said.longest_s, said.incomplete_s) == (5, 100, 600)
    assert entry.may == ("echo", "store", "commitment")


PACS = "  pacs: {kind: dimse, ae_title: PACS, host: pacs, port: 104, commitment: {}}\n"


@pytest.mark.parametrize(
    "accept",
    [
        "[]",
        "[{ae_title: OTHER, from: [10.0.0.5/32]}]",
        "[{ae_title: PACS, from: [10.0.0.5/32], may: [store]}]",
    ],
)
def test_who_is_asked_for_commitment_must_be_let_in_to_report(tmp_path: Path, accept: str) -> None:
    (said,) = mistakes(tmp_path, a=f"{SMALL}peers:\n{PACS}accept: {accept}\n")
    assert said.startswith("a.yaml:3: peers.pacs.commitment: its answer could not come: ")


def test_a_peer_that_may_report_can_be_asked_for_commitment(tmp_path: Path) -> None:
    accept = "accept: [{ae_title: PACS, from: [10.0.0.5/32]}]"
    peer = read(tmp_path, a=f"{SMALL}peers:\n{PACS}{accept}\n").peers["pacs"]
    assert isinstance(peer, DimsePeer)
    assert peer.commitment is not None
    assert peer.commitment.answer_s == 3600
