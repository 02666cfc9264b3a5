"""What goes along with a result: OHIF opens it, or leaves it alone; the study opens in any case."""

from dataclasses import dataclass

import pytest

from dicom_ai_node.encoders.companions.companion import ENCODERS
from dicom_ai_node.form import Form, Kind, Segmentation
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Answer, Assessment, Result
from tests.encoders.made import Code, findings
from tests.viewers import made
from tests.viewers.made import Made
from tests.viewers.room import Room

pytestmark = [pytest.mark.viewers, pytest.mark.orthanc, pytest.mark.slow]

PNEUMOTHORAX = Code("36118008", "SCT", "Pneumothorax")
SUMMARY = Form(companions=(Kind.SUMMARY,))
# no report of these has a place on an image, and OHIF shows nothing of them
WITHOUT_A_PLACE = {
    "failed": Result.failed("The model broke."),
    "not suitable": Result.not_suitable("The images are too few."),
    "nothing found": Result(outcome=Outcome.NONE, reason="Nothing was found."),
    "absent": Result(
        outcome=Outcome.NONE, assessments=(Assessment(code=PNEUMOTHORAX, answer=Answer.ABSENT),)
    ),
}


@pytest.fixture(scope="module")
def placeless(room: Room) -> tuple[str, dict[str, Made]]:
    source = made.stack("placeless", study="placeless", shape=(4, 64, 64))
    found = {
        name: made.objects_of(name, result, source, SUMMARY)
        for name, result in WITHOUT_A_PLACE.items()
    }
    study = room.send(source, *(each.datasets for each in found.values()))
    return study, found


@pytest.mark.skipif(Kind.SUMMARY not in ENCODERS, reason="no summary page is made yet")
@pytest.mark.parametrize("name", WITHOUT_A_PLACE)
def test_a_result_without_a_place_is_seen_as_a_page(
    room: Room, placeless: tuple[str, dict[str, Made]], name: str
) -> None:
    study, found = placeless
    page = found[name].one(Kind.SUMMARY)
    room.ohif.open_study(study)
    room.ohif.open_series(page.SeriesDescription)
    image = room.ohif.image(page.SOPInstanceUID)
    assert (image["rows"], image["columns"]) == (page.Rows, page.Columns)
    assert image["color"]
    assert image["brightest"] - image["darkest"] > 200
    assert not room.ohif.errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Along:
    study: str
    made: Made


@pytest.fixture(scope="module")
def along(room: Room) -> Along:
    """Contours in the place of a SEG, and all that can go along."""
    source = made.stack("along", study="along")
    form = Form(segmentation=Segmentation.RTSTRUCT, companions=tuple(ENCODERS))
    this = made.objects_of("along", findings(source), source, form)
    return Along(study=room.send(source, this.datasets), made=this)


def test_a_structure_set_is_drawn_as_contours(room: Room, along: Along) -> None:
    structures = along.made.every(Kind.RTSTRUCT)
    if not structures:
        pytest.skip("no structure set is made yet")
    title = structures[0].SeriesDescription
    room.ohif.open_study(along.study, "segmentation")
    room.ohif.open_series(title)
    assert room.ohif.contours(title, 2) == ["Lung", "Heart"]
    assert not room.ohif.errors


@pytest.mark.skipif(Kind.PDF not in ENCODERS, reason="no PDF is made yet")
def test_a_pdf_is_shown_as_a_document(room: Room, along: Along) -> None:
    room.ohif.open_study(along.study)
    room.ohif.open_series(along.made.one(Kind.PDF).SeriesDescription)
    room.ohif.wait("() => document.querySelector('object[type=\"application/pdf\"]')")
    assert not room.ohif.errors


@pytest.mark.parametrize("kind", [Kind.PRESENTATION, Kind.KEY_OBJECTS])
def test_what_ohif_does_not_show_does_no_harm(room: Room, along: Along, kind: Kind) -> None:
    """It is listed, and the images are shown as before."""
    objects = along.made.every(kind)
    if not objects:
        pytest.skip(f"no {kind} is made yet")
    room.ohif.open_study(along.study)
    assert objects[0].SeriesDescription in room.ohif.series()
    room.ohif.open_series("along")
    assert room.ohif.image(along.made.source[0].SeriesInstanceUID)["rows"] == 64
    assert not room.ohif.errors
