"""Findings over a patient's studies: one tracking UID, and the earlier numbers beside the new."""

from dataclasses import replace

import pytest

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.encoders.follow_up import follow_up, study_date, tracked_study_of
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.job import Outcome
from dicom_ai_node.laterality import Laterality
from dicom_ai_node.result import Finding, Measurement, Result
from dicom_ai_node.tracked import TrackedStudy
from tests import dicom_factory
from tests.encoders import made

TRACKING_UID, COMMENT = "112040", "121106"
NODULE = made.Code("27925004", "SCT", "Nodule")
LEFT_LUNG = made.Code("39607008", "SCT", "Lung")


@pytest.fixture(scope="module")
def instances():
    """Of 2026-01-02."""
    return dicom_factory.series(name="followed", shape=(6, 20, 24))


@pytest.fixture(scope="module")
def result(instances):
    return made.findings(instances)


def left_by(result, date="20250301", version="1.2", job_key="b" * 64):
    """What an earlier run of the same model left."""
    ids, package = DerivedIds(job_key=job_key), made.PACKAGE.model_copy(update={"version": version})
    return tracked_study_of(result, ids, package, follow_up(result, (), date), date)


def report_of(result, instances, *earlier):
    objects = made.encoded(result, instances, made.run(earlier=earlier))
    return objects.get("seg"), objects["sr"]


def tracked(ds):
    return {item.UID for item in made.named(ds, TRACKING_UID)}


def earlier_comments(sr):
    found = [item.TextValue for item in made.named(sr, COMMENT)]
    return [text for text in found if text.startswith("Earlier")]


def volume(name, millilitres, **more):
    measured = Measurement(name=made.VOLUME, value=millilitres, unit=made.MILLILITER)
    return Finding(tracking_identifier=name, code=NODULE, measurements=(measured,), **more)


def found(*findings):
    return Result(outcome=Outcome.FINDINGS, findings=findings)


def test_segments_keep_their_tracking_uid_in_seg_and_report(instances, result):
    before = left_by(result)
    seg, sr = report_of(result, instances, before)
    uids = {each.uid for each in before.findings}
    assert len(uids) == 2
    assert {segment.TrackingUID for segment in seg.SegmentSequence} == uids
    assert tracked(sr) == uids


def test_the_earlier_value_stands_beside_the_new_one(instances, result):
    lung, heart = result.findings
    value = replace(lung.measurements[0], value=1705.2)
    before = left_by(replace(result, findings=(replace(lung, measurements=(value,)), heart)))
    _, sr = report_of(result, instances, before)
    assert "Earlier (2025-03-01, phantom-box 1.2): Volume 1705.2 mL." in earlier_comments(sr)
    assert len(earlier_comments(sr)) == 2


def test_another_version_of_the_model_is_said(instances, result):
    _, sr = report_of(result, instances, left_by(result, version="1.1"))
    assert all(
        "2025-03-01, phantom-box 1.1, another version of the model" in text
        for text in earlier_comments(sr)
    )


def test_a_value_in_another_unit_is_not_told(instances, result):
    lung, _ = result.findings
    litres = replace(lung.measurements[0], unit=made.Code("L", "UCUM", "L"))
    before = left_by(replace(result, findings=(replace(lung, measurements=(litres,)),)))
    _, sr = report_of(result, instances, before)
    assert earlier_comments(sr) == ["Earlier (2025-03-01, phantom-box 1.2): the same finding."]


def test_the_newest_study_before_this_one_is_followed(instances, result):
    studies = [
        left_by(result, date, job_key=key * 64)
        for date, key in (
            ("20250301", "b"),
            ("20250901", "c"),
            ("20260102", "d"),
            ("20260601", "e"),
        )
    ]
    _, sr = report_of(result, instances, *studies)
    assert tracked(sr) == {each.uid for each in studies[1].findings}
    assert all("2025-09-01" in text for text in earlier_comments(sr))


@pytest.mark.parametrize("date", ["20260102", "20270101", "", "2025-3-1", "19999999"])
def test_a_study_of_no_earlier_day_is_not_followed(instances, result, date):
    before = left_by(result, date)
    _, sr = report_of(result, instances, before)
    assert not tracked(sr) & {each.uid for each in before.findings}
    assert earlier_comments(sr) == []


def test_without_an_earlier_study_nothing_changes(instances, result):
    plain = encode(result, made.without_pixels(instances), made.run(), ("seg", "sr"))
    later = left_by(result, "20270101")
    again = made.run(earlier=(later,))
    objects = encode(result, made.without_pixels(instances), again, ("seg", "sr"))
    assert [each.dataset for each in plain] == [each.dataset for each in objects]


def test_several_of_a_kind_are_not_told_apart_by_their_numbers(instances):
    before = left_by(found(volume("Nodule 1", 2.0), volume("Nodule 2", 1.0)))
    _, sr = report_of(found(volume("Nodule 1", 3.0)), instances, before)
    assert earlier_comments(sr) == []
    before = left_by(found(volume("Nodule 1", 2.0)))
    _, sr = report_of(found(volume("Nodule 1", 3.0), volume("Nodule 2", 1.0)), instances, before)
    assert earlier_comments(sr) == []
    assert len(tracked(sr)) == 2


def test_the_only_one_of_a_kind_is_the_same_whatever_its_number(instances):
    before = left_by(found(volume("Nodule 2", 2.0)))
    _, sr = report_of(found(volume("Nodule 1", 3.0)), instances, before)
    assert earlier_comments(sr) == ["Earlier (2025-03-01, phantom-box 1.2): Volume 2 mL."]
    assert tracked(sr) == {before.findings[0].uid}


@pytest.mark.result_rule(24)
def test_the_other_side_is_another_thing(instances):
    left = volume("Nodule", 2.0, site=LEFT_LUNG, laterality=Laterality.LEFT)
    right = replace(left, laterality=Laterality.RIGHT)
    _, sr = report_of(found(right), instances, left_by(found(left)))
    assert earlier_comments(sr) == []


def test_nobody_is_followed_without_a_patient_id(result):
    (header, *_) = dicom_factory.series(name="anonymous", patient_id="", shape=(1, 4, 4))
    assert study_date(header) == ""
    (header, *_) = dicom_factory.series(name="anonymous", shape=(1, 4, 4))
    assert study_date(header) == "20260102"


def test_what_a_run_leaves_goes_on_under_the_uid_that_it_took_over(instances, result):
    first = left_by(result)
    later = follow_up(result, (first,), "20260102")
    ids = DerivedIds(job_key="c" * 64)
    second: TrackedStudy = tracked_study_of(result, ids, made.PACKAGE, later, "20260102")
    assert [each.uid for each in second.findings] == [each.uid for each in first.findings]
