"""The side of a finding: as a code beside its site, and in the segment that marks it."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from dicom_ai_node.config.outputs import ClassEntry, QuantityEntry
from dicom_ai_node.config.package import SegmentEntry
from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.job import Outcome
from dicom_ai_node.laterality import Laterality
from dicom_ai_node.models.findings import declared_segments, site_of
from dicom_ai_node.result import Answer, Assessment, Finding, Result
from tests import dicom_factory
from tests.encoders import made
from tests.validators import dciodvfy, sr_validator

SITE, LATERALITY = "363698007", "272741003"
BREAST = made.Code("76752008", "SCT", "Breast")
MASS = made.Code("4147007", "SCT", "Mass")
SIDES = {
    Laterality.LEFT: ("7771000", "Left"),
    Laterality.RIGHT: ("24028007", "Right"),
    Laterality.BOTH: ("51440002", "Right and left"),
}


@pytest.fixture(scope="module")
def instances():
    return dicom_factory.series(name="sides", shape=(6, 20, 24))


def mammogram(side, number=1):
    ds = dicom_factory.radiograph(
        np.full((30, 40), 100), name="mammogram", modality="MG", number=number
    )
    ds.ImageLaterality = side
    return ds


def sites(sr):
    """(site, its laterality) of each finding site."""
    found = []
    for item in made.named(sr, SITE):
        below = made.named(item, LATERALITY)
        found.append((made.coded(item), made.coded(below[0]) if below else None))
    return found


def report(instances, *findings, assessments=()):
    outcome = Outcome.FINDINGS if findings else Outcome.NONE
    result = Result(outcome=outcome, findings=findings, assessments=assessments)
    return made.encoded(result, instances)["sr"]


def mass(**more):
    return Finding(tracking_identifier="Mass", code=MASS, site=BREAST, **more)


@pytest.mark.result_rule(24)
@pytest.mark.parametrize("side", Laterality)
def test_the_side_is_a_code_below_the_site(instances, side):
    value, meaning = SIDES[side]
    sr = report(instances, mass(laterality=side))
    assert sites(sr) == [(BREAST.value, value)]
    (item,) = made.named(sr, LATERALITY)
    code = item.ConceptCodeSequence[0]
    assert (code.CodingSchemeDesignator, code.CodeMeaning) == ("SCT", meaning)
    assert item.RelationshipType == "HAS CONCEPT MOD"


@pytest.mark.result_rule(24)
def test_an_assessment_has_its_side_too(instances):
    absent = Assessment(code=MASS, answer=Answer.ABSENT, site=BREAST, laterality=Laterality.RIGHT)
    assert sites(report(instances, assessments=(absent,))) == [(BREAST.value, "24028007")]


@pytest.mark.result_rule(24)
def test_without_a_side_of_the_models_that_of_the_images_counts():
    assert sites(report([mammogram("L")], mass())) == [(BREAST.value, "7771000")]
    assert sites(report([mammogram("B")], mass())) == [(BREAST.value, "51440002")]
    left = mass(laterality=Laterality.LEFT)
    assert sites(report([mammogram("R")], left)) == [(BREAST.value, "7771000")]


@pytest.mark.result_rule(24)
def test_images_of_both_sides_say_it_of_their_own_findings_only():
    images = [mammogram("L", 1), mammogram("R", 2)]
    assert sites(report(images, mass())) == [(BREAST.value, None)]
    on_second = mass(image=images[1].SOPInstanceUID)
    assert sites(report(images, on_second)) == [(BREAST.value, "24028007")]


def test_images_that_say_nothing_give_no_side():
    assert sites(report([mammogram("")], mass())) == [(BREAST.value, None)]
    assert sites(report([mammogram("U")], mass())) == [(BREAST.value, None)]


@pytest.mark.result_rule(19, 24)
@pytest.mark.validators
def test_a_segment_has_its_side_as_a_modifier_of_its_type(instances, tmp_path):
    result = made.findings(instances, numbers=(1,))
    lung = replace(result.segments[0], laterality=Laterality.LEFT)
    finding = replace(result.findings[0], site=made.LUNG, laterality=Laterality.LEFT)
    sided = replace(result, segments=(lung,), findings=(finding,))
    objects = encode(sided, made.without_pixels(instances), made.run(), ("seg", "sr"))
    paths = made.written(objects, tmp_path)
    seg, sr = (each.dataset for each in objects)
    (segment,) = seg.SegmentSequence
    (of_type,) = segment.SegmentedPropertyTypeCodeSequence
    (modifier,) = of_type.SegmentedPropertyTypeModifierCodeSequence
    assert modifier.CodeValue == "7771000"
    assert {side for _, side in sites(sr)} == {"7771000"}
    assert [dciodvfy(path) for path in paths.values()] == [[], []]
    assert sr_validator(paths["sr"]) == []


def test_a_package_says_the_side_of_its_segments():
    entry = SegmentEntry.model_validate(
        {
            "number": 1,
            "label": "Left lung",
            "category": "SCT:123037004:Anatomical Structure",
            "type": "SCT:39607008:Lung",
            "laterality": "left",
        }
    )
    (segment,) = declared_segments(made.PACKAGE.model_copy(update={"segments": (entry,)}))
    assert segment.laterality is Laterality.LEFT
    assert site_of(entry) == made.LUNG
    abnormal = entry.model_copy(update={"category": made.Code("49755003", "SCT", "Abnormal")})
    assert site_of(abnormal) is None  # a nodule is no place
    assert site_of(entry.model_copy(update={"laterality": None})) is None


@pytest.mark.parametrize("of_class", [ClassEntry, QuantityEntry])
def test_a_side_without_a_site_is_a_mistake(of_class):
    fields = {"channel": 0, "label": "x", "finding": MASS, "laterality": "left"}
    more = {"name": made.VOLUME, "unit": made.MILLILITER} if of_class is QuantityEntry else {}
    with pytest.raises(ValidationError, match="write site too"):
        of_class.model_validate({**fields, **more})
    entry = of_class.model_validate({**fields, **more, "site": BREAST})
    assert entry.laterality is Laterality.LEFT
