"""Corrections that come: what is queued stops, what was sent is taken back, once, at each peer."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from structlog.testing import capture_logs

from dicom_ai_node.database import rejections, studies
from dicom_ai_node.errors import NodeError
from dicom_ai_node.intake import corrections as reading
from dicom_ai_node.job import JobState
from dicom_ai_node.purge import purge_expired
from dicom_ai_node.retraction.due import DueRecalls
from dicom_ai_node.study import StudyState
from tests.dicom_factory import series
from tests.intake.rejected import QUALITY, RETENTION, SAFETY, WORKLIST, note
from tests.made import arrive
from tests.retraction.site import LONG_AGO, Site, key, named, notes, received, site

LATER = LONG_AGO + 1000


@pytest.fixture
def here(tmp_path: Path, empty_database: Path) -> Iterator[Site]:
    with site(tmp_path, empty_database) as made:
        del made.road.config.peers["archive"]  # one peer and one model are enough
        routes = [
            each.model_copy(update={"send_to": ("pacs",)}) for each in made.road.config.routes
        ]
        made.road.intake.config = made.road.config.model_copy(update={"routes": (routes[1],)})
        yield made


def comes(here: Site, instances: Sequence[Dataset], *, now: float = LATER) -> None:
    arrive(here.road.spool, here.road.database, instances, now=now)


def settles(here: Site, *, after: float = 100) -> None:
    here.road.intake.settle_quiet(now=LATER + after)


def taken_back(here: Site, *, after: float = 0) -> int:
    """What the role does that may write notes; how many jobs' results it took back."""
    config, spool, database = here.road.config, here.road.spool, here.road.database
    return DueRecalls(config=config, spool=spool, database=database).do(now=database.now() + after)


def study(here: Site, ds: Dataset) -> tuple[str, str | None]:
    with here.road.database.read() as connection:
        row = studies.find(connection, ds.StudyInstanceUID)
    assert row is not None
    return row["state"], row["reason"]


def results(here: Site) -> set[tuple[str, str, str]]:
    return {key(ds) for ds in received(here.pacs)} - {key(ds) for ds in notes(here.pacs)}


@pytest.mark.parametrize(
    ("title", "told"), [(QUALITY, "113001"), (SAFETY, "113037"), (WORKLIST, "113037")]
)
def test_results_of_rejected_images_are_rejected_once_where_they_are(
    here: Site, title: Code, told: str
) -> None:
    images = here.come("one")
    here.deliver("pacs")
    sent = results(here)
    assert sent
    comes(here, [note(title, images)])
    settles(here)
    assert taken_back(here) == 1
    here.deliver("pacs")
    settles(here, after=200)
    assert taken_back(here) == 0
    here.deliver("pacs", after=1000)
    (rejection,) = notes(here.pacs)
    assert named(rejection) == sent == results(here)
    assert rejection.ConceptNameCodeSequence[0].CodeValue == told
    text = " ".join(item.get("TextValue", "") for item in rejection.ContentSequence)
    assert f"were taken back: a rejection note came ({title.meaning})" in text
    state, reason = study(here, images[0])
    assert state == StudyState.REFUSED
    assert reason is not None
    assert reason.startswith(f"6 of its instances were rejected by a note ({title.meaning})")


def test_a_job_that_waits_on_rejected_images_is_not_run(here: Site) -> None:
    images = series(name="one", shape=(6, 8, 8))
    comes(here, images, now=LONG_AGO)
    settles(here)
    (queued,) = here.road.jobs()
    assert queued.state is JobState.QUEUED
    comes(here, [note(QUALITY, images)])
    here.road.intake.settle_quiet(now=LATER)  # at once: the study itself is not quiet yet
    (stopped,) = here.road.jobs()
    assert stopped.state is JobState.CANCELLED
    settles(here)
    assert (len(here.road.jobs()), here.road.work()) == (1, 0)


def test_what_is_not_sent_yet_is_not_sent_any_more(here: Site) -> None:
    images = here.come("one")
    comes(here, [note(QUALITY, images)])
    settles(here)
    here.deliver("pacs", after=1000)
    assert results(here) == set()


@pytest.mark.parametrize("retried", ["undelivered", "quarantined"])
def test_nothing_made_of_rejected_images_is_retried(here: Site, retried: str) -> None:
    images = here.come("one") if retried == "undelivered" else series(name="one", shape=(6, 8, 8))
    if retried == "undelivered":
        here.pacs.answer = lambda _: 0xC000
        here.deliver("pacs")
    else:
        comes(here, images, now=LONG_AGO)
        settles(here)
        quarantine(here)
    (made,) = here.road.jobs()
    assert made.state == retried
    comes(here, [note(QUALITY, images)])
    settles(here)
    refused = here.say("jobs", "retry", str(made.id))
    assert isinstance(refused.exception, NodeError)
    assert here.road.jobs()[0].state == retried


def quarantine(here: Site) -> None:
    from dicom_ai_node.database import leases

    with here.road.database.write() as connection:
        leased = leases.claim(connection, worker="w", lease_s=60, now=here.road.database.now())
        assert leased is not None
        leases.give_back(
            connection, leased, error_kind="e", error_text="e", max_attempts=0, now=LATER
        )


def test_a_note_may_come_before_its_images(here: Site) -> None:
    images = series(name="one", shape=(6, 8, 8))
    comes(here, [note(SAFETY, images)], now=LONG_AGO)
    settles(here)
    comes(here, images)
    settles(here)
    state, reason = study(here, images[0])
    assert (here.road.jobs(), state) == ([], StudyState.REFUSED)
    assert reason is not None
    assert "6 of its instances were rejected" in reason


def test_the_rest_of_the_study_is_judged_without_what_was_rejected(here: Site) -> None:
    """The first series is bad, and a second one was acquired."""
    bad, good = (
        series(name=name, study="both", shape=(6, 8, 8), patient_id="P") for name in ("bad", "good")
    )
    comes(here, bad, now=LONG_AGO)
    settles(here)
    here.road.work()
    here.deliver("pacs")
    before = results(here)
    comes(here, [*good, note(QUALITY, bad)])
    settles(here)
    here.road.work()
    taken_back(here)
    here.deliver("pacs")
    assert named(notes(here.pacs)[0]) == before
    assert len(results(here) - before) == len(before)
    used = [set(job.inputs["image"]) for job in here.road.jobs() if "image" in job.inputs]
    assert used == [{ds.SOPInstanceUID for ds in each} for each in (bad, good)]
    state, reason = study(here, bad[0])
    assert state == StudyState.ROUTED
    assert reason is not None
    assert "6 of its instances were rejected" in reason


def test_images_that_are_only_too_old_leave_their_results_alone(here: Site) -> None:
    images = here.come("one")
    here.deliver("pacs")
    comes(here, [note(RETENTION, images)])
    settles(here)
    taken_back(here)
    here.deliver("pacs", after=1000)
    assert notes(here.pacs) == []
    here.must("studies", "judge", images[0].StudyInstanceUID)
    settles(here, after=300)
    assert len(here.road.jobs()) == 1


def test_our_own_note_comes_back_and_nothing_happens(here: Site) -> None:
    """A PACS that sends on whatever comes: no second note, no result that was taken back again."""
    images = here.come("one")
    here.deliver("pacs")
    here.must("results", "retract", "--study", images[0].StudyInstanceUID, "--yes")
    here.deliver("pacs")
    before = study(here, images[0])
    jobs = here.road.jobs()
    for ds in received(here.pacs):
        ds.file_meta = images[0].file_meta.copy()
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        comes(here, [ds])
    settles(here)
    assert study(here, images[0]) == before
    comes(here, [series(name="more", study="one", shape=(1, 8, 8), modality="MR")[0]])
    settles(here, after=300)
    old = {ds.SOPInstanceUID for ds in images}
    assert [job for job in here.road.jobs() if old & set(job.inputs.get("image", ()))] == [jobs[0]]
    assert taken_back(here) == 0


def test_a_note_that_cannot_be_written_yet_is_written_later(here: Site) -> None:
    images = here.come("one")
    here.deliver("pacs")
    comes(here, [note(QUALITY, images)])
    settles(here)
    gone = here.road.config.peers.pop("pacs")
    assert (taken_back(here), taken_back(here, after=1)) == (0, 0)
    shown = here.must("studies", "show", images[0].StudyInstanceUID)
    assert "Results that are being taken back: pacs: pacs is configured no longer" in shown
    here.road.config.peers["pacs"] = gone
    assert taken_back(here, after=40) == 1
    here.deliver("pacs")
    assert named(notes(here.pacs)[0]) == results(here)


def test_a_clock_that_is_set_back_puts_off_no_note(here: Site) -> None:
    images = here.come("one")
    here.deliver("pacs")
    comes(here, [note(QUALITY, images)])
    settles(here)
    ahead_s = here.road.database.now() - LATER
    assert taken_back(here, after=-ahead_s - 1000) == 0, "within the pauses there are"
    assert taken_back(here, after=-ahead_s - 86_400) == 1


def test_results_of_a_study_that_was_purged_are_taken_back_too(here: Site) -> None:
    images = here.come("one")
    here.deliver("pacs")
    year_s = 365 * 86_400
    now = here.road.database.now() + year_s
    assert purge_expired(here.road.config, here.road.spool, here.road.database, now=now) == 1
    comes(here, [note(SAFETY, images)])
    settles(here)
    assert taken_back(here) == 1
    here.deliver("pacs")
    (rejection,) = notes(here.pacs)
    assert named(rejection) == results(here)
    assert rejection.PatientID == images[0].PatientID


def test_a_note_that_cannot_be_read_now_is_read_at_the_next_look(here: Site) -> None:
    """The disk fails for a moment, and nothing else comes; it is said once."""
    images = here.come("one")
    here.deliver("pacs")
    rejects = note(SAFETY, images)
    comes(here, [rejects])
    with here.road.database.read() as connection:
        (unread,) = rejections.unread(connection)
    path = here.road.spool.instance_path(unread["file"])
    away = path.rename(path.with_suffix(".away"))
    looks = here.road.intake._corrections
    vars(reading.log).pop("bind", None)  # a test before this one may have configured it for good
    with capture_logs() as logs:
        for after in (100, 101, 102):
            looks.look(now=LATER + after)
    assert [each["event"] for each in logs] == ["note_not_read"]
    away.rename(path)
    looks.look(now=LATER + 103)
    assert taken_back(here) == 1


@pytest.mark.parametrize("damage", ["no rejection", "bytes"])
def test_other_key_objects_reject_nothing(here: Site, damage: str) -> None:
    images = here.come("one")
    here.deliver("pacs")
    made = note(codes.DCM.OfInterest if damage == "no rejection" else QUALITY, images)
    comes(here, [made])
    if damage == "bytes":
        newest = max(
            (path for path in (here.home / "spool" / "instances").rglob("*") if path.is_file()),
            key=lambda path: path.stat().st_mtime_ns,
        )
        newest.write_bytes(newest.read_bytes()[:600] + b"\xff" * 300)
    settles(here)
    assert taken_back(here) == 0
    state, _ = study(here, images[0])
    assert state in (StudyState.ROUTED, StudyState.NEEDS_REVIEW)
    here.come("two")
    assert here.deliver("pacs") > 0


def marking(here: Site, **kept: str) -> None:
    corrections = here.road.config.corrections.model_copy(update=kept)
    changed = here.road.intake.config.model_copy(update={"corrections": corrections})
    here.road.intake._corrections.config = changed


def test_where_it_is_configured_a_person_decides_about_results_that_are_out(here: Site) -> None:
    images = here.come("one")
    here.deliver("pacs")
    marking(here, rejected="mark")
    comes(here, [note(QUALITY, images)])
    settles(here)
    assert taken_back(here) == 0
    uid = images[0].StudyInstanceUID
    assert f"results retract --study {uid}" in here.must("studies", "show", uid)
    assert "wrong images" in here.must("results", "list", "--study", uid)
    done = json.loads(here.must("results", "retract", "--study", uid, "--yes", "--json"))
    assert (done["disabled"], len(done["notes"])) == ([], 1)
    here.deliver("pacs")
    assert named(notes(here.pacs)[0]) == results(here)
    assert "results retract" not in here.must("studies", "show", uid)


def of_another_patient(images: Sequence[Dataset], *, new_instances: bool) -> list[Dataset]:
    """The study under the same UIDs, as a PACS has it after a merge."""
    changed = series(
        name="late" if new_instances else "one",
        study="one",
        shape=(6, 8, 8),
        patient_name="Right^One",
        patient_id="OTHER",
    )
    assert changed[0].StudyInstanceUID == images[0].StudyInstanceUID
    return changed


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.levelname for each in caplog.records if "patient_corrected" in str(each.msg)]


@pytest.mark.fault("D8")
@pytest.mark.parametrize("new_instances", [False, True])
def test_results_that_are_out_under_the_wrong_name_are_said(
    here: Site, new_instances: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether the same images come with another name, or others of the study do."""
    images = here.come("one")
    here.deliver("pacs")
    comes(here, of_another_patient(images, new_instances=new_instances))
    settles(here)
    settles(here, after=200)
    assert alarms(caplog) == ["ERROR"]
    state, reason = study(here, images[0])
    assert state == StudyState.NEEDS_REVIEW
    assert reason is not None
    assert "different patients" in reason
    uid = images[0].StudyInstanceUID
    assert f"results retract --study {uid}" in here.must("studies", "show", uid)
    assert taken_back(here) == 0
    here.must("results", "retract", "--study", uid, "--yes")
    here.deliver("pacs")
    (rejection,) = notes(here.pacs)
    assert named(rejection) == results(here)
    assert (rejection.PatientID, rejection.PatientName) == ("PHANTOM-1", images[0].PatientName)
    here.come("another study")
    assert here.deliver("pacs") > 0


@pytest.mark.fault("D8")
def test_they_are_taken_back_at_once_where_that_is_configured(here: Site) -> None:
    images = here.come("one")
    here.deliver("pacs")
    marking(here, patient="retract")
    comes(here, of_another_patient(images, new_instances=True))
    settles(here)
    assert taken_back(here) == 1
    here.deliver("pacs")
    (rejection,) = notes(here.pacs)
    assert named(rejection) == results(here)
    assert rejection.PatientID == "PHANTOM-1"


@pytest.mark.fault("D8")
@pytest.mark.parametrize("new_instances", [False, True])
def test_a_note_takes_back_what_was_only_marked_because_the_patient_differs(
    here: Site, new_instances: bool
) -> None:
    """The PACS corrects the patient, and rejects the old images afterwards."""
    images = here.come("one")
    here.deliver("pacs")
    comes(here, of_another_patient(images, new_instances=new_instances))
    settles(here)
    assert taken_back(here) == 0
    comes(here, [note(SAFETY, images)])
    settles(here, after=200)
    assert taken_back(here) == 1
    settles(here, after=300)
    assert taken_back(here) == 0
    here.deliver("pacs")
    (rejection,) = notes(here.pacs)
    assert named(rejection) == results(here)


def test_after_a_look_what_a_note_has_rejected_stays_rejected(here: Site) -> None:
    images = here.come("one")
    here.deliver("pacs")
    marking(here, rejected="mark")
    comes(here, of_another_patient(images, new_instances=False))
    settles(here)
    comes(here, [note(SAFETY, images)])
    settles(here, after=200)
    uid = images[0].StudyInstanceUID
    here.must("studies", "judge", uid, "--reviewed")
    settles(here, after=300)
    assert "not to be used" in here.must("studies", "show", uid)
    assert "wrong images" in here.must("results", "list", "--study", uid)


def test_two_contents_of_one_patient_are_no_other_patient(
    here: Site, caplog: pytest.LogCaptureFixture
) -> None:
    images = here.come("one")
    here.deliver("pacs")
    changed = series(name="one", shape=(6, 8, 8), body_part="HEAD")
    comes(here, changed)
    settles(here)
    assert alarms(caplog) == []
    assert "different contents" in str(study(here, images[0])[1])


def test_one_job_alone_is_taken_back(here: Site) -> None:
    here.come("one")
    here.come("two")
    here.deliver("pacs")
    first, second = here.road.jobs()
    here.must("results", "retract", "--job", str(first.id), "--yes")
    here.deliver("pacs")
    (rejection,) = notes(here.pacs)
    assert rejection.StudyInstanceUID == first.study_instance_uid != second.study_instance_uid
    assert isinstance(here.say("results", "retract", "--yes").exception, NodeError)


def commands() -> list[list[str]]:
    page = (Path(__file__).parents[2] / "docs" / "corrections.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines() if line]


def test_the_commands_of_the_page(here: Site) -> None:
    """A study whose patient differs; then one result of another study, made again."""
    show, listing, look, retract, retract_job, judge = commands()
    images = here.come("one")
    here.deliver("pacs")
    comes(here, of_another_patient(images, new_instances=True))
    settles(here)
    for command in (show, listing, look, retract):
        words = [images[0].StudyInstanceUID if word == "UID" else word for word in command]
        done = here.must(*words)
    assert "1 notes are queued" in done
    (other, *_) = here.come("two")
    here.deliver("pacs")
    number = str(here.road.jobs()[-1].id)
    here.must(*(number if word == "17" else word for word in retract_job))
    here.must(*(other.StudyInstanceUID if word == "UID" else word for word in judge))
    here.road.intake.settle_quiet(now=here.road.database.now())
    here.road.work()
    here.deliver("pacs")
    assert len(notes(here.pacs)) == 2
    made = [job for job in here.road.jobs() if job.study_instance_uid == other.StudyInstanceUID]
    assert [job.state for job in made] == [JobState.DONE] * 3  # the result, its note, and anew


def test_after_a_look_what_was_sent_counts_as_right_again(here: Site) -> None:
    """`studies judge --reviewed`: the first name was right."""
    images = here.come("one")
    here.deliver("pacs")
    comes(here, of_another_patient(images, new_instances=False))
    settles(here)
    uid = images[0].StudyInstanceUID
    assert "not to be used" in here.must("studies", "show", uid)
    here.must("studies", "judge", uid, "--reviewed")
    settles(here, after=300)
    assert "not to be used" not in here.must("studies", "show", uid)
    assert study(here, images[0]) == (StudyState.ROUTED, None)
    assert [job.state for job in here.road.jobs()] == [JobState.DONE]


def test_after_a_look_what_was_taken_back_is_made_anew(here: Site) -> None:
    images = here.come("one")
    here.deliver("pacs")
    marking(here, patient="retract")
    comes(here, of_another_patient(images, new_instances=False))
    settles(here)
    assert taken_back(here) == 1
    here.must("studies", "judge", images[0].StudyInstanceUID, "--reviewed")
    here.road.intake.settle_quiet(now=here.road.database.now())
    assert here.road.work() == 1
