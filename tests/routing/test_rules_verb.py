"""`rules test` on a folder, and the page that explains rules: each of its examples is loaded."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import Result
from ruamel.yaml import YAML
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.config.rules import FACTS, Operator
from dicom_ai_node.config.settings import Config
from dicom_ai_node.config.standing import STANDING
from dicom_ai_node.errors import ConfigError, InputError
from tests.dicom_factory import SAGITTAL, series, write

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
EXAMPLES = [
    YAML(typ="safe", pure=True).load(t) for t in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
]
PACS = {"kind": "dimse", "ae_title": "PACS", "host": "127.0.0.1", "port": 104}


def configured(folder: Path, routes: list[dict[str, Any]]) -> Path:
    """JSON is YAML."""
    home = folder / "config"
    home.mkdir(exist_ok=True)
    node = {"ae_title": "AI_NODE", "database": f"sqlite:///{folder}/none/node.db"}
    whole = {"node": node, "peers": {"pacs": PACS}, "routes": routes}
    (home / "node.yaml").write_text(json.dumps(whole))
    return home


def rules_test(folder: Path, routes: list[dict[str, Any]], *options: str) -> Result:
    config = configured(folder, routes)
    command = ["rules", "test", str(folder / "dicom"), "--config", str(config), *options]
    return CliRunner().invoke(app, command, catch_exceptions=True)


def as_data(folder: Path, routes: list[dict[str, Any]], *options: str) -> Any:
    done = rules_test(folder, routes, "--json", *options)
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def ct(folder: Path, name: str, number: int = 60, **more: Any) -> None:
    spacing = more.pop("spacing", (2.0, 1, 1))
    instances = series(name=name, shape=(number, 4, 4), study="s", spacing=spacing, **more)
    write(instances, folder / "dicom" / name)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    ct(tmp_path, "portal venous")
    ct(tmp_path, "thick portal", 30, spacing=(5.0, 1, 1))
    ct(tmp_path, "sagittal", orientation=SAGITTAL)
    ct(tmp_path, "scout", 2)
    (tmp_path / "dicom" / "readme.txt").write_text("no DICOM")
    return tmp_path


LIVER = EXAMPLES[0]["routes"]


def test_people_read_what_matched_what_failed_and_what_is_taken(study: Path) -> None:
    done = rules_test(study, LIVER)
    assert done.exit_code == 0, done.output
    (thin,) = (text for text in done.output.split("Series of ") if " taken, with" in text)
    assert thin.startswith("60 CT instances (")
    assert "route liver: taken, with a score of 7" in thin
    assert "  + $spacing is 2.0 (between 0.5, 5)\n" in thin
    assert "  + preferred by 3: $spacing is 2.0 (le 2)\n" in thin
    assert "route liver: suits with a score of 4, not taken" in done.output
    assert "  - $plane is sagittal; wanted: eq axial\n" in done.output
    assert "  - $coverage_mm is 2.0; wanted: ge 100\n" in done.output
    assert "`allow: [localizer]` would take it" in done.output
    assert done.output.endswith("Route liver: one job\n")
    assert not (study / "none").exists()  # no database


def test_programs_read_the_same(study: Path) -> None:
    (answer,) = as_data(study, LIVER)
    assert answer["route"] == "liver"
    ((job,),) = (answer["jobs"],)
    (chosen,) = (each for each in answer["verdicts"] if each["chosen"])
    uid = job["image"]["series_instance_uid"]
    assert (chosen["series_instance_uid"], chosen["score"], chosen["part"]) == (uid, 7.0, "")
    assert set(chosen) == {
        *("route", "input", "series_instance_uid", "part", "modality", "instances"),
        *("matched", "chosen", "score", "held_clauses", "failed_clauses"),
    }
    assert [each["matched"] for each in answer["verdicts"]].count(True) == 2


@pytest.mark.fault("D28")
def test_a_description_is_shown_and_does_nothing_else(tmp_path: Path) -> None:
    """Neither to the terminal nor to what draws on it."""
    instances = series(shape=(3, 4, 4), study="s")
    for ds in instances:
        ds.SeriesDescription = "[/b] :bomb: \x1b[31m"
    write(instances, tmp_path / "dicom")
    done = rules_test(tmp_path, LIVER)
    assert done.exit_code == 0, done.output
    clause = {"attr": "SeriesDescription", "op": "eq", "value": "x"}
    done = rules_test(tmp_path, [{"model": "m", "send_to": ["pacs"], "require": [clause]}])
    assert "SeriesDescription is [/b] :bomb: ?[31m; wanted: eq x" in done.output


def test_inputs_that_find_nothing_are_named(study: Path) -> None:
    (answer,) = as_data(study, EXAMPLES[1]["routes"])
    assert answer["jobs"] == []
    assert [text.split(":")[0] for text in answer["missing"]] == [
        "no series for the input t1",
        "no series for the input flair",
    ]
    assert "Route lesions: no job; no series for" in rules_test(study, EXAMPLES[1]["routes"]).output


def test_t1_and_flair_find_their_series(tmp_path: Path) -> None:
    names = ("T1 mprage", "T2 FLAIR", "T1 post", "T2")
    uids = {}
    for name in names:
        instances = series(name=name, modality="MR", shape=(5, 4, 4), study="s")
        uids[name] = instances[0].SeriesInstanceUID
        write(instances, tmp_path / "dicom" / name)
    (answer,) = as_data(tmp_path, EXAMPLES[1]["routes"])
    (job,) = answer["jobs"]
    assert {name: each["series_instance_uid"] for name, each in job.items()} == {
        "t1": uids["T1 mprage"],
        "flair": uids["T2 FLAIR"],
        "t1_contrast": uids["T1 post"],
    }


@pytest.mark.parametrize(("patient", "jobs"), [("PHANTOM-1", 1), ("SOMEBODY-ELSE", 0)])
def test_an_earlier_study_of_the_patient_is_a_prior(
    tmp_path: Path, patient: str, jobs: int
) -> None:
    for name, day, of in (("now", "20260102", "PHANTOM-1"), ("then", "20250102", patient)):
        instances = series(name=name, shape=(5, 4, 4), spacing=(2.0, 1, 1), patient_id=of)
        for ds in instances:
            ds.StudyDate = day
        write(instances, tmp_path / "dicom" / name)
    answers = as_data(tmp_path, EXAMPLES[3]["routes"])
    assert sum(len(each["jobs"]) for each in answers) == jobs


def test_the_titles_can_be_given(study: Path) -> None:
    asked = {"model": "m", "send_to": ["pacs"]}
    clauses = [
        {"attr": "$calling_ae", "op": "eq", "value": "CT1"},
        {"attr": "$called_ae", "op": "eq", "value": "AI_NODE"},
    ]
    routes = [{**asked, "require": clauses}]
    assert as_data(study, routes)[0]["jobs"] == []
    assert len(as_data(study, routes, "--calling-ae", "CT1")[0]["jobs"]) == 3
    options = ("--calling-ae", "CT1", "--called-ae", "OTHER")
    assert as_data(study, routes, *options)[0]["jobs"] == []


def test_without_images_or_routes_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "dicom").mkdir()
    assert isinstance(rules_test(tmp_path, LIVER).exception, InputError)
    assert isinstance(rules_test(tmp_path, []).exception, ConfigError)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e["routes"][-1]["model"])
def test_every_example_of_the_page_is_a_configuration(example: dict[str, Any]) -> None:
    peers = {"pacs": PACS}
    Config.model_validate({"node": {"ae_title": "A"}, "peers": peers, **example})


def test_the_page_names_every_fact_operator_and_exclusion() -> None:
    for word in (*(f"${fact}" for fact in FACTS), *get_args(Operator), *STANDING):
        assert f"`{word}`" in PAGE
