"""Our content items are those that highdicom makes of the same, and it reads them back."""

from io import BytesIO

import highdicom as hd
import numpy as np
import pydicom
import pytest
from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes

from dicom_ai_node.encoders.run import MANUFACTURER
from dicom_ai_node.encoders.sr.items import CONTAINS, Items
from dicom_ai_node.encoders.sr.library import image_library
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import BoxInImage, BoxInPatient, Finding, Measurement, Result
from tests import dicom_factory
from tests.encoders import made

NODULE = made.Code("27925004", "SCT", "Nodule")
MM = made.Code("mm", "UCUM", "mm")
LENGTH = made.Code("410668003", "SCT", "Length")


@pytest.fixture(scope="module")
def instances():
    return dicom_factory.series(name="as highdicom", shape=(6, 20, 24))


@pytest.fixture(scope="module")
def objects(instances):
    return made.encoded(made.findings(instances), instances)


def algorithm():
    return sr.AlgorithmIdentification(
        name=made.PACKAGE.title,
        version=made.PACKAGE.version,
        family=made.run().algorithm_family,
        manufacturer=MANUFACTURER,
        parameters=[f"{name}={value}" for name, value in made.run().parameters.items()],
    )


def tracking(group):
    (identifier,), (uid,) = made.named(group, "112039"), made.named(group, "112040")
    return sr.TrackingIdentifier(uid.UID, identifier.TextValue)


def number(group, name):
    (item,) = made.named(group, name.value)
    value = item.MeasuredValueSequence[0]
    unit = value.MeasurementUnitsCodeSequence[0]
    code = made.Code(unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning)
    return sr.Measurement(name=name, value=float(value.FloatingPointValue), unit=code)


def same(ours, theirs):
    """After a turn through bytes, as the types of numbers may differ before."""
    (item,) = theirs
    return _reread(ours) == _reread(item)


def _reread(item):
    ds = Dataset()
    ds.ContentSequence = [item]
    file = BytesIO()
    pydicom.dcmwrite(file, ds, implicit_vr=False, little_endian=True)
    return pydicom.dcmread(BytesIO(file.getvalue()), force=True)


def test_a_volume_group(objects):
    seg, ours = objects["seg"], made.groups(objects["sr"], "1411")[0]
    theirs = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(ours),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=1,
            source_series=sr.SourceSeriesForSegmentation(
                seg.ReferencedSeriesSequence[0].SeriesInstanceUID
            ),
        ),
        finding_type=made.LUNG,
        finding_category=made.ANATOMY,
        algorithm_id=algorithm(),
        measurements=[number(ours, made.VOLUME)],
    )
    assert same(ours, theirs)


def test_an_outline_group(objects, instances):
    ours = made.groups(objects["sr"], "1410")[0]
    (region,) = made.named(ours, "111030")
    image = region.ContentSequence[0].ReferencedSOPSequence[0]
    theirs = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(ours),
        referenced_region=sr.ImageRegion(
            graphic_type=sr.GraphicTypeValues.POLYLINE,
            graphic_data=np.reshape(region.GraphicData, (-1, 2)),
            source_image=sr.SourceImageForRegion(
                image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID
            ),
        ),
        finding_type=made.LUNG,
        finding_category=made.ANATOMY,
        algorithm_id=algorithm(),
        measurements=[number(ours, codes.SCT.Area)],
    )
    assert same(ours, theirs)


def test_the_groups_of_a_detection(instances):
    image = instances[2]
    box = BoxInImage(sop_instance_uid=image.SOPInstanceUID, low=(3.5, 4.5), high=(9.5, 8.5))
    length = Measurement(name=LENGTH, value=12.5, unit=MM)
    finding = Finding(
        tracking_identifier="Nodule",
        code=NODULE,
        site=made.LUNG,
        region=box,
        measurements=(length,),
    )
    ds = made.encoded(Result(outcome=Outcome.FINDINGS, findings=(finding,)), instances)["sr"]
    (region,), (said,) = made.groups(ds, "1410"), made.groups(ds, "1501")
    points = np.reshape(made.named(region, "111030")[0].GraphicData, (-1, 2))
    theirs = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(region),
        referenced_region=sr.ImageRegion(
            graphic_type=sr.GraphicTypeValues.POLYLINE,
            graphic_data=points,
            source_image=sr.SourceImageForRegion(image.SOPClassUID, image.SOPInstanceUID),
        ),
        geometric_purpose=made.Code("75958009", "SCT", "Bounded by"),
        finding_type=NODULE,
        finding_sites=[sr.FindingSite(made.LUNG)],
        algorithm_id=algorithm(),
    )
    theirs[0].ContentSequence.append(
        sr.TextContentItem(name=codes.DCM.Comment, value="Nodule", relationship_type=CONTAINS)
    )
    assert same(region, theirs)
    theirs = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(said),
        finding_type=NODULE,
        finding_sites=[sr.FindingSite(made.LUNG)],
        algorithm_id=algorithm(),
        source_images=[sr.SourceImageForMeasurementGroup(image.SOPClassUID, image.SOPInstanceUID)],
        measurements=[number(said, LENGTH)],
    )
    assert same(said, theirs)


def test_an_image_library(instances):
    for ds in instances:
        ds.SpacingBetweenSlices = "5.0"
    headers = made.without_pixels(instances)[:3]
    (ours,) = image_library(Items(), headers)
    assert same(ours, sr.ImageLibrary(headers))


def test_a_surface_in_space():
    ends = np.array([(-3, 0, 0), (3, 0, 0), (0, -2, 0), (0, 2, 0), (0, 0, -1), (0, 0, 1)], float)
    name = made.Code("121231", "DCM", "Volume Surface")
    ours = Items().in_space(name, "ELLIPSOID", ends, "1.2.3")
    theirs = sr.Scoord3DContentItem(
        name=name,
        graphic_type=sr.GraphicTypeValues3D.ELLIPSOID,
        graphic_data=ends,
        frame_of_reference_uid="1.2.3",
        relationship_type=CONTAINS,
    )
    assert same(ours, [theirs])


def test_highdicom_reads_the_report(instances):
    box = BoxInPatient(center=np.array([-20.0, -20.0, -15.0]), half_axes=np.diag([4.0, 4.0, 4.0]))
    segments = made.findings(instances)
    finding = Finding(tracking_identifier="Nodule", code=NODULE, region=box)
    result = Result(
        outcome=Outcome.FINDINGS,
        masks=segments.masks,
        segments=segments.segments,
        findings=(*segments.findings, finding),
    )
    report = hd.sr.Comprehensive3DSR.from_dataset(made.encoded(result, instances)["sr"]).content
    assert len(report.get_volumetric_roi_measurement_groups()) == 2
    assert len(report.get_planar_roi_measurement_groups()) == 3
    (said,) = report.get_image_measurement_groups()
    assert said.finding_type == NODULE


def test_equal_codes_are_one_item_and_other_meanings_are_not():
    items = Items()
    one, two = (items.code(NODULE, made.LUNG, CONTAINS) for _ in range(2))
    assert one.ConceptCodeSequence[0] is two.ConceptCodeSequence[0]
    other = made.Code(made.LUNG.value, "SCT", "Lungs")  # equal to pydicom, which looks at the value
    assert items.code(NODULE, other, CONTAINS).ConceptCodeSequence[0].CodeMeaning == "Lungs"
