"""The forms of the report: which SOP class, and how regions in the patient are given."""

import numpy as np
import pytest

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.source.planes import source_planes
from dicom_ai_node.form import ALONE, DEFAULT, Form, ReportForm
from dicom_ai_node.job import Outcome, ReportReference
from dicom_ai_node.result import BoxInPatient, Finding, Result
from tests import dicom_factory
from tests.encoders import made
from tests.validators import dciodvfy, dsrdump, sr_validator

FORMS = {
    form: Form(report=form, companions=())
    for form in (ReportForm.COMPREHENSIVE_3D, ReportForm.COMPREHENSIVE, ReportForm.SPATIAL)
}
NODULE = made.Code("27925004", "SCT", "Nodule")
TRACKING_UID, REGION_IN_SPACE, VOLUME_SURFACE, IMAGE_REGION = "112040", "130488", "121231", "111030"
HALF_AXES = np.array([[0.0, 6.0, 0.0], [0.0, 0.0, 7.0], [5.0, 0.0, 0.0]])


@pytest.fixture(scope="module")
def instances():
    return dicom_factory.series(name="forms", shape=(8, 30, 40), spacing=(5.0, 1.5, 2.0))


@pytest.fixture(scope="module")
def center(instances):
    """Of the phantom, LPS mm."""
    places = np.array([plane.position for plane in source_planes(instances)])
    return places.mean(axis=0) + np.array([40.0, 22.0, 0.0])


@pytest.fixture(scope="module")
def reports(instances, center):
    """A segment, a box and a point, in each form."""
    segments = made.findings(instances)
    boxes = tuple(
        Finding(
            tracking_identifier=f"Nodule {number}",
            code=NODULE,
            probability=0.9,
            region=BoxInPatient(center=center, half_axes=half_axes),
        )
        for number, half_axes in ((1, HALF_AXES), (2, np.zeros((3, 3))))
    )
    result = Result(
        outcome=Outcome.FINDINGS,
        masks=segments.masks,
        segments=segments.segments,
        findings=(*segments.findings, *boxes),
    )
    headers = made.without_pixels(instances)
    objects = encode(result, headers, made.run(), ("seg", "sr"), forms=[*FORMS.values()])
    return {
        form: next(e.dataset for e in objects if e.kind == "sr" and e.forms == (FORMS[form].label,))
        for form in FORMS
    }


@pytest.mark.result_rule(18, 19)
@pytest.mark.validators
@pytest.mark.parametrize("form", FORMS)
def test_the_validators_find_nothing(reports, form, tmp_path):
    path = tmp_path / "sr.dcm"
    reports[form].save_as(path, enforce_file_format=True)
    assert dciodvfy(path) == []
    assert sr_validator(path) == []


@pytest.mark.result_rule(28)
@pytest.mark.validators
@pytest.mark.parametrize("form", FORMS)
def test_a_text_viewer_shows_it(reports, form, tmp_path):
    path = tmp_path / "sr.dcm"
    reports[form].save_as(path, enforce_file_format=True)
    text = dsrdump(path)
    assert "AI RESULT: findings" in text
    assert "Nodule 1 (90 %)" in text


def test_each_form_is_an_object_of_its_own_with_the_same_findings(reports):
    assert {form: ds.SOPClassUID.name for form, ds in reports.items()} == {
        ReportForm.COMPREHENSIVE_3D: "Comprehensive 3D SR Storage",
        ReportForm.COMPREHENSIVE: "Comprehensive SR Storage",
        ReportForm.SPATIAL: "Comprehensive 3D SR Storage",
    }
    assert len({ds.SOPInstanceUID for ds in reports.values()}) == len(reports)
    assert len({ds.SeriesInstanceUID for ds in reports.values()}) == len(reports)
    tracked = [{item.UID for item in made.named(ds, TRACKING_UID)} for ds in reports.values()]
    assert tracked[0] == tracked[1] == tracked[2]
    two_d = reports[ReportForm.COMPREHENSIVE_3D].ContentSequence
    assert two_d == reports[ReportForm.COMPREHENSIVE].ContentSequence


def test_slices_without_a_frame_of_reference_give_no_coordinates_in_space(center):
    instances = dicom_factory.series(name="no frame", shape=(8, 30, 40), spacing=(5.0, 1.5, 2.0))
    for ds in instances:
        ds.pop("FrameOfReferenceUID")
    box = BoxInPatient(center=center, half_axes=HALF_AXES)
    finding = Finding(tracking_identifier="Nodule 1", code=NODULE, region=box)
    result = Result(outcome=Outcome.FINDINGS, findings=(finding,))
    form = FORMS[ReportForm.SPATIAL]
    (report,) = encode(result, made.without_pixels(instances), made.run(), ("sr",), forms=[form])
    assert made.named(report.dataset, IMAGE_REGION)
    assert not made.named(report.dataset, VOLUME_SURFACE)


@pytest.mark.result_rule(2)
def test_a_report_that_refers_to_other_objects_is_another_one(instances):
    """One peer takes the summary, another does not: two documents never share a UID."""
    result, headers = made.findings(instances), made.without_pixels(instances)
    objects = encode(result, headers, made.run(), ("seg", "sr"), forms=[DEFAULT, ALONE])
    first, second = (each.dataset for each in objects if each.kind == "sr")
    assert first.ContentSequence != second.ContentSequence
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID


def test_coordinates_in_space_are_in_the_spatial_form_alone(reports):
    for form, ds in reports.items():
        in_space = [item for item in made.walk(ds) if item.get("ValueType") == "SCOORD3D"]
        assert len(in_space) == (2 if form is ReportForm.SPATIAL else 0)
        assert made.named(ds, IMAGE_REGION)  # on an image, for those who show no others


def test_a_box_is_the_ellipsoid_within_it_and_a_point_a_point(reports, instances, center):
    ds = reports[ReportForm.SPATIAL]
    (surface,), (point,) = made.named(ds, VOLUME_SURFACE), made.named(ds, REGION_IN_SPACE)
    assert (surface.GraphicType, point.GraphicType) == ("ELLIPSOID", "POINT")
    for item in (surface, point):
        assert item.ReferencedFrameOfReferenceUID == instances[0].FrameOfReferenceUID
    assert np.allclose(point.GraphicData, center, atol=1e-4)
    ends = np.reshape(surface.GraphicData, (3, 2, 3))
    assert np.allclose(ends.mean(axis=1), center, atol=1e-4)
    assert np.allclose((ends[:, 1] - ends[:, 0]) / 2, HALF_AXES, atol=1e-4)
    (group,) = (g for g in made.groups(ds, "1411") if made.named(g, VOLUME_SURFACE))
    (tracked,) = made.named(group, TRACKING_UID)
    on_images = [made.named(each, TRACKING_UID)[0].UID for each in made.groups(ds, "1410")]
    assert on_images.count(tracked.UID) == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_report_replaces_the_earlier_one_of_its_own_form(instances, form):
    earlier = DerivedIds(job_key="e" * 64)
    none = Result(outcome=Outcome.NONE)
    headers, forms = made.without_pixels(instances), [FORMS[form]]
    ((_, before, _),) = encode(none, headers, made.run(ids=earlier), ("sr",), forms=forms)
    reference = ReportReference(
        sop_class_uid=before.SOPClassUID,
        series_instance_uid=before.SeriesInstanceUID,
        sop_instance_uid=before.SOPInstanceUID,
    )
    again = made.run(supersedes=(reference,))
    ((_, ds, _),) = encode(none, headers, again, ("sr",), forms=forms)
    (study,) = ds.PredecessorDocumentsSequence
    (of_series,) = study.ReferencedSeriesSequence
    (document,) = of_series.ReferencedSOPSequence
    assert of_series.SeriesInstanceUID == before.SeriesInstanceUID
    assert document.ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert document.ReferencedSOPClassUID == before.SOPClassUID
