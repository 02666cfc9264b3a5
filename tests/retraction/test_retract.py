"""A recalled model: every peer that has results of it is told once, whatever happens between."""

import json
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID, KeyObjectSelectionDocumentStorage
from sqlalchemy import delete, update

from dicom_ai_node.config.disabled import read_disabled
from dicom_ai_node.config.load import load
from dicom_ai_node.database.tables import delivery, job, job_event
from dicom_ai_node.errors import NodeError
from dicom_ai_node.job import JobState
from tests.dicom_factory import write
from tests.retraction.site import (
    MODEL,
    Site,
    is_of,
    key,
    named,
    notes,
    received,
    write_config,
)
from tests.validators import dcentvfy, dciodvfy, dsrdump, sr_validator


def test_a_note_names_what_the_model_has_at_the_peer_and_nothing_else(here: Site) -> None:
    made = here.come("one")
    here.deliver()
    sent = received(here.pacs)
    assert {is_of(ds, "bright") for ds in sent} == {True, False}
    done = here.retract("--reason", "it marks the table.")
    here.deliver()
    (note,) = notes(here.pacs)
    assert named(note) == {key(ds) for ds in sent if is_of(ds, MODEL)}
    (title,) = note.ConceptNameCodeSequence
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113037", "DCM")
    assert note.StudyInstanceUID == made[0].StudyInstanceUID
    texts = [item.TextValue for item in note.ContentSequence if item.ValueType == "TEXT"]
    why = f"{MODEL} 1.0.0 was recalled: it marks the table."
    assert any(text.startswith(why) for text in texts)
    assert [each["peer"] for each in done["notes"]] == ["archive", "pacs"]
    assert {each["retracted"] for each in here.listing()} == {"rejected"}
    assert {each["retracted"] for each in here.listing("bright")} == {None}
    files = [pydicom.dcmread(path) for path in (here.home / "results").glob("*.dcm")]
    assert len([ds for ds in files if ds.Modality == "KO"]) == 1


def note_in_folder(here: Site) -> Path:
    """Of the peer that is a folder."""
    paths = (here.home / "results").glob("*.dcm")
    (path,) = (path for path in paths if pydicom.dcmread(path).Modality == "KO")
    return path


def test_the_other_title(here: Site) -> None:
    here.come("one")
    here.deliver()
    here.retract("--for", "quality")
    here.deliver()
    (note,) = notes(here.pacs)
    assert note.ConceptNameCodeSequence[0].CodeValue == "113001"


def test_running_it_twice_sends_nothing_twice(here: Site) -> None:
    here.come("one")
    here.deliver()
    assert len(here.retract()["notes"]) == 2
    again = here.retract("--reason", "in other words", "--for", "quality")
    assert (again["notes"], again["retracted_jobs"]) == ([], 0)
    here.deliver()
    third = here.retract()
    assert (third["notes"], third["rejected_before"]) == ([], 4)
    here.deliver()
    assert len(notes(here.pacs)) == 1


def test_a_run_that_was_killed_between_file_and_row_is_completed(here: Site) -> None:
    """The note that lies in the outbox is sent, and no second one is made."""
    here.come("one")
    here.deliver()
    made = {each["job"] for each in here.retract()["notes"]}
    with here.road.database.write() as connection:  # as though it had not come so far
        for table, column in ((job_event, "job_id"), (delivery, "job_id"), (job, "id")):
            connection.execute(delete(table).where(table.c[column].in_(made)))
    files = set((here.home / "spool" / "outbox").glob("*/*/*-rejection.dcm"))
    before = {path: path.read_bytes() for path in files}
    assert len(here.retract("--reason", "another")["notes"]) == 2
    after = set((here.home / "spool" / "outbox").glob("*/*/*-rejection.dcm"))
    assert {path: path.read_bytes() for path in after} == before
    here.deliver()
    assert len(notes(here.pacs)) == 1


def test_a_peer_that_is_down_is_told_later(here: Site) -> None:
    here.come("one")
    here.deliver()
    here.road.config.peers.update(write_config(here.home, 1).peers)
    here.retract()
    here.deliver()
    assert notes(here.pacs) == []
    assert {e["retracted"] for e in here.listing() if e["peer"] == "pacs"} == {"note waits"}
    here.road.config.peers.update(write_config(here.home, here.pacs.port).peers)
    here.deliver(after=1000)
    assert len(notes(here.pacs)) == 1


def test_a_peer_that_takes_no_notes_is_not_passed_over_in_silence(here: Site) -> None:
    def answer(sop_class: UID) -> int:
        return 0xA900 if sop_class == KeyObjectSelectionDocumentStorage else 0x0000

    here.come("one")
    here.deliver()
    here.pacs.answer = answer
    here.retract()
    here.deliver()
    assert {e["retracted"] for e in here.listing() if e["peer"] == "pacs"} == {"note refused"}
    again = here.say("results", "retract", "--model", MODEL, "--yes")
    assert again.exit_code == 1
    assert "By hand: study" in again.output
    assert "did not take the rejection note" in again.output
    (undelivered,) = (each for each in here.jobs() if each.state is JobState.UNDELIVERED)
    here.pacs.answer = lambda _: 0x0000
    assert str(undelivered.error_text).startswith("rejection for pacs: A900: ")
    here.must("jobs", "retry", str(undelivered.id))
    here.deliver(after=1)
    assert next(each for each in here.jobs() if each.id == undelivered.id).error_text is None
    assert {each["retracted"] for each in here.listing()} == {"rejected"}


@pytest.mark.validators
@pytest.mark.result_rule(1, 18, 19, 28)
def test_independent_programs_find_no_error_in_a_note(here: Site, tmp_path: Path) -> None:
    sources = write(here.come("one"), tmp_path / "source")
    here.deliver()
    results = list((here.home / "results").glob("*.dcm"))
    here.retract("--reason", "it marks the table")
    here.deliver()
    path = note_in_folder(here)
    assert dciodvfy(path) == []
    assert dcentvfy([*sources, *results, path]) == []
    assert sr_validator(path) == []
    assert "was recalled: it marks the table." in dsrdump(path)


@pytest.mark.result_rule(1, 23)
def test_the_patient_stands_in_a_note_in_the_bytes_that_came(here: Site, tmp_path: Path) -> None:
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    made = here.come("one", charset=["", "ISO 2022 IR 87"], patient_name=name)
    sources = write(made, tmp_path)
    here.deliver()
    here.retract("--reason", "it marks the table")
    here.deliver()
    first, note = (pydicom.dcmread(path) for path in (sources[0], note_in_folder(here)))
    for keyword in ("PatientName", "PatientID", "IssuerOfPatientID", "StudyDescription"):
        assert note.get_item(keyword).value == first.get_item(keyword).value
    assert note.PatientName == name
    assert note.SpecificCharacterSet == first.SpecificCharacterSet


def test_only_the_version_that_is_named(here: Site) -> None:
    here.come("one")
    here.deliver()
    words = ("results", "retract", "--model", MODEL, "--yes")
    done = here.say(*words, "--version", "2.0.0")
    assert isinstance(done.exception, NodeError)  # a slip of the pen must not pass for a recall
    assert len(here.retract("--version", "1.0.0")["notes"]) == 2


def test_the_kill_switch_goes_first_and_what_is_queued_waits(here: Site) -> None:
    here.come("one")
    done = here.retract("--reason", "it marks the table")
    assert done["disabled"] == [f"{MODEL} 1.0.0"]
    (marker,) = read_disabled(here.home / "models").values()
    assert marker.why == "recalled: it marks the table"
    before = len(here.jobs())
    here.come("two")
    (waiting,) = here.jobs()[before:]
    assert waiting.state is JobState.QUEUED


def test_looking_first_changes_nothing(here: Site) -> None:
    here.come("one")
    here.deliver()
    before = here.road.jobs()
    said = here.must("results", "retract", "--model", MODEL, "--dry-run")
    assert "4 objects are at peers, or may be: 2 notes reject them." in said
    looked = json.loads(here.must("results", "retract", "--model", MODEL, "--dry-run", "--json"))
    assert sorted(each["peer"] for each in looked["notes"]) == ["archive", "pacs"]
    assert here.say("results", "retract", "--model", MODEL).exit_code == 1  # nobody said yes
    assert here.road.jobs() == before
    assert read_disabled(here.home / "models") == {}
    done = here.say("results", "retract", "--model", MODEL, "--json")
    assert isinstance(done.exception, NodeError)


def test_a_peer_that_is_configured_no_longer_is_left_to_the_administrator(here: Site) -> None:
    here.come("one")
    here.deliver()
    content = json.loads((here.home / "config" / "node.yaml").read_text())
    del content["peers"]["archive"]
    for route in content["routes"]:
        route["send_to"] = ["pacs"]
    (here.home / "config" / "node.yaml").write_text(json.dumps(content))
    done = here.retract(status=1)
    (left,) = done["by_hand"]
    assert left["peer"] == "archive"
    assert "configured no longer" in left["why"]
    assert [each["peer"] for each in done["notes"]] == ["pacs"]


def test_each_job_tells_that_its_results_were_retracted(here: Site) -> None:
    here.come("one")
    here.deliver()
    (made,) = here.jobs()
    here.retract("--reason", "it marks the table")
    shown = json.loads(here.must("jobs", "show", str(made.id), "--json"))
    last = shown["events"][-1]
    assert last["why"] == "retracted by an operator: it marks the table"
    assert shown["state"] == JobState.DONE


def test_a_recall_is_told_in_words(here: Site) -> None:
    here.come("one")
    here.deliver()
    said = here.must("results", "retract", "--model", MODEL, "--yes")
    for sentence in (
        "4 objects are at peers, or may be: 2 notes reject them.",
        f"{MODEL} 1.0.0 is disabled.",
        "1 job marked as retracted.",
        "2 notes are queued; 0 objects were rejected before, and 0 wait for a note",
        f"`dicom-ai-node results list --model {MODEL}`",
    ):
        assert sentence in said
    assert "4 objects are named by notes already." in here.must(
        "results", "retract", "--model", MODEL, "--dry-run"
    )


def test_models_that_worked_on_its_masks_are_named(here: Site) -> None:
    here.come("one")
    first, second = here.road.jobs()
    with here.road.database.write() as connection:
        connection.execute(update(job).where(job.c.id == second.id).values(uses={"mask": first.id}))
    looked = json.loads(here.must("results", "retract", "--model", MODEL, "--dry-run", "--json"))
    assert looked["built_on"] == {"bright 1.0": 1}
    said = here.must("results", "retract", "--model", MODEL, "--dry-run")
    assert "bright 1.0 worked on its masks in 1 job: retract those as well." in said


def test_results_and_notes_are_in_the_language_of_the_site(here: Site) -> None:
    content = json.loads((here.home / "config" / "node.yaml").read_text())
    content["node"]["language"] = "de"
    (here.home / "config" / "node.yaml").write_text(json.dumps(content))
    here.road = replace(here.road, config=load(here.home / "config"))
    here.come("one")
    here.deliver()
    made = {ds.SeriesDescription for ds in received(here.pacs) if is_of(ds, MODEL)}
    assert made
    assert all("(nur für Forschungszwecke)" in description for description in made)
    here.retract("--reason", "er markiert den Tisch")
    here.deliver()
    (note,) = notes(here.pacs)
    assert note.SeriesDescription == "AI: Ergebnisse zurückgerufen"
    texts = [item.TextValue for item in note.ContentSequence if item.ValueType == "TEXT"]
    said = f"{MODEL} 1.0.0 wurde zurückgerufen: er markiert den Tisch. "
    assert any(text.startswith(said) for text in texts)
