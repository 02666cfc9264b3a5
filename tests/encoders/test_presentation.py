"""Presentation states: outlines where the mask lies, in the display that the headers ask for."""

import copy

import highdicom as hd
import numpy as np
import pytest
from PIL import ImageCms
from pydicom import Dataset

from dicom_ai_node.encoders.companions.srgb import srgb_profile
from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.encoders.marked.regions import drawing_of
from dicom_ai_node.encoders.source.planes import source_planes
from dicom_ai_node.form import Form, Kind, ReportForm, Segmentation
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import BoxInImage, BoxInPatient, Finding, Result
from tests import dicom_factory
from tests.encoders import made
from tests.encoders.test_boundary import winding
from tests.encoders.test_rtstruct import SHAPE, result_on, speckled
from tests.encoders.test_single_images import PIXELS, radiographs, result_of
from tests.validators import dcentvfy, dciodvfy, dcmpschk

FORM = Form(segmentation=Segmentation.NONE, report=ReportForm.NONE, companions=(Kind.PRESENTATION,))
NODULE = made.Code("27925004", "SCT", "Nodule")


def states(result, instances):
    objects = encode(
        result, made.without_pixels(instances), made.run(), ("seg", "sr"), forms=[FORM]
    )
    assert {each.kind for each in objects} <= {Kind.PRESENTATION}
    return [made.reread(each.dataset) for each in objects]


def outlines(state):
    """{(SOP Instance UID, frame number): {layer: polygons}}."""
    found = {}
    for annotation in state.GraphicAnnotationSequence:
        (image,) = annotation.ReferencedImageSequence
        key = (image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber"))
        for item in annotation.get("GraphicObjectSequence", []):
            assert item.GraphicAnnotationUnits == "PIXEL"
            points = np.reshape(item.GraphicData, (-1, 2))
            found.setdefault(key, {}).setdefault(annotation.GraphicLayer, []).append(points)
    return found


def texts(state):
    return [
        text.UnformattedTextValue
        for annotation in state.GraphicAnnotationSequence
        for text in annotation.get("TextObjectSequence", [])
    ]


def stack(**changes):
    instances = dicom_factory.series(name="presented", shape=SHAPE, **changes)
    for ds in instances:
        ds.WindowCenter, ds.WindowWidth = ["40", "300"], ["400", "1500"]
    return instances


def slice_of(instances, volume):
    """{SOP Instance UID: index in the volume}."""
    places = np.array([ds.ImagePositionPatient for ds in instances], float)
    indices = volume.map_reference_to_indices(places).round().astype(int)[:, 0]
    return {ds.SOPInstanceUID: int(k) for ds, k in zip(instances, indices, strict=True)}


@pytest.fixture(scope="module")
def instances():
    return stack()


@pytest.fixture(scope="module")
def volume(instances):
    return hd.get_volume_from_series(instances)


@pytest.fixture(scope="module")
def result(volume):
    return result_on(volume, speckled(SHAPE))


@pytest.fixture(scope="module")
def state(result, instances):
    (only,) = states(result, instances)
    return only


@pytest.mark.result_rule(29)
def test_outlines_filled_at_pixel_centres_are_the_mask(state, instances, volume):
    """PIXEL units count from the outer corner of the first pixel, whose centre is (0.5, 0.5)."""
    mask = speckled(SHAPE)
    found = outlines(state)
    place = slice_of(instances, volume)
    for (uid, _), layers in found.items():
        for layer, number in (("AI_1", 1), ("AI_2", 3)):
            turns = winding(layers.get(layer, []), SHAPE[1:])
            assert np.array_equal(turns == 1, mask[place[uid]] == number)
    assert {place[uid] for uid, _ in found} == set(np.flatnonzero(mask.any(axis=(1, 2))))


def test_it_shows_images_as_their_headers_say(state, instances):
    assert (state.RescaleSlope, state.RescaleIntercept, state.RescaleType) == (1, 0, "HU")
    (voi,) = state.SoftcopyVOILUTSequence
    assert (voi.WindowCenter, voi.WindowWidth) == (40, 400)
    assert state.PresentationLUTShape == "IDENTITY"
    (area,) = state.DisplayedAreaSelectionSequence
    assert area.DisplayedAreaBottomRightHandCorner == [SHAPE[2], SHAPE[1]]
    assert area.PresentationPixelSpacing == instances[0].PixelSpacing


def test_slices_that_are_rescaled_each_in_its_own_way_keep_their_windows(result, instances):
    rescaled = [_with(ds, RescaleSlope=str(k + 1)) for k, ds in enumerate(instances)]
    (state,) = states(result, rescaled)
    assert (state.RescaleSlope, state.RescaleIntercept) == (1, 0)
    by_uid = {ds.SOPInstanceUID: ds for ds in rescaled}
    marked = int(speckled(SHAPE).any(axis=(1, 2)).sum())
    assert len(state.SoftcopyVOILUTSequence) == marked
    for voi in state.SoftcopyVOILUTSequence:
        (image,) = voi.ReferencedImageSequence
        slope = by_uid[image.ReferencedSOPInstanceUID].RescaleSlope
        assert voi.WindowCenter * slope == pytest.approx(40)
        assert voi.WindowWidth * slope == pytest.approx(400)


def _with(ds, **changes):
    changed = copy.deepcopy(ds)
    for keyword, value in changes.items():
        setattr(changed, keyword, value)
    return changed


def test_each_segment_has_a_layer_of_its_colour_and_every_frame_the_notice(state):
    notice, lung, heart = state.GraphicLayerSequence
    assert notice.GraphicLayerDescription == "AI research use only"
    assert [lung.GraphicLayerDescription, heart.GraphicLayerDescription] == ["Lung", "Heart"]
    cielab = [*hd.color.CIELabColor.from_rgb(60, 120, 230).value]
    assert heart.GraphicLayerRecommendedDisplayCIELabValue == cielab
    assert texts(state).count("AI research use only") == len(outlines(state))
    assert "Heart volume" in texts(state)


def test_frames_of_a_multi_frame_source_are_named(result, instances, volume):
    in_order = sorted(instances, key=lambda ds: slice_of([ds], volume)[ds.SOPInstanceUID])
    (enhanced,) = dicom_factory.enhanced(in_order)
    (state,) = states(result, [enhanced])
    mask = speckled(SHAPE)
    found = outlines(state)
    assert {number for _, number in found} == {k + 1 for k in np.flatnonzero(mask.any(axis=(1, 2)))}
    for (_, number), layers in found.items():
        assert np.array_equal(winding(layers["AI_1"], SHAPE[1:]) == 1, mask[number - 1] == 1)
    (series,) = state.ReferencedSeriesSequence
    (image,) = series.ReferencedImageSequence
    assert [*image.ReferencedFrameNumber] == sorted(number for _, number in found)


def test_many_slices_are_shown_around_the_largest_ones():
    shape = (100, 12, 10)
    instances = dicom_factory.series(name="long", shape=shape, spacing=(1.0, 1.5, 2.0))
    volume = hd.get_volume_from_series(instances)
    mask = np.zeros(shape, np.uint8)
    mask[:, 2:5, 2:5] = 1
    mask[70, 2:9, 2:9] = 1
    result = Result(
        outcome=Outcome.FINDINGS,
        masks=(volume.with_array(mask),),
        segments=made.SEGMENTS,
        findings=(made.finding(1, volume, mask),),
    )
    (state,) = states(result, instances)
    place = slice_of(instances, volume)
    assert sorted(place[uid] for uid, _ in outlines(state)) == list(range(40, 100))


def test_boxes_and_points_are_drawn_with_what_they_are_called():
    image = dicom_factory.radiograph(PIXELS, name="boxes", photometric="MONOCHROME1")
    box = BoxInImage(sop_instance_uid=image.SOPInstanceUID, low=(10.5, 5.5), high=(30.5, 20.5))
    point = BoxInImage(sop_instance_uid=image.SOPInstanceUID, low=(3.0, 4.0), high=(3.0, 4.0))
    found = tuple(
        Finding(tracking_identifier=f"nodule {k}", code=NODULE, region=region, probability=0.93)
        for k, region in enumerate((box, point), 1)
    )
    (state,) = states(Result(outcome=Outcome.FINDINGS, findings=found), [image])
    ((layers),) = outlines(state).values()
    (drawn,) = layers["AI_1"]
    assert (drawn.min(axis=0).tolist(), drawn.max(axis=0).tolist()) == ([10.5, 5.5], [30.5, 20.5])
    assert layers["AI_2"][0].tolist() == [[3.0, 4.0]]
    assert {"AI nodule 1 (93 %)", "AI nodule 2 (93 %)"} <= set(texts(state))
    assert state.PresentationLUTShape == "INVERSE"
    kinds = {
        item.GraphicType
        for annotation in state.GraphicAnnotationSequence
        for item in annotation.get("GraphicObjectSequence", [])
    }
    assert kinds == {"POLYLINE", "POINT"}


def test_images_of_different_sizes_have_a_state_each():
    images = radiographs()
    found = states(result_of(images), images)
    assert [state.SeriesNumber for state in found] == [9006, 9016]
    assert sorted(state.PresentationLUTShape for state in found) == ["IDENTITY", "INVERSE"]


def test_a_colour_image_has_a_colour_state():
    (image,) = dicom_factory.series(name="photo", shape=(1, 20, 24))
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID"):
        del image[keyword]
    image.SamplesPerPixel, image.PhotometricInterpretation = 3, "RGB"
    box = BoxInImage(sop_instance_uid=image.SOPInstanceUID, low=(1.0, 2.0), high=(5.0, 6.0))
    found = (Finding(tracking_identifier="nodule", code=NODULE, region=box),)
    result = Result(outcome=Outcome.FINDINGS, findings=found)
    first, second = (states(result, [image])[0] for _ in range(2))
    assert first.SOPClassUID == "1.2.840.10008.5.1.4.1.1.11.2"
    assert first.ICCProfile == second.ICCProfile


def photograph(profile):
    (image,) = dicom_factory.series(name="profiled", shape=(1, 20, 24))
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID"):
        del image[keyword]
    image.SamplesPerPixel, image.PhotometricInterpretation = 3, "RGB"
    image.ICCProfile = profile
    return image


def test_a_profile_that_a_state_cannot_have_is_left_aside():
    """Many an image has that of a monitor, and some have what is none."""
    monitor = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    own = bytearray(srgb_profile())
    own[24:36] = bytes(range(12))
    found = {}
    for name, profile in (("monitor", monitor), ("broken", b"abc"), ("own", bytes(own))):
        image = photograph(profile)
        (state,) = states(result_with_box(image), [image])
        found[name] = state.ICCProfile
    assert found == {"monitor": srgb_profile(), "broken": srgb_profile(), "own": bytes(own)}


def result_with_box(image):
    box = BoxInImage(sop_instance_uid=image.SOPInstanceUID, low=(1.0, 2.0), high=(5.0, 6.0))
    found = (Finding(tracking_identifier="nodule", code=NODULE, region=box),)
    return Result(outcome=Outcome.FINDINGS, findings=found)


def test_pixels_that_are_not_square_at_the_detector_are_shown_as_they_are():
    image = dicom_factory.radiograph(PIXELS, imager_pixel_spacing=(0.1, 0.3))
    (state,) = states(result_with_box(image), [image])
    (area,) = state.DisplayedAreaSelectionSequence
    assert area.PresentationPixelSpacing == [0.1, 0.3]
    assert "PresentationPixelAspectRatio" not in area


def broken(keyword, value):
    image = dicom_factory.radiograph(PIXELS)
    setattr(image, keyword, value)
    return image


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("VOILUTSequence", [Dataset()]),
        ("ModalityLUTSequence", [Dataset()]),
        ("RescaleSlope", "NaN"),
    ],
)
def test_a_broken_table_or_number_of_the_source_is_left_aside(keyword, value):
    image = broken(keyword, value)
    (state,) = states(result_with_box(image), [image])
    for attribute in ("SoftcopyVOILUTSequence", "ModalityLUTSequence", "RescaleSlope"):
        assert attribute not in state


def test_a_window_that_is_no_number_is_left_aside():
    image = broken("WindowCenter", "NaN")
    image.WindowWidth = "400"
    (state,) = states(result_with_box(image), [image])
    assert "SoftcopyVOILUTSequence" not in state


def test_a_box_over_the_edge_of_an_oblique_image_is_drawn_to_the_edge():
    """A cut at the edge comes out a rounding beyond it, where no graphics may lie."""
    orientation = [0.8, 0.6, 0.0, -0.54, 0.72, 0.43588989]
    instances = dicom_factory.series(name="edge", shape=(6, 20, 24), orientation=orientation)
    volume = hd.get_volume_from_series(instances)
    places = np.random.default_rng(1).uniform([-1, -3, -3], [6, 22, 26], (60, 3))
    regions = [
        BoxInPatient(center=center, half_axes=np.diag([8.0, 14.0, 6.0]))
        for center in volume.map_indices_to_reference(places)
    ]
    planes = source_planes(instances)
    drawings = [drawing_of(region, instances, planes).points for region in regions]
    points = np.vstack(drawings)
    assert points.min() == 0
    assert (points <= (24, 20)).all()


def test_nothing_marked_nothing_drawn(instances):
    assert states(Result(outcome=Outcome.NONE), instances) == []


def without_body_part(instance: Dataset) -> Dataset:
    ds = copy.deepcopy(instance)
    del ds.BodyPartExamined
    return ds


@pytest.mark.validators
@pytest.mark.parametrize("kind", ["stack", "no body part", "multi-frame", "radiographs"])
@pytest.mark.result_rule(19)
def test_independent_programs_find_no_error(result, instances, tmp_path, kind):
    given = {
        "stack": instances,
        "no body part": [without_body_part(ds) for ds in instances],
        "multi-frame": dicom_factory.enhanced(instances),
        "radiographs": radiographs(),
    }[kind]
    shown = result_of(given) if kind == "radiographs" else result
    sources = dicom_factory.write(given, tmp_path / "source")
    objects = encode(shown, made.without_pixels(given), made.run(), ("seg", "sr"), forms=[FORM])
    paths = made.written(objects, tmp_path)
    for path in paths.values():
        assert dciodvfy(path) == []
        assert dcmpschk(path) == []
    assert dcentvfy([*sources, *paths.values()]) == []
