"""What the page says: the answer first, then each finding, then which model and on what."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

from pydicom import Dataset

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.marked.marked import Place, place_of
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.encoders.sides import Sides, sides_of
from dicom_ai_node.encoders.source.planes import SHOWN
from dicom_ai_node.encoders.sr import names
from dicom_ai_node.encoders.sr.findings import ASSESSED
from dicom_ai_node.encoders.sr.groups import measurements_of, number_of, percent, sentences_of
from dicom_ai_node.encoders.sr.status import STATUS
from dicom_ai_node.header import numbers_of, words_of
from dicom_ai_node.laterality import LATERALITY_CODES
from dicom_ai_node.result import Assessment, Finding, Measurement
from dicom_ai_node.units import in_words

# units whose code is what people write; of all others, what the code means


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    is_found: bool
    answer: str
    what: str
    site: str = ""
    certainty: str = ""
    measured: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """In the language of the site; `about` are pairs (name, what it is) of model and images."""

    headline: str
    sentences: Sequence[str]
    headings: Sequence[str]  # of the columns
    rows: Sequence[Row]
    about: Sequence[tuple[str, str]]

    @property
    def text(self) -> str:
        """All of it, for who needs to know the letters."""
        rows = [f"{r.answer} {r.what} {r.site} {r.certainty} {r.measured}" for r in self.rows]
        pairs = [" ".join(pair) for pair in self.about]
        return "\n".join([self.headline, *self.sentences, *self.headings, *rows, *pairs])


def content_of(basis: Basis) -> Content:
    result, run = basis.result, basis.run
    return Content(
        headline=run.say(STATUS[result.outcome].headline),
        sentences=sentences_of(result, run),
        headings=(
            *(run.say("ANSWER"), run.say("WHAT"), run.say("WHERE")),
            *(run.say("CERTAINTY"), run.say("MEASURED")),
        ),
        rows=[*_found(basis), *_assessed(basis)],
        about=[*_model(basis), *_images(basis)],
    )


def _found(basis: Basis) -> Iterator[Row]:
    """What the report speaks of: a finding whose segment has no voxel is none."""
    sides = sides_of(basis.headers)
    for index, finding in enumerate(basis.result.findings if basis.result.outcome in SHOWN else ()):
        place = place_of(finding, basis.parts)
        if finding.segment_number is not None and place is None:
            continue
        measured = [_in_words(each) for each in _measured(finding, place)]
        yield Row(
            is_found=True,
            answer=basis.run.say("FOUND"),
            what=_on_image(finding.tracking_identifier, finding, basis),
            site=_site(finding, sides),
            certainty="" if finding.probability is None else percent(finding.probability),
            measured="; ".join([*measured, *basis.follow_up.sentences(index, finding, basis.run)]),
        )


def _assessed(basis: Basis) -> Iterator[Row]:
    sides = sides_of(basis.headers)
    for said in basis.result.assessments if basis.result.outcome in ASSESSED else ():
        yield Row(
            is_found=False,
            answer=basis.run.say(said.answer.upper()),
            what=_on_image(said.code.meaning, said, basis),
            site=_site(said, sides),
            certainty="" if said.probability is None else percent(said.probability),
        )


def _site(said: Finding | Assessment, sides: Sides) -> str:
    side = sides.of(said)
    words = LATERALITY_CODES[side].meaning if side else ""
    return f"{words} {said.site.meaning if said.site else ''}".strip()


def _measured(finding: Finding, place: Place | None) -> list[Measurement]:
    """What the report has; a certainty stands in its own column."""
    has_column = finding.probability is not None
    return [
        each
        for each in measurements_of(finding, place)
        if not (has_column and each.name == names.CERTAINTY)
    ]


def _in_words(measurement: Measurement) -> str:
    """Four digits that count: more than anybody measures, and all of a larger whole number."""
    value = number_of(measurement)
    number = f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{measurement.name.meaning} {number} {in_words(measurement.unit)}".rstrip()


def _on_image(what: str, said: Finding | Assessment, basis: Basis) -> str:
    """With which of several images, in the number that a viewer shows."""
    if said.image is None or len(basis.headers) == 1:
        return what
    header = next((ds for ds in basis.headers if str(ds.SOPInstanceUID) == said.image), None)
    number = "" if header is None else number_in(header, "InstanceNumber")
    return basis.run.say("{what} (image {number})", what=what, number=number) if number else what


def number_in(header: Dataset, keyword: str) -> str:
    """ "" where the header has none, or what is no number: it would be the source's own text."""
    values = numbers_of(header, keyword)
    return f"{values[0]:.0f}" if values else ""


def _model(basis: Basis) -> Iterator[tuple[str, str]]:
    package, run, say = basis.run.package, basis.run, basis.run.say
    who = say("{title}, version {version}", title=package.title, version=package.version)
    yield say("Model"), f"{who} ({package.name}, SHA-256 {run.model_sha256[:16]})"
    yield say("Intended use"), package.intended_use
    if made_for := "; ".join(_made_for(basis)):
        yield say("Made for"), made_for
    at, node = f"{run.finished_at:%Y-%m-%d %H:%M:%S %z}", f"{run.node_name} {run.node_version}"
    yield say("Analysed"), say("{time} by {node}", time=at, node=node)


def _made_for(basis: Basis) -> Iterator[str]:
    """The limits of the model's input, as its package has them."""
    gate, say = basis.run.package.gate, basis.run.say

    def either(one: str, other: str) -> str:
        return say("{one} or {other}", one=one, other=other)

    for words in (gate.modality, gate.body_part):
        if words:
            yield reduce(either, words)
    if gate.age_years:
        low, high = (f"{years:g}" for years in gate.age_years)
        yield say("age {low} to {high} years", low=low, high=high)
    if gate.spacing_mm:
        low, high = (f"{mm:g}" for mm in gate.spacing_mm)
        yield say("voxels of {low} to {high} mm", low=low, high=high)
    if gate.slices:
        least, most = gate.slices
        yield say("{low} to {high} slices", low=least, high=most)


def _images(basis: Basis) -> Iterator[tuple[str, str]]:
    """By number: what a series is called is text of the source, and may hold anything."""
    say = basis.run.say
    yield say("Images"), "; ".join(_series(basis.headers, basis.run))
    if basis.evidence:
        yield say("Further images"), "; ".join(_series(basis.evidence, basis.run))


def _series(headers: Sequence[Dataset], run: Run) -> list[str]:
    """Each with its number of images; every frame is one."""
    counted: Counter[tuple[str, str]] = Counter()
    for ds in headers:
        modality = (words_of(ds, "Modality") or (run.say("modality not said"),))[0]
        frames = int((numbers_of(ds, "NumberOfFrames") or (1.0,))[0])
        number = number_in(ds, "SeriesNumber") or run.say("without a number")
        counted[number, modality] += frames
    return [_counted(*what, count, run) for what, count in counted.items()]


def _counted(number: str, modality: str, count: int, run: Run) -> str:
    if count == 1:
        return run.say("series {number} ({modality}), 1 image", number=number, modality=modality)
    sentence = "series {number} ({modality}), {count} images"
    return run.say(sentence, number=number, modality=modality, count=count)
