"""What an administrator writes about routes, and what is said when it cannot be used."""

import hashlib
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from dicom_ai_node.config.expression import refuse_slow
from dicom_ai_node.config.load import load
from dicom_ai_node.config.manifest import MANIFEST, hashes_of, manifest_bytes
from dicom_ai_node.config.rules import Allowed, Selection
from dicom_ai_node.config.settings import Config, Route
from dicom_ai_node.config.standing import STANDING
from dicom_ai_node.errors import ConfigError

HEAD = """\
node: {ae_title: AI_NODE, models: MODELS}
peers:
  pacs: {kind: dimse, ae_title: PACS, host: 127.0.0.1, port: 104}
  archive: {kind: folder, path: ./results}
routes:
"""
ONE = "  - {model: lungs, send_to: [pacs]}\n"


def read(folder: Path, routes: str, *, need_models: bool = False) -> Config:
    text = HEAD.replace("MODELS", str(folder / "models")) + routes
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    return load(folder, {}, need_models=need_models)


def mistakes(folder: Path, routes: str, *, need_models: bool = False) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, routes, need_models=need_models)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def route(**keys: Any) -> Route:
    return Route.model_validate({"model": "m", "send_to": ["pacs"], **keys})


def test_a_route_has_defaults() -> None:
    plain = route()
    assert (plain.priority, plain.between, plain.when) == ("routine", None, "study")
    assert (plain.inputs, plain.allow, plain.picks_one) == ({}, (), False)


@pytest.mark.parametrize(
    "keys",
    [
        {"prefer": [{"when": {"attr": "KVP", "op": "ge", "value": 1}}]},
        {"tie": ["SeriesNumber"]},
        {"inputs": {"t1": {}}},
    ],
)
def test_preferring_is_picking_one(keys: dict[str, Any]) -> None:
    assert route(**keys).picks_one


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("inputs: {t1: {}}, tie: [SeriesNumber]", "a route with inputs has no rules itself"),
        ("inputs: {t1: {}}, allow: [derived]", "a route with inputs has no rules itself"),
        ("inputs: {t1: {}}, when: series", "is judged on the whole study"),
        ("inputs: {t1: {optional: true}, m: {result_of: lungs}}", "must be a series of the study"),
        ("inputs: {T1: {}}", "inputs.T1"),
        ("inputs: {t1: {}, m: {result_of: lungs, tie: [KVP]}}", "is not chosen by rules"),
        ("inputs: {t1: {}, m: {result_of: lungs, prior: {}}}", "is not chosen by rules"),
        ("inputs: {t1: {}, m: {prior: {within_days: 0}}}", "inputs.m.prior.within_days: "),
        ("inputs: {t1: {}, m: {prior: {form: pacs}}}", "inputs.m.prior.form: unknown key"),
        ("tie: [SeriesNumbre]", "SeriesNumbre is not a keyword"),
        ("tie: [-$instance]", "$instance is no fact"),
        ("allow: [everything]", "allow.0: "),
        ("prefer: [{attr: KVP, op: ge, value: 1}]", "prefer.0.when: is missing"),
        ("prefer: [{when: {attr: KVP, op: ge, value: x}}]", "ge takes numbers"),
        ("between: ['20:00']", "between"),
        ("between: ['20:00', '24:00']", "between.1: "),
        ("between: ['20:00', '20:00']", "between takes two times that differ"),
        ("priority: high", "priority: "),
        ("when: image", "when: "),
        ("exclude: [{attr: $regular, op: eq, value: 'yes'}]", "$regular is true or false"),
        ("require: [Modality]", "routes.1.require.0: expected keys"),
        ("exclude: [{any: [null]}]", "routes.1.exclude.0.any.0: expected keys"),
        ("prefer: [{when: [Modality]}]", "routes.1.prefer.0.when: expected keys"),
    ],
)
def test_a_route_that_cannot_be_judged_is_refused(tmp_path: Path, keys: str, says: str) -> None:
    found = mistakes(tmp_path, ONE + f"  - {{model: m, send_to: [pacs], {keys}}}\n")
    assert found[0].startswith("a.yaml:7: routes.1")
    assert says in "\n".join(found)


def chained(model: str, of: str) -> str:
    inputs = f"{{ct: {{}}, mask: {{result_of: {of}}}}}"
    return f"  - model: {model}\n    send_to: [pacs]\n    inputs: {inputs}\n"


def test_a_result_must_be_made_by_a_route(tmp_path: Path) -> None:
    read(tmp_path, ONE + chained("nodules", "lungs"))
    (found,) = mistakes(tmp_path, chained("nodules", "lungs"))
    assert found == (
        "a.yaml:8: routes.0.inputs.mask.result_of: no route runs the model lungs: add one"
    )


def test_models_do_not_wait_for_each_other(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, chained("a", "a"))
    assert "a waits for the result of a itself" in found
    three = chained("a", "b") + chained("b", "c") + chained("c", "a")
    assert len(mistakes(tmp_path, three)) == 3


@pytest.mark.parametrize("peer", ["archive", "nobody"])
def test_a_prior_comes_from_a_dimse_peer(tmp_path: Path, peer: str) -> None:
    routes = "  - model: m\n    send_to: [pacs]\n    inputs:\n      now: {}\n"
    read(tmp_path, routes + "      then: {prior: {from: pacs}}\n")
    (found,) = mistakes(tmp_path, routes + f"      then: {{prior: {{from: {peer}}}}}\n")
    assert found == (
        f"a.yaml:10: routes.0.inputs.then.prior.from: {peer} is no peer of kind dimse (there: pacs)"
    )


MODEL = """\
name: NAME
version: "1.0.0"
title: A model
kind: threshold
between: {RANGES}
segments:
  - {number: 1, label: A, category: "SCT:91723000:Anatomical Structure", type: "SCT:272673000:B"}
"""


def install(folder: Path, name: str, *inputs: str) -> None:
    home = folder / "models" / name / "1.0.0"
    home.mkdir(parents=True)
    names = f"inputs: [{', '.join(inputs)}]\n" if inputs else ""
    ranges = ", ".join(f"{each}: [300, 3000]" for each in sorted({*inputs} or {"image"}))
    text = MODEL.replace("NAME", name).replace("RANGES", ranges)
    (home / "model.yaml").write_text(text + names)
    (home / MANIFEST).write_bytes(manifest_bytes(hashes_of(home)))


@pytest.mark.parametrize(
    ("model", "inputs", "says"),
    [
        ("single", "", None),
        ("single", "{image: {}}", None),
        ("single", "{t1: {}}", "routes.0.inputs: the inputs of single are image"),
        ("double", "{t1: {}, flair: {}}", None),
        ("double", "{flair: {optional: true}, t1: {}}", None),
        ("double", "", "routes.0.model: double has the inputs t1, flair: write inputs:"),
        ("double", "{t1: {}}", "routes.0.inputs: the inputs of double are t1, flair"),
        ("double", "{t1: {prior: {}}, flair: {}}", "routes.0.inputs.t1: results lie on the grid"),
    ],
)
def test_a_route_has_the_inputs_of_its_model(
    tmp_path: Path, model: str, inputs: str, says: str | None
) -> None:
    """When the models are known."""
    install(tmp_path, "single")
    install(tmp_path, "double", "t1", "flair")
    routes = f"  - model: {model}\n    send_to: [pacs]\n"
    routes += f"    inputs: {inputs}\n" if inputs else ""
    read(tmp_path, routes)
    if says is None:
        read(tmp_path, routes, need_models=True)
    else:
        (found,) = mistakes(tmp_path, routes, need_models=True)
        assert says in found


def test_two_inputs_of_a_model_differ(tmp_path: Path) -> None:
    install(tmp_path, "double", "t1", "t1")
    (found,) = mistakes(tmp_path, ONE.replace("lungs", "double"), need_models=True)
    assert "inputs: two inputs have the same name" in found


def test_a_package_that_cannot_be_used_is_the_mistake_of_its_routes_alone(tmp_path: Path) -> None:
    install(tmp_path, "double", "t1", "t1")
    install(tmp_path, "single")
    read(tmp_path, ONE.replace("lungs", "single"), need_models=True)


def test_a_route_asks_only_for_maps_that_its_model_makes(tmp_path: Path) -> None:
    install(tmp_path, "single")
    wanted = "single, maps: [saliency, uncertainty]"
    (found,) = mistakes(tmp_path, ONE.replace("lungs", wanted), need_models=True)
    assert "routes.0.maps: single 1.0.0 makes no map of saliency and uncertainty" in found


def test_a_route_may_ask_for_one_version(tmp_path: Path) -> None:
    install(tmp_path, "single")
    read(tmp_path, ONE.replace("lungs", "single, version: 1.0.0"), need_models=True)
    (found,) = mistakes(tmp_path, ONE.replace("lungs", "single, version: 2.0.0"), need_models=True)
    assert "the model single 2.0.0 is not in models (there: single 1.0.0)" in found


def test_every_standing_exclusion_can_be_lifted() -> None:
    assert set(STANDING) == set(get_args(Allowed))
    assert Selection(allow=tuple(STANDING)).has_rules


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(B[6-9]\d|Br[6-9]\d|BONE|LUNG)",
        r"portal|ven|pv",
        r"t1.*post.*",
        r"\bt1\b(?!.*flair)",
        r"[+*{(|]",
        r"\(a\+\)\+",
        r"(?:abc)+ \d{2}",
        r"colou?r",
    ],
)
def test_an_expression_that_ends_is_taken(pattern: str) -> None:
    refuse_slow(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"(?:a|a)*$",
        r"((a*)b)*",
        r"(a{1,9}){9}$",
        r"(a?){30}a",
        r"((a|b)c)+",
        r".*.*.*.*x",
        r"(.*)(.*)(.*)\3\2\1x",
        r"(?P<a>.*)(?P=a)x",
        "a?" * 30 + "a" * 30,
        "a" * 300,
    ],
)
def test_an_expression_that_could_run_for_ever_is_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(ValueError, match="the regular expression"):
        refuse_slow(pattern)
    clause = {"attr": "SeriesDescription", "op": "matches", "value": pattern}
    with pytest.raises(ValidationError, match="the regular expression"):
        route(require=[clause])


PROGRAM = """\
{name: tool, version: 1.0.0, title: A tool, kind: command, command: ["true"], take: json}
"""


def test_a_route_to_code_that_nobody_has_trusted_is_a_mistake(tmp_path: Path) -> None:
    """Else every study would be reported as failed."""
    home = tmp_path / "models" / "tool" / "1.0.0"
    home.mkdir(parents=True)
    (home / "model.yaml").write_text(PROGRAM)
    content = manifest_bytes(hashes_of(home))
    (home / MANIFEST).write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    (found,) = mistakes(tmp_path, ONE.replace("lungs", "tool"), need_models=True)
    assert found == (
        "a.yaml:6: routes.0.model: tool 1.0.0 brings code of its own: read it, then name its hash "
        f"in the configuration, node.trusted_models: [{sha256}]"
    )
    trusted = HEAD.replace("MODELS}", f"MODELS, trusted_models: [{sha256}]}}")
    text = trusted.replace("MODELS", str(tmp_path / "models")) + ONE.replace("lungs", "tool")
    (tmp_path / "a.yaml").write_text(text)
    load(tmp_path, {}, need_models=True)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("2024-13-45", "a date or a number that cannot be one"),
        ("!!int x", "a date or a number that cannot be one"),
        ("[" * 2000, "more than 100 brackets within brackets"),
    ],
)
def test_a_value_that_yaml_cannot_make_is_a_mistake_like_others(
    tmp_path: Path, value: str, says: str
) -> None:
    (tmp_path / "a.yaml").write_text(f"node: {value}")
    with pytest.raises(ConfigError, match=rf"a\.yaml:1: {says}"):
        load(tmp_path, {})
    (tmp_path / "a.yaml").write_text("node: {ae_title: AI}")
    with pytest.raises(ConfigError, match="environment DICOM_AI_NODE__NODE__PORT"):
        load(tmp_path, {"DICOM_AI_NODE__NODE__PORT": value})
