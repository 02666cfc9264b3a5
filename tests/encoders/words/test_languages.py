"""Objects in the language of the site: their words, their letters, and that they are valid."""

from collections.abc import Sequence

import numpy as np
import pytest
from pydicom import Dataset

from dicom_ai_node.encoders.companions.content import content_of
from dicom_ai_node.encoders.companions.sheet import BANNER, BLACK, MARGIN, banner
from dicom_ai_node.encoders.companions.typeface import Typeface, typeface_for
from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.encoders.run import RESEARCH
from dicom_ai_node.encoders.words.words import CATALOGUES, say
from dicom_ai_node.form import COMPANIONS, Form
from dicom_ai_node.job import Outcome
from dicom_ai_node.language import Language
from tests import dicom_factory
from tests.encoders import made
from tests.encoders.companions.drawn import basis_of
from tests.encoders.golden_reports import GERMAN, reports, results, text_of
from tests.validators import dciodvfy, dsrdump, sr_validator

LANGUAGE = "121049"
HEADLINES = {
    Outcome.FINDINGS: "KI-ERGEBNIS: Befunde",
    Outcome.NONE: "KI-ERGEBNIS: DAS MODELL HAT NICHTS GEFUNDEN",
    Outcome.PARTLY: "KI-ERGEBNIS: UNVOLLSTÄNDIG",
    Outcome.FAILED: "KI FEHLGESCHLAGEN: die Bilder wurden NICHT AUSGEWERTET",
    Outcome.NOT_SUITABLE: "KI NICHT GEEIGNET: die Bilder wurden NICHT AUSGEWERTET",
    Outcome.ABSTAINED: "KI OHNE ANTWORT",
}
JAPANESE = ["", "ISO 2022 IR 87"]


@pytest.fixture(scope="module")
def in_english():
    return reports()


@pytest.fixture(scope="module")
def in_german():
    return reports(Language.GERMAN)


@pytest.mark.result_rule(16, 28)
@pytest.mark.validators
@pytest.mark.parametrize("outcome", Outcome)
def test_the_german_text_is_that_of_the_golden_file(in_german, outcome, tmp_path):
    """After a change that is meant: python -m tests.encoders.golden_reports."""
    golden = (GERMAN / f"{outcome}.txt").read_text("utf-8")
    assert text_of(in_german[outcome], tmp_path) == golden


@pytest.mark.result_rule(16)
def test_no_two_outcomes_read_alike_in_german():
    texts = {outcome: (GERMAN / f"{outcome}.txt").read_text("utf-8") for outcome in Outcome}
    for outcome, headline in HEADLINES.items():
        assert [other for other in texts if headline in texts[other]] == [outcome]
    assert not any("KEIN BEFUND" in text.upper() for text in texts.values())


@pytest.mark.result_rule(15)
@pytest.mark.parametrize("outcome", Outcome)
def test_codes_are_the_same_in_every_language(in_english, in_german, outcome):
    """That of the language alone is another one."""
    english, german = codes_of(in_english[outcome]), codes_of(in_german[outcome])
    assert english[0] == (LANGUAGE, "en-US")
    assert german[0] == (LANGUAGE, "de")
    assert german[1:] == english[1:]


@pytest.mark.validators
@pytest.mark.result_rule(18, 19)
@pytest.mark.parametrize("language", CATALOGUES)
def test_the_validators_find_nothing_in_any_language(language, tmp_path):
    """Of all that goes along with findings, and of a report without any."""
    instances = dicom_factory.series(name="language", shape=(6, 20, 24))
    found = results(instances)
    objects = everything(found[Outcome.FINDINGS], instances, language)
    objects += [
        (kind, ds)
        for kind, ds in everything(found[Outcome.NONE], instances, language)
        if kind == "sr"
    ]
    for number, (kind, ds) in enumerate(objects):
        path = tmp_path / f"{number}-{kind}.dcm"
        ds.save_as(path, enforce_file_format=True)
        assert dciodvfy(path) == [], kind
        if kind == "sr":
            assert sr_validator(path) == []
            dsrdump(path)


@pytest.mark.result_rule(23)
@pytest.mark.parametrize(
    ("charset", "name", "stays"),
    [
        ("ISO_IR 100", "Müller^Jürgen", True),
        ("", "Doe^Jane", False),  # ASCII, which has no umlauts
        (JAPANESE, "Yamada^Tarou=山田^太郎", False),
    ],
)
def test_german_letters_are_right_beside_those_of_the_source(charset, name, stays):
    instances = dicom_factory.series(name="letters", charset=charset, shape=(6, 20, 24))
    for ds in instances:
        ds.PatientName = name
    result = results(instances)[Outcome.PARTLY]
    objects = everything(result, instances, Language.GERMAN)
    assert {kind for kind, _ in objects} >= {"seg", "sr", "summary", "key_objects", "pdf"}
    for kind, ds in objects:
        assert str(ds.PatientName) == name, kind
        assert "(nur für Forschungszwecke)" in ds.SeriesDescription, kind
        assert (ds.get("SpecificCharacterSet") == charset) is stays, kind
    (report,) = [ds for kind, ds in objects if kind == "sr"]
    texts = [item.TextValue for item in made.walk(report) if "TextValue" in item]
    headline = "KI-ERGEBNIS: UNVOLLSTÄNDIG, ein Teil der Auswertung ist fehlgeschlagen"
    assert headline in texts


@pytest.mark.parametrize("language", CATALOGUES)
def test_the_page_is_in_one_language(language):
    """But for codes, the model's words, and the reason."""
    instances = dicom_factory.series(name="page words", shape=(6, 20, 24))
    result = results(instances)[Outcome.FINDINGS]
    run = made.run(language=language)
    english = content_of(basis_of(result, instances))
    own = content_of(basis_of(result, instances, run))
    assert own.headline == say(language, english.headline)
    assert list(own.headings) == [say(language, heading) for heading in english.headings]
    assert [row.answer for row in own.rows] == [say(language, row.answer) for row in english.rows]
    assert [name for name, _ in own.about] == [say(language, name) for name, _ in english.about]
    assert [row.certainty for row in own.rows] == [row.certainty for row in english.rows]


@pytest.mark.result_rule(22)
@pytest.mark.parametrize("language", CATALOGUES)
def test_the_banner_says_it_in_english_and_in_the_language_of_the_site(language):
    also = say(language, RESEARCH)
    strip = np.asarray(banner(BANNER[0], also, typeface_for(also.upper())), int)
    alone = np.asarray(banner(BANNER[0]), int)
    columns, before = (np.flatnonzero(dark(each).any(axis=0)) for each in (strip, alone))
    assert columns.min() >= MARGIN - 2
    assert columns.max() <= BANNER[0] - MARGIN + 2
    assert np.ptp(columns) > np.ptp(before)  # more is written, and all of it is on the strip
    assert np.ptp(np.flatnonzero(dark(strip).any(axis=1))) >= 18  # pixels: high enough to read


@pytest.mark.result_rule(22)
def test_marks_bear_the_notice_in_both_languages():
    instances = dicom_factory.series(name="notice", shape=(6, 20, 24))
    objects = everything(results(instances)[Outcome.FINDINGS], instances, Language.FRENCH)
    (state,) = [ds for kind, ds in objects if kind == "presentation"]
    notice = "AI research use only | réservé à la recherche"
    assert state.GraphicLayerSequence[0].GraphicLayerDescription == notice
    texts = [
        text.UnformattedTextValue
        for annotation in state.GraphicAnnotationSequence
        for text in annotation.get("TextObjectSequence", [])
    ]
    assert notice in texts


@pytest.mark.parametrize("language", CATALOGUES)
def test_a_machine_without_fonts_draws_every_letter_of_a_catalogue(language):
    """Without its accent, and never as a question mark."""
    for text in CATALOGUES[language].values():
        for written in (text, text.upper()):
            assert Typeface().drawable(written).count("?") == written.count("?")


def everything(result, instances: Sequence[Dataset], language: Language):
    """(kind, object as it is read back) of the default form with all that goes along."""
    by_uid = {str(ds.SOPInstanceUID): ds for ds in instances}

    def picture(uid: str, _frame: int | None) -> np.ndarray:
        return np.uint8(by_uid[uid].pixel_array > 0) * 200

    headers, run = made.without_pixels(instances), made.run(language=language)
    forms = [Form(companions=COMPANIONS)]
    objects = encode(result, headers, run, ("seg", "sr"), forms=forms, picture=picture)
    return [(kind, made.reread(ds)) for kind, ds, _ in objects]


def codes_of(report: Dataset) -> list[tuple[str, str]]:
    return [
        (str(item.ConceptNameCodeSequence[0].CodeValue), made.coded(item))
        for item in made.walk(report)
        if item.ValueType == "CODE"
    ]


def dark(pixels: np.ndarray) -> np.ndarray:
    return np.abs(pixels - np.array(BLACK)).sum(axis=2) < 200
