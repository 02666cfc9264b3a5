"""The report: its status in any outcome, its measurements, its outline, its references."""

import highdicom as hd
import numpy as np
import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.sr.coding import Code
from pydicom.tag import BaseTag
from pydicom.uid import Comprehensive3DSRStorage

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.encoders.marked.outline import MAX_POINTS, outline
from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome, ReportReference
from dicom_ai_node.result import Finding, Measurement, Result
from tests import dicom_factory
from tests.encoders import made
from tests.validators import dciodvfy, dsrdump

SUMMARY, QUALITY, FINDING, CONCLUSION = "111017", "111052", "121071", "121077"
TRACKING_IDENTIFIER, TRACKING_UID, COMMENT = "112039", "112040", "121106"
AREA = "42798000"
GROUP, IMAGING_MEASUREMENTS, QUALITATIVE_EVALUATIONS = "125007", "126010", "C0034375"
CODES = {
    Outcome.FINDINGS: "111242",
    Outcome.NONE: "111241",
    Outcome.PARTLY: "111243",
    Outcome.FAILED: "111245",
    Outcome.NOT_SUITABLE: "111245",
    Outcome.ABSTAINED: "111245",
}


@pytest.fixture(scope="module")
def instances():
    return dicom_factory.series(name="sr phantom", orientation=dicom_factory.CORONAL)


@pytest.fixture(scope="module")
def result(instances):
    return made.findings(instances)


@pytest.fixture(scope="module")
def objects(instances, result):
    return made.encoded(result, instances)


@pytest.fixture(scope="module")
def partly(instances, result):
    partly = Result(
        outcome=Outcome.PARTLY,
        masks=(result.masks[0],),
        segments=result.segments,
        findings=result.findings,
        reason="A part is missing.",
    )
    return made.encoded(partly, instances)["sr"]


@pytest.fixture(scope="module")
def reports(instances):
    """A report of each outcome, with nothing marked."""
    return {
        outcome: made.encoded(Result(outcome=outcome, reason="Because it is so."), instances)["sr"]
        for outcome in Outcome
    }


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_its_status_code(reports, outcome):
    (item,) = made.named(reports[outcome], SUMMARY)
    assert made.coded(item) == CODES[outcome]


def test_partly_with_findings_has_the_code_that_says_so(partly):
    (item,) = made.named(partly, SUMMARY)
    assert made.coded(item) == "111244"


@pytest.mark.air("tracking identifier")
@pytest.mark.parametrize("kinds", [("seg", "sr"), ("sr",)])
def test_every_tracked_thing_has_coordinates(instances, result, kinds):
    """OHIF merges groups by tracking UID, and shows nothing of a report where one has none."""
    objects = encode(result, made.without_pixels(instances), made.run(), kinds)
    (sr,) = (each.dataset for each in objects if each.kind == "sr")
    groups = made.named(sr, GROUP)
    tracked = {made.named(group, TRACKING_UID)[0].UID for group in groups}
    drawn = {
        made.named(group, TRACKING_UID)[0].UID
        for group in groups
        if any(item.ValueType == "SCOORD" for item in group.ContentSequence)
    }
    assert tracked == drawn
    assert len(drawn) == 2


def test_beside_findings_the_status_is_a_section_of_its_own(objects, partly):
    """TID 1500 row 12: after the measurements, as a code and in words."""
    for sr, code, headline, reason in (
        (objects["sr"], "111242", "AI RESULT: findings", "The analysis was completed."),
        (partly, "111244", "AI RESULT: INCOMPLETE", "A part is missing."),
    ):
        measurements, section = sr.ContentSequence[-2:]
        assert measurements.ConceptNameCodeSequence[0].CodeValue == IMAGING_MEASUREMENTS
        assert section.ConceptNameCodeSequence[0].CodeValue == QUALITATIVE_EVALUATIONS
        assert section.RelationshipType == "CONTAINS"
        assert made.coded(made.named(section, SUMMARY)[0]) == code
        comments = [item.TextValue for item in made.named(sr, COMMENT)]
        assert comments[0].startswith(headline)
        assert comments[1:] == [reason, "Research use only; not for diagnosis."]


@pytest.mark.air("no findings")
def test_without_findings_the_status_is_a_measurement_group(reports):
    """Some readers want the Imaging Measurements, which cannot be empty."""
    for sr in reports.values():
        assert not made.named(sr, QUALITATIVE_EVALUATIONS)
        (group,) = made.groups(sr, "1501")
        assert made.named(group, SUMMARY)


def test_outcomes_with_the_same_summary_differ_in_code_and_in_words(reports):
    whys = {
        outcome: [made.coded(i) for name in (QUALITY, CONCLUSION) for i in made.named(ds, name)]
        for outcome, ds in reports.items()
    }
    assert whys[Outcome.NOT_SUITABLE] == ["110531"]
    assert whys[Outcome.ABSTAINED] == ["110532"]
    assert all(not whys[o] for o in (Outcome.FINDINGS, Outcome.NONE, Outcome.FAILED))
    headlines = {made.named(ds, TRACKING_IDENTIFIER)[0].TextValue for ds in reports.values()}
    assert len({headline[:24] for headline in headlines}) == len(Outcome)
    assert len({ds.SeriesDescription for ds in reports.values()}) == len(Outcome)


@pytest.mark.parametrize("outcome", Outcome)
def test_the_reason_is_there_and_an_absent_finding_is_not(reports, outcome):
    comments = [item.TextValue for item in made.named(reports[outcome], COMMENT)]
    assert comments == ["Because it is so.", "Research use only; not for diagnosis."]
    assert not made.named(reports[outcome], FINDING)


@pytest.mark.validators
def test_a_radiologist_can_tell_findings_apart_in_a_text_viewer(objects, partly, tmp_path):
    for name, sr, words in (("all", objects["sr"], "findings"), ("partly", partly, "INCOMPLETE")):
        path = tmp_path / f"{name}.dcm"
        sr.save_as(path)
        assert f"AI RESULT: {words}" in dsrdump(path)


@pytest.mark.validators
def test_a_radiologist_can_tell_them_apart_in_a_text_viewer(reports, tmp_path):
    texts = {}
    for outcome in (Outcome.NONE, Outcome.NOT_SUITABLE, Outcome.FAILED, Outcome.ABSTAINED):
        path = tmp_path / f"{outcome}.dcm"
        reports[outcome].save_as(path)
        texts[outcome] = dsrdump(path)
        assert "Because it is so." in texts[outcome]
    assert "NO FINDING" in texts[Outcome.NONE]
    assert "AI NOT SUITABLE: the images were NOT ANALYSED" in texts[Outcome.NOT_SUITABLE]
    assert "AI FAILED: the images were NOT ANALYSED" in texts[Outcome.FAILED]
    assert "AI NO ANSWER" in texts[Outcome.ABSTAINED]
    assert sum("NO FINDING" in text for text in texts.values()) == 1


def test_it_is_a_preliminary_unverified_measurement_report(objects):
    sr = objects["sr"]
    assert sr.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
    assert sr.ConceptNameCodeSequence[0].CodeValue == "126000"
    assert sr.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert (sr.CompletionFlag, sr.PreliminaryFlag, sr.VerificationFlag) == (
        "COMPLETE",
        "PRELIMINARY",
        "UNVERIFIED",
    )


@pytest.mark.result_rule(13)
@pytest.mark.air("tracking identifier")
def test_volume_and_outline_share_the_tracking_of_the_segment(objects):
    seg, sr = objects["seg"], objects["sr"]
    tracked = {(s.TrackingID, s.TrackingUID) for s in seg.SegmentSequence}
    for template in ("1411", "1410"):
        found = {
            (
                made.named(group, TRACKING_IDENTIFIER)[0].TextValue,
                made.named(group, TRACKING_UID)[0].UID,
            )
            for group in made.groups(sr, template)
        }
        assert found == tracked


@pytest.mark.air("segmentation", "measurements")
def test_volumes_refer_to_the_segments_and_carry_what_was_measured(objects, result):
    seg, sr = objects["seg"], objects["sr"]
    for group, finding in zip(made.groups(sr, "1411"), result.findings, strict=True):
        (reference,) = made.named(group, "121191")
        item = reference.ReferencedSOPSequence[0]
        assert item.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        segment = seg.SegmentSequence[int(item.ReferencedSegmentNumber) - 1]
        assert segment.TrackingID == finding.tracking_identifier
        (volume,) = made.named(group, made.VOLUME.value)
        value = volume.MeasuredValueSequence[0].NumericValue
        assert float(value) == pytest.approx(finding.measurements[0].value, abs=0.001)


def test_a_volume_is_measured_where_the_model_gives_none(instances, result):
    bare = Result(
        outcome=Outcome.FINDINGS,
        masks=(result.masks[0],),
        segments=result.segments,
        findings=(Finding(tracking_identifier="Lung volume", code=made.LUNG, segment_number=1),),
    )
    (volume,) = made.named(made.encoded(bare, instances)["sr"], made.VOLUME.value)
    expected = result.findings[0].measurements[0].value
    assert float(volume.MeasuredValueSequence[0].NumericValue) == pytest.approx(expected, abs=0.001)


def test_the_outline_is_closed_and_around_the_segment_of_the_image_it_names(objects, instances):
    place = {ds.SOPInstanceUID: ds for ds in instances}
    (group, _) = made.groups(objects["sr"], "1410")
    (region,) = made.named(group, "111030")
    points = np.reshape(region.GraphicData, (-1, 2))
    assert region.GraphicType == "POLYLINE"
    assert np.array_equal(points[0], points[-1])
    source = region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    box = np.argwhere(place[source].pixel_array > 0)
    assert np.allclose(points.min(axis=0), box.min(axis=0)[::-1])  # +0.5, less half a pixel
    assert np.allclose(points.max(axis=0), box.max(axis=0)[::-1] + 1)
    (area,) = made.named(group, AREA)
    row_mm, column_mm = place[source].PixelSpacing
    millimetres = float(area.MeasuredValueSequence[0].NumericValue)
    assert millimetres == pytest.approx(len(box) * row_mm * column_mm)


def test_an_outline_has_a_bounded_number_of_points_and_keeps_its_place():
    rows, columns = np.ogrid[:512, :512]
    angle = np.arctan2(rows - 250, columns - 260)
    ragged = np.hypot(rows - 250, columns - 260) < 180 + 20 * np.sin(80 * angle)
    points = outline(ragged)
    assert 4 < len(points) <= MAX_POINTS
    assert np.array_equal(points[0], points[-1])
    assert np.allclose(points.mean(axis=0), (260.5, 250.5), atol=3)
    assert points.min() >= 0


def test_a_single_pixel_is_outlined_around_its_centre():
    pixel = np.zeros((4, 4), bool)
    pixel[1, 2] = True
    assert np.allclose(outline(pixel)[:-1].mean(axis=0), (2.5, 1.5))


@pytest.mark.air("image references")
def test_evidence_is_everything_and_the_library_only_what_is_cited(objects, instances):
    sr = objects["sr"]
    study = sr.CurrentRequestedProcedureEvidenceSequence
    evidence = {
        instance.ReferencedSOPInstanceUID
        for item in study
        for series in item.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    assert evidence == {
        *(ds.SOPInstanceUID for ds in instances),
        objects["seg"].SOPInstanceUID,
    }
    (library,) = made.named(sr, "111028")
    images = [i for i in made.walk(library) if i.ValueType == "IMAGE"]
    assert 1 <= len(images) <= 2


def test_the_observer_is_a_device_and_every_group_names_the_algorithm(objects):
    sr = objects["sr"]
    assert made.coded(made.named(sr, "121005")[0]) == "121007"
    groups = [group for t in ("1411", "1410") for group in made.groups(sr, t)]
    assert len(groups) == len(made.named(sr, GROUP)) == 4
    for group in groups:
        assert made.named(group, "111003")[0].TextValue == "1.2"
        parameters = [item.TextValue for item in made.named(group, "111002")]
        assert "model_sha256=" + "0123456789abcdef" * 4 in parameters


def test_a_finding_without_voxels_is_not_reported(instances, result):
    absent = Result(
        outcome=Outcome.FINDINGS,
        masks=(result.masks[0],),
        segments=result.segments,
        findings=(
            *result.findings,
            Finding(tracking_identifier="Ghost", code=made.HEART, segment_number=2),
        ),
    )
    sr = made.encoded(absent, instances)["sr"]
    assert "Ghost" not in [i.TextValue for i in made.named(sr, TRACKING_IDENTIFIER)]
    only = Result(
        outcome=Outcome.FINDINGS,
        masks=(result.masks[0],),
        segments=result.segments,
        findings=absent.findings[-1:],
    )
    with pytest.raises(ModelError, match="not marked"):
        made.encoded(only, instances)


def test_a_finding_without_a_place_is_a_group_of_its_own(instances):
    percent = Code("%", "UCUM", "percent")
    certainty = Measurement(name=Code("111012", "DCM", "Certainty"), value=91.25, unit=percent)
    right = Code("3341006", "SCT", "Right lung")
    finding = Finding(
        tracking_identifier="AI: effusion 91 %",
        code=Code("60046008", "SCT", "Pleural effusion"),
        site=right,
        measurements=(certainty,),
    )
    sr = made.encoded(Result(outcome=Outcome.FINDINGS, findings=(finding,)), instances)["sr"]
    (group,) = made.groups(sr, "1501")
    assert made.coded(made.named(group, FINDING)[0]) == "60046008"
    assert made.coded(made.named(group, "363698007")[0]) == "3341006"
    value = made.named(group, "111012")[0].MeasuredValueSequence[0].NumericValue
    assert float(value) == 91.25


def test_a_measurement_that_is_no_number_is_the_models_fault(instances, result):
    nan = Measurement(name=made.VOLUME, value=float("nan"), unit=made.MILLILITER)
    finding = Finding(tracking_identifier="x", code=made.LUNG, measurements=(nan,))
    with pytest.raises(ModelError, match="no number"):
        made.encoded(Result(outcome=Outcome.FINDINGS, findings=(finding,)), instances)


def test_without_a_seg_the_report_still_has_measurements_and_outline(instances, result):
    objects = encode(result, made.without_pixels(instances), made.run(), ("sr",))
    ((kind, sr, _),) = objects
    assert kind == "sr"
    assert not made.groups(sr, "1411")
    assert len(made.groups(sr, "1410")) == 2
    assert len(made.named(sr, made.VOLUME.value)) == 2


def test_a_radiograph_without_geometry_gets_its_report():
    (ds,) = dicom_factory.series(name="radiograph", shape=(1, 8, 8))
    ds.SOPClassUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.1", "CR"
    for keyword in (
        "FrameOfReferenceUID",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
        "PositionReferenceIndicator",
    ):
        delattr(ds, keyword)
    sr = made.encoded(Result.not_suitable("This is a radiograph."), [ds])["sr"]
    assert made.named(sr, COMMENT)[0].TextValue == "This is a radiograph."
    assert hd.sr.Comprehensive3DSR.from_dataset(sr).content


def test_the_order_is_copied_and_the_procedure_reported():
    instances = dicom_factory.series(name="ordered")
    for ds in instances:
        request = hd.sr.CodedConcept("77477000", "SCT", "CT")
        ds.ProcedureCodeSequence = [request]
        item = type(request)("77477000", "SCT", "CT")
        order = dicom_factory.Dataset()
        order.RequestedProcedureID, order.AccessionNumber = "RP-7", "ACC-1"
        order.RequestedProcedureDescription = "CT of the chest"
        order.RequestedProcedureCodeSequence = [item]
        ds.RequestAttributesSequence = [order]
    sr = made.encoded(Result(outcome=Outcome.NONE), instances)["sr"]
    (request,) = sr.ReferencedRequestSequence
    assert request.RequestedProcedureID == "RP-7"
    assert request.AccessionNumber == sr.AccessionNumber == "ACC-1"
    assert request.RequestedProcedureDescription == "CT of the chest"
    assert request.StudyInstanceUID == instances[0].StudyInstanceUID
    assert made.coded(made.named(sr, "121058")[0]) == "77477000"


def test_headers_are_not_decoded_by_encoding(instances, result):
    headers = made.without_pixels(instances)
    encode(result, headers, made.run(), ("sr",))
    encode(result, headers, made.run(), ("seg", "sr"))
    assert all(ds.get_item("PatientName").is_raw for ds in headers)
    assert all(ds.get_item("StudyDescription").is_raw for ds in headers)


def _odd(keyword, value):
    """The attribute with bytes that may not be of its VR, as they come from outside; or none."""

    def change(ds):
        ds.pop(keyword, None)
        if value is not None:
            tag = BaseTag(tag_for_keyword(keyword))
            vr = dictionary_VR(tag)
            ds[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)

    return change


@pytest.mark.parametrize(
    "change",
    [
        _odd("Modality", None),
        _odd("Modality", b"MR\\CT "),
        _odd("ImagePositionPatient", b"nan\\nan\\nan "),
        _odd("PixelSpacing", b"0,5\\0,5 "),
        _odd("SliceThickness", b"thick "),
        _odd("Rows", b"\0\0"),
    ],
    ids=["no modality", "two modalities", "NaN", "comma", "word", "no rows"],
)
def test_odd_headers_do_not_stop_the_report_that_calls_them_unsuitable(change):
    instances = dicom_factory.series(name="odd", shape=(3, 8, 8))
    headers = made.without_pixels(instances)
    for header in headers:
        change(header)
    unsuitable = Result.not_suitable("The headers are odd.")
    ((_, report, _),) = encode(unsuitable, headers, made.run(), ("sr",))
    assert report.StudyInstanceUID == instances[0].StudyInstanceUID


def test_a_report_that_replaces_an_earlier_one_names_it_and_says_so(instances, result, tmp_path):
    earlier = ReportReference(
        sop_class_uid=Comprehensive3DSRStorage,
        series_instance_uid="2.25.71",
        sop_instance_uid="2.25.72",
    )
    this_run = made.run(supersedes=(earlier,))
    report = made.encoded(result, instances, this_run)["sr"]
    (study,) = report.PredecessorDocumentsSequence
    assert study.StudyInstanceUID == instances[0].StudyInstanceUID
    (of_series,) = study.ReferencedSeriesSequence
    (document,) = of_series.ReferencedSOPSequence
    assert of_series.SeriesInstanceUID == earlier.series_instance_uid
    assert document.ReferencedSOPInstanceUID == earlier.sop_instance_uid
    assert document.ReferencedSOPClassUID == report.SOPClassUID
    paths = made.written(encode(result, instances, this_run, ("seg", "sr")), tmp_path)
    assert "replaces an earlier one" in dsrdump(paths["sr"])
    assert dciodvfy(paths["sr"]) == []
