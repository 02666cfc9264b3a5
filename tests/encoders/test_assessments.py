"""What has no place: findings of the whole, what is absent or undecided; nothing hides the rest."""

import numpy as np
import pytest

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.encoders.sr.groups import certainty
from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Answer, Assessment, BoxInImage, Finding, Measurement, Result
from tests import dicom_factory
from tests.encoders import made
from tests.validators import dciodvfy, dsrdump, sr_validator

EFFUSION = made.Code("60046008", "SCT", "Pleural effusion")
PNEUMOTHORAX = made.Code("36118008", "SCT", "Pneumothorax")
ABSENT, INDETERMINATE = "2667000", "82334004"
FINDING, CERTAINTY, COMMENT, SUMMARY = "121071", "111012", "121106", "111017"
SOURCE_OF_MEASUREMENT, QUALITATIVE_EVALUATIONS, GROUP = "121112", "C0034375", "125007"


@pytest.fixture(scope="module")
def images():
    return [
        dicom_factory.radiograph(np.full((30, 40), 100), name="views", number=number)
        for number in (1, 2)
    ]


def effusion(**more):
    return Finding(tracking_identifier="Effusion", code=EFFUSION, probability=0.912, **more)


def pneumothorax(answer=Answer.ABSENT, **more):
    return Assessment(code=PNEUMOTHORAX, answer=answer, probability=0.04, **more)


def report(images, outcome=Outcome.FINDINGS, **parts):
    return made.encoded(Result(outcome=outcome, **parts), images)["sr"]


def number(item):
    return float(item.MeasuredValueSequence[0].NumericValue)


def test_a_finding_of_one_image_has_its_certainty_and_names_the_image(images):
    sr = report(images, findings=(effusion(image=images[1].SOPInstanceUID),))
    (group,) = made.groups(sr, "1501")
    assert made.coded(made.named(group, FINDING)[0]) == EFFUSION.value
    assert number(made.named(group, CERTAINTY)[0]) == 91.2
    (source,) = made.named(group, SOURCE_OF_MEASUREMENT)
    (reference,) = source.ReferencedSOPSequence
    assert reference.ReferencedSOPInstanceUID == images[1].SOPInstanceUID


@pytest.mark.air("measurements")
def test_what_is_measured_of_the_whole_has_its_unit(images):
    unit = made.Code("a", "UCUM", "year")
    age = Measurement(name=made.Code("397669002", "SCT", "Age"), value=61.25, unit=unit)
    finding = Finding(tracking_identifier="Bone age", code=made.LUNG, measurements=(age,))
    sr = report(images, findings=(finding,))
    (item,) = made.named(sr, "397669002")
    assert number(item) == 61.25
    (measured,) = item.MeasuredValueSequence
    assert measured.MeasurementUnitsCodeSequence[0].CodeValue == "a"


@pytest.mark.air("qualitative findings")
@pytest.mark.parametrize(
    ("outcome", "answer", "code", "word"),
    [
        (Outcome.NONE, Answer.ABSENT, ABSENT, "ABSENT"),
        (Outcome.ABSTAINED, Answer.UNDECIDED, INDETERMINATE, "UNDECIDED"),
    ],
)
def test_what_is_not_found_is_an_answer_and_no_finding(images, outcome, answer, code, word):
    assessment = pneumothorax(answer, image=images[0].SOPInstanceUID)
    sr = report(images, outcome, assessments=(assessment,), reason="Because it is so.")
    status, group = made.groups(sr, "1501")
    assert made.named(status, SUMMARY)
    (item,) = made.named(group, PNEUMOTHORAX.value)
    assert made.coded(item) == code
    assert not made.named(sr, FINDING)
    assert not made.named(sr, CERTAINTY)
    label = made.named(group, "112039")[0].TextValue
    assert label == f"AI Pneumothorax: {word} (probability 4 %)"
    assert made.named(group, COMMENT)[0].TextValue == "The model's probability of it is 4.0 %."
    (source,) = made.named(group, SOURCE_OF_MEASUREMENT)
    assert source.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == images[0].SOPInstanceUID


def test_the_same_answer_on_two_images_is_tracked_apart(images):
    assessments = tuple(pneumothorax(image=ds.SOPInstanceUID) for ds in images)
    sr = report(images, Outcome.NONE, assessments=assessments)
    assert len({item.UID for item in made.named(sr, "112040")}) == 3  # and the status


def test_the_same_answer_at_two_sites_says_which(images):
    """Absent on the left, present on the right: without the site the two contradict each other."""
    sites = (made.Code("44029006", "SCT", "Left lung"), made.Code("3341006", "SCT", "Right lung"))
    both = tuple(pneumothorax(site=site) for site in sites)
    sr = report(images, Outcome.NONE, assessments=both)
    _, *groups = made.groups(sr, "1501")
    assert [made.coded(made.named(group, "363698007")[0]) for group in groups] == [
        site.value for site in sites
    ]
    labels = [made.named(group, "112039")[0].TextValue for group in groups]
    assert labels[0] == "AI Pneumothorax (Left lung): ABSENT (probability 4 %)"
    assert len({made.named(group, "112040")[0].UID for group in groups}) == 2
    uid = images[0].SOPInstanceUID
    box = BoxInImage(sop_instance_uid=uid, low=(1.0, 1.0), high=(9.0, 9.0))
    nodule = Finding(tracking_identifier="Nodule 1", code=made.LUNG, region=box)
    beside = report(images, findings=(nodule,), assessments=both)
    items = made.named(made.named(beside, QUALITATIVE_EVALUATIONS)[0], PNEUMOTHORAX.value)
    found = [made.coded(made.named(item, "363698007")[0]) for item in items]
    assert found == [site.value for site in sites]


def test_a_failed_analysis_answers_nothing(images):
    sr = report(images, Outcome.FAILED, assessments=(pneumothorax(),), reason="Out of memory.")
    assert not made.named(sr, PNEUMOTHORAX.value)


def test_beside_coordinates_all_that_has_none_is_in_the_evaluations(images):
    """OHIF draws nothing of a report in which a measurement group has no coordinates."""
    uid = images[0].SOPInstanceUID
    box = BoxInImage(sop_instance_uid=uid, low=(1.0, 1.0), high=(9.0, 9.0))
    nodule = Finding(tracking_identifier="Nodule 1", code=made.LUNG, region=box)
    sr = report(
        images,
        findings=(effusion(site=made.LUNG, image=uid), nodule),
        assessments=(pneumothorax(image=images[1].SOPInstanceUID),),
    )
    groups = made.named(sr, GROUP)
    drawn = {
        made.named(group, "112040")[0].UID
        for group in groups
        if any(item.ValueType == "SCOORD" for item in group.ContentSequence)
    }
    assert {made.named(group, "112040")[0].UID for group in groups} == drawn
    (section,) = made.named(sr, QUALITATIVE_EVALUATIONS)
    (found,) = made.named(section, FINDING)
    assert made.coded(found) == EFFUSION.value
    assert number(made.named(found, CERTAINTY)[0]) == 91.2
    assert made.named(found, "112039")[0].TextValue == "AI Effusion (91 %)"
    assert made.coded(made.named(found, "363698007")[0]) == made.LUNG.value
    (absent,) = made.named(section, PNEUMOTHORAX.value)
    assert made.coded(absent) == ABSENT
    (image,) = (item for item in made.walk(absent) if item.ValueType == "IMAGE")
    assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == images[1].SOPInstanceUID


def test_without_coordinates_absent_follows_found(images):
    sr = report(images, findings=(effusion(),), assessments=(pneumothorax(),))
    found, absent = made.groups(sr, "1501")
    assert made.named(found, FINDING)
    assert made.named(absent, PNEUMOTHORAX.value)
    assert made.named(sr, QUALITATIVE_EVALUATIONS)


def test_an_answer_on_an_unknown_image_is_the_models_fault(images):
    with pytest.raises(ModelError, match="not analysed"):
        report(images, Outcome.NONE, assessments=(pneumothorax(image="2.25.1"),))


@pytest.mark.validators
@pytest.mark.parametrize("drawn", [False, True], ids=["alone", "beside a box"])
def test_independent_programs_find_no_error(images, drawn, tmp_path):
    uid = images[0].SOPInstanceUID
    box = BoxInImage(sop_instance_uid=uid, low=(1.0, 1.0), high=(9.0, 9.0))
    nodule = Finding(tracking_identifier="Nodule 1", code=made.LUNG, region=box)
    result = Result(
        outcome=Outcome.FINDINGS,
        findings=(effusion(site=made.LUNG, image=uid), *([nodule] if drawn else [])),
        assessments=(pneumothorax(image=uid, site=made.LUNG), pneumothorax(Answer.UNDECIDED)),
    )
    encoded = encode(result, made.without_pixels(images), made.run(), ("seg", "sr"))
    paths = made.written(encoded, tmp_path)
    assert dciodvfy(paths["sr"]) == []
    text = dsrdump(paths["sr"])
    assert "AI Effusion (91 %)" in text
    assert "Absent" in text
    if drawn:  # the slow one
        assert sr_validator(paths["sr"]) == []


@pytest.mark.parametrize(
    ("probability", "number"),
    [(0.0, 0.0), (0.0004, 0.04), (0.93, 93.0), (0.9999, 99.99), (1.0, 100.0)],
)
def test_a_certainty_is_never_all_or_nothing_that_is_neither(probability, number):
    assert certainty(probability) == number
