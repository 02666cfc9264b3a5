"""By what a study was taken as complete, as an administrator asks for it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_ai_node.cli.app import app
from dicom_ai_node.config.settings import Config
from dicom_ai_node.database import expectations
from dicom_ai_node.database.engine import Database
from dicom_ai_node.intake.intake import Intake
from dicom_ai_node.spool import Spool
from dicom_ai_node.study import WHOLE_STUDY, Expected, Source
from tests.dicom_factory import series
from tests.made import IS_MR, arrive, bright, configuration

NOW = 1_700_000_000.0
HERE = series(shape=(3, 8, 8))
STUDY, SERIES = HERE[0].StudyInstanceUID, HERE[0].SeriesInstanceUID


def expect(database: Database, number: int) -> None:
    """The PACS says so, and that nothing follows."""
    said = [
        Expected(
            study_instance_uid=STUDY,
            series_instance_uid=uid,
            source=Source.PACS,
            origin="pacs",
            instances=number,
            is_final=True,
            at=NOW,
        )
        for uid in (WHOLE_STUDY, SERIES)
    ]
    with database.write() as connection:
        expectations.replace(connection, said)


@pytest.fixture
def folder(config: Config, tmp_path: Path) -> Path:
    """A configuration directory for the verbs."""
    made = tmp_path / "config"
    made.mkdir()
    (made / "node.yaml").write_text(config.model_dump_json(by_alias=True, include={"node"}))
    return made


def ask(folder: Path, *words: str) -> str:
    done = CliRunner(env={"COLUMNS": "300"}).invoke(
        app, ["studies", *words, "--config", str(folder)]
    )
    assert done.exit_code == 0, done.output
    return done.output


def test_the_evidence_is_shown(
    config: Config, spool: Spool, database: Database, tmp_path: Path, folder: Path
) -> None:
    intake = Intake(
        config=config, models={"bright": bright(tmp_path)}, spool=spool, database=database
    )
    arrive(spool, database, HERE, now=NOW)
    expect(database, 3)
    assert intake.settle_quiet(now=NOW) == 1
    sentence = "Taken as complete: all 3 images of 1 series are here, as pacs counts them."
    assert sentence in ask(folder, "show", STUDY)
    explained = ask(folder, "explain", STUDY)
    assert sentence in explained
    assert f"pacs (pacs) has 3 images of series {SERIES}" in explained
    found = json.loads(ask(folder, "explain", STUDY, "--json"))
    assert found["evidence"] == "all 3 images of 1 series are here, as pacs counts them"
    assert {each["instances"] for each in found["expected"]} == {3}


def test_what_an_incomplete_study_waits_for_is_shown(
    config: Config, spool: Spool, database: Database, tmp_path: Path, folder: Path
) -> None:
    intake = Intake(
        config=config, models={"bright": bright(tmp_path)}, spool=spool, database=database
    )
    arrive(spool, database, HERE, now=NOW)
    expect(database, 5)
    intake.settle_quiet(now=NOW + 61)
    assert f"incomplete: series {SERIES}: 3 of 5 images came, by pacs" in ask(folder, "show", STUDY)


def test_what_stands_in_a_header_is_no_markup(
    config: Config, spool: Spool, database: Database, tmp_path: Path, folder: Path
) -> None:
    """A reason may quote a description: with brackets in it, every list of studies failed."""
    intake = Intake(
        config=config, models={"bright": bright(tmp_path)}, spool=spool, database=database
    )
    arrive(spool, database, HERE, now=NOW, calling="[/red]")
    intake.settle_quiet(now=NOW + 61)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE study SET reason = 'SeriesDescription is [/red] scout'")
    for words in (["list"], ["show", STUDY], ["explain", STUDY]):
        assert "is [/red] scout" in ask(folder, *words)


def test_a_settled_study_is_judged_again_by_the_rules_as_they_are(
    config: Config, spool: Spool, database: Database, tmp_path: Path, folder: Path
) -> None:
    models = {"bright": bright(tmp_path)}
    strict = configuration(
        tmp_path, routes=[{"model": "bright", "send_to": ["archive"], "require": [IS_MR]}]
    )
    before, after = (
        Intake(config=each, models=models, spool=spool, database=database)
        for each in (strict, config)
    )
    arrive(spool, database, HERE, now=NOW)
    assert before.settle_quiet(now=NOW + 61) == 1
    assert after.settle_quiet(now=NOW + 62) == 0
    ask(folder, "judge", STUDY)
    assert after.settle_quiet(now=NOW + 62) == 1
    assert "routed" in ask(folder, "show", STUDY)
