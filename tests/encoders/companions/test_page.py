"""The page: what everybody must see first, and that nothing which was found goes unsaid."""

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from PIL import Image

from dicom_ai_node.encoders.companions.content import Content, content_of
from dicom_ai_node.encoders.companions.page import SIZE, summary_page
from dicom_ai_node.encoders.companions.sheet import BACKGROUND, banner
from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.encoders.sr import names
from dicom_ai_node.form import Form, Kind, Segmentation
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Answer, Assessment, Finding, Measurement, Result
from dicom_ai_node.units import PERCENT
from tests import dicom_factory
from tests.encoders import made
from tests.encoders.companions.drawn import NODULE, basis_of, drawn, nodules, pixels_of

GOLDEN = Path(__file__).with_name("research.png")
PNEUMOTHORAX = made.Code("36118008", "SCT", "Pneumothorax")
PIXELS = np.full((40, 60), 100)


@pytest.fixture(scope="module")
def image():
    return dicom_factory.radiograph(PIXELS, name="page")


@pytest.fixture(scope="module")
def stack():
    return dicom_factory.series(name="page stack")


def said(result: Result, instances) -> Content:
    return content_of(basis_of(result, instances))


def page(result: Result, instances) -> np.ndarray:
    return np.asarray(summary_page(basis_of(result, instances)).image, int)


@pytest.mark.result_rule(22)
@pytest.mark.parametrize("kind", ["summary", "key_images"])
def test_research_use_only_is_burned_into_every_picture(kind, image, tmp_path):
    """Beside a picture that somebody has read."""
    result = Result(outcome=Outcome.FINDINGS, findings=nodules(image))
    found = Image.fromarray(pixels_of(drawn(result, [image], tmp_path)[kind]).astype(np.uint8))
    golden = Image.open(GOLDEN)
    height = round(golden.height * found.width / golden.width)
    strip = found.crop((0, 0, found.width, height)).convert("L").resize(golden.size)
    difference = np.abs(np.asarray(strip, int) - np.asarray(golden.convert("L"), int))
    assert difference.mean() < 12
    correlation = np.corrcoef(np.asarray(strip).ravel(), np.asarray(golden.convert("L")).ravel())
    assert correlation[0, 1] > 0.9


@pytest.mark.result_rule(15, 16)
def test_no_two_outcomes_look_alike(image):
    """In words, not in colour alone: the headline's letters differ."""
    headlines, letters = set(), []
    for outcome in Outcome:
        result = Result(outcome=outcome)
        headlines.add(said(result, [image]).headline)
        pixels = page(result, [image])
        strip = banner(SIZE[0]).height
        letters.append((pixels[strip + 10 : strip + 60] > 200).all(axis=-1))
    assert len(headlines) == len(Outcome)
    for number, one in enumerate(letters):
        assert one.any()
        for other in letters[number + 1 :]:
            assert (one != other).mean() > 0.005


def test_the_numbers_the_model_and_its_limits_are_said(stack):
    content = said(made.findings(stack), stack)
    answers = [(row.answer, row.what, row.measured) for row in content.rows]
    assert [answer[:2] for answer in answers] == [
        ("FOUND", "Lung volume"),
        ("FOUND", "Heart volume"),
    ]
    assert all(row.measured.startswith("Volume ") for row in content.rows)
    assert all(row.measured.endswith(" mL") for row in content.rows)
    about = dict(content.about)
    for words in ("Phantom box", "1.2", "phantom-box", "0123456789abcdef"):
        assert words in about["Model"]
    assert about["Intended use"] == "Research use only; not for diagnosis."
    assert about["Analysed"].startswith("2026-03-04 05:06:07 +0000")
    assert about["Images"] == "series 2 (CT), 12 images"


def test_a_segment_has_its_volume_where_the_model_measured_none(stack):
    result = made.findings(stack)
    bare = replace(result, findings=tuple(replace(f, measurements=()) for f in result.findings))
    assert [row.measured for row in said(bare, stack).rows] == [
        row.measured for row in said(result, stack).rows
    ]


def test_what_was_looked_for_in_vain_is_not_among_what_was_found(image):
    assessments = (
        Assessment(code=PNEUMOTHORAX, answer=Answer.ABSENT, probability=0.02),
        Assessment(code=made.LUNG, answer=Answer.UNDECIDED, probability=0.5),
    )
    result = Result(outcome=Outcome.NONE, assessments=assessments)
    rows = said(result, [image]).rows
    assert [(row.answer, row.what, row.certainty) for row in rows] == [
        ("ABSENT", "Pneumothorax", "2 %"),
        ("UNDECIDED", "Lung", "50 %"),
    ]


def test_a_finding_without_a_voxel_is_not_said(stack):
    """As in the report."""
    result = made.findings(stack)
    (nowhere,) = (replace(result.findings[0], segment_number=2),)
    rows = said(replace(result, findings=(*result.findings, nowhere)), stack).rows
    assert [row.what for row in rows] == ["Lung volume", "Heart volume"]


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (1956.04, ("mL", "mL"), "1956 mL"),
        (12.3456, ("mm", "millimeter"), "12.35 mm"),
        (-850.2, ("[hnsf'U]", "Hounsfield unit"), "-850.2 Hounsfield unit"),
        (0.4231, ("1", "no units"), "0.423"),
    ],
)
def test_numbers_are_written_as_people_write_them(value, unit, words, image):
    name = made.Code("1", "99TEST", "Size")
    code, meaning = unit
    measured = Measurement(name=name, value=value, unit=made.Code(code, "UCUM", meaning))
    result = Result(outcome=Outcome.FINDINGS, findings=nodules(image, measurements=(measured,)))
    assert said(result, [image]).rows[0].measured == f"Size {words}"


def test_no_text_of_the_source_is_burned_in():
    """Series and study descriptions hold names more often than they should; so does the patient's
    name, which the header has."""
    instances = dicom_factory.series(
        name="MUSTERMANN", patient_name="Secret^Name", patient_id="4711", shape=(2, 16, 16)
    )
    result = Result.not_suitable("Too few slices.")
    text = said(result, instances).text
    for words in ("MUSTERMANN", "Secret", "Name", "4711", "Phantom study", "ACC-1"):
        assert words not in text


def test_a_long_table_ends_in_the_count_of_what_is_left_out(image):
    """And leaves room for what stands at the bottom, whatever the number of findings."""
    few, many, more = (
        page(Result(outcome=Outcome.FINDINGS, findings=nodules(image, count)), [image])
        for count in (3, 60, 61)
    )
    assert few.shape == many.shape == (*reversed(SIZE), 3)
    changed = np.flatnonzero((many != more).any(axis=(1, 2)))
    assert 0 < np.ptp(changed) < 40  # one line differs: how many more there are
    empty = (many == BACKGROUND).all(axis=-1).all(axis=1)
    assert not empty[-150:].all()


def test_slices_are_on_the_page_where_pixels_are_at_hand(stack, tmp_path):
    result = made.findings(stack)
    kinds = {"kinds": [Kind.SUMMARY]}
    with_slices = pixels_of(drawn(result, stack, tmp_path / "1", **kinds)["summary"])
    without = pixels_of(drawn(result, stack, tmp_path / "2", with_pixels=False, **kinds)["summary"])
    colour = made.SEGMENTS[2].color
    assert (with_slices == colour).all(axis=-1).sum() > 100
    assert not (without == colour).all(axis=-1).any()


def numbers(said_by: Content) -> list[str]:
    return [row.measured for row in said_by.rows]


def test_a_certainty_that_the_model_measured_itself_is_said(image):
    """It has no column of its own, where there is no probability."""
    measured = Measurement(name=names.CERTAINTY, value=77.0, unit=PERCENT)
    bare = nodules(image, measurements=(measured,), probability=None)
    assert numbers(said(Result(outcome=Outcome.FINDINGS, findings=bare), [image])) == [
        "Certainty of Finding 77 %"
    ]


@pytest.mark.result_rule(24)
def test_the_side_that_images_say_they_are_of_stands_with_the_site():
    """As in the report."""
    breast = made.Code("76752008", "SCT", "Breast")
    ds = dicom_factory.radiograph(PIXELS, name="sided", modality="MG")
    ds.ImageLaterality = "L"
    result = Result(outcome=Outcome.FINDINGS, findings=nodules(ds, site=breast))
    assert [row.site for row in said(result, [ds]).rows] == ["Left Breast"]


@pytest.mark.parametrize("segmentation", Segmentation)
def test_page_and_report_have_the_same_numbers_in_every_form(segmentation):
    """Also of what is as small as a few voxels of a fine scan."""
    fine = dicom_factory.series(name="fine", shape=(6, 24, 24), spacing=(0.5, 0.3, 0.3))
    volume = hd.get_volume_from_series(fine)
    mask = np.zeros(volume.spatial_shape, np.uint8)
    mask[3, 4, 5:8] = 1
    mask[2:4, 10:20, 10:20] = 3
    found = tuple(
        Finding(tracking_identifier=f"Nodule {n}", code=NODULE, segment_number=n) for n in (1, 3)
    )
    result = Result(
        outcome=Outcome.FINDINGS,
        masks=(volume.with_array(mask),),
        segments=made.SEGMENTS,
        findings=found,
    )
    assert numbers(said(result, fine)) == ["Volume 0.000135 mL", "Volume 0.009 mL"]
    form = Form(segmentation=segmentation, companions=())
    objects = encode(result, made.without_pixels(fine), made.run(), ("seg", "sr"), forms=[form])
    volumes = [
        float(item.MeasuredValueSequence[0].NumericValue)
        for item in made.named(objects[-1].dataset, made.VOLUME.value)
    ]
    assert volumes == [0.000135, 0.009]
