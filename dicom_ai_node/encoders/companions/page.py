"""The page that every viewer of images can show: the answer, the numbers, the model, the slices."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.companions.content import Content, Row, content_of
from dicom_ai_node.encoders.companions.key_slices import KeySlice, key_slices
from dicom_ai_node.encoders.companions.sheet import (
    BACKGROUND,
    GREY,
    LINE_HEIGHT,
    MARGIN,
    WHITE,
    Color,
    Sheet,
    banner,
    shortened,
)
from dicom_ai_node.encoders.companions.slice_picture import slice_picture
from dicom_ai_node.encoders.companions.typeface import Typeface, typeface_for
from dicom_ai_node.encoders.run import Run
from dicom_ai_node.errors import InputError
from dicom_ai_node.job import Outcome

SIZE = (1024, 1024)  # fits a viewport of any shape, and is as sharp as most of them
HEADLINE, SENTENCE, CELL, SMALL = 36, 21, 19, 16
COLUMNS = (0.13, 0.23, 0.16, 0.11, 0.37)  # parts of the width where nothing else is empty
GAP, ROW_GAP = 12, 6  # pixels: between columns, or slices; between rows
FEW_ROWS = 6
THUMBNAILS, LEAST_THUMBNAIL = 4, 240
HEADLINE_COLORS: dict[Outcome, Color] = {  # the words say it; a colour only helps to find them
    Outcome.FINDINGS: (24, 86, 160),
    Outcome.NONE: (60, 70, 84),
    Outcome.PARTLY: (150, 84, 0),
    Outcome.FAILED: (160, 24, 32),
    Outcome.NOT_SUITABLE: (120, 40, 120),
    Outcome.ABSTAINED: (0, 100, 100),
}
FOUND_COLOR: Color = (255, 150, 120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`shown` are the slices on it, `rows` is how many of the table found room."""

    image: Image.Image
    shown: Sequence[KeySlice]
    rows: int


def summary_page(basis: Basis) -> Page:
    """One page, whatever there is to say; findings that do not fit are counted."""
    content = content_of(basis)
    face = _face(content, basis.run)
    sheet = _sheet(content, basis, face)
    bottom = SIZE[1] - _height_of_about(sheet, content.about)
    shown = key_slices(basis, THUMBNAILS) if basis.picture is not None else []
    above = bottom - (LEAST_THUMBNAIL if shown else 0)
    rows = _write_table(sheet, content.headings, content.rows, above)
    if rows < len(content.rows):
        more = len(content.rows) - rows
        sheet.write(basis.run.say("and {count} more: see the report", count=more), CELL)
    drawn = _paste_slices(sheet, basis, shown, bottom)
    sheet.y = bottom
    _write_about(sheet, content.about)
    return Page(image=sheet.image, shown=drawn, rows=rows)


def further_pages(basis: Basis, first: int) -> list[Image.Image]:
    """The rows of the table from `first` (counted from 0) on."""
    content = content_of(basis)
    face = _face(content, basis.run)
    left, pages = list(content.rows)[first:], []
    while left:
        sheet = _sheet(content, basis, face)
        written = _write_table(sheet, content.headings, left, SIZE[1] - MARGIN)
        left = left[max(1, written) :]
        pages.append(sheet.image)
    return pages


def _face(content: Content, run: Run) -> Typeface:
    return typeface_for(content.text + run.research_too.upper(), run.font)


def _sheet(content: Content, basis: Basis, face: Typeface) -> Sheet:
    """With what stands at the top of every page."""
    sheet = Sheet(image=Image.new("RGB", SIZE, BACKGROUND), face=face)
    strip = banner(SIZE[0], basis.run.research_too, face)
    sheet.image.paste(strip, (0, 0))
    headline = sheet.lines(content.headline, HEADLINE, sheet.width)
    top = strip.height
    bottom = top + round(len(headline) * HEADLINE * LINE_HEIGHT) + 20
    sheet.pen.rectangle((0, top, SIZE[0], bottom), HEADLINE_COLORS[basis.result.outcome])
    sheet.y = top + 10
    sheet.write(content.headline, HEADLINE)
    sheet.y = bottom + 14
    for sentence in content.sentences:
        sheet.write(sentence, SENTENCE, most=4)
    sheet.y += 10
    return sheet


def _write_table(sheet: Sheet, headings: Sequence[str], rows: Sequence[Row], bottom: int) -> int:
    """How many rows found room above `bottom`, a line for the count of the others included."""
    if not rows:
        return 0
    widths = _widths(rows)
    names = [
        [sheet.face.drawable(name)] if width else []
        for name, width in zip(headings, widths, strict=True)
    ]
    _write_row(sheet, names, widths, SMALL, [GREY] * len(COLUMNS))
    line = round(CELL * LINE_HEIGHT)
    most = 8 if len(rows) <= FEW_ROWS else 4  # lines of one cell: earlier values need room
    for number, row in enumerate(rows):
        cells = [
            shortened(sheet.lines(text, CELL, width * sheet.width - GAP), most) if text else []
            for text, width in zip(_texts(row), widths, strict=True)
        ]
        left = 0 if number == len(rows) - 1 else line
        if sheet.y + max(map(len, cells)) * line + ROW_GAP + left > bottom:
            return number
        first = FOUND_COLOR if row.is_found else WHITE
        _write_row(sheet, cells, widths, CELL, [first, *[WHITE] * (len(COLUMNS) - 1)])
    return len(rows)


def _widths(rows: Sequence[Row]) -> list[float]:
    """Parts of the whole; 0 for a column in which nothing stands."""
    filled = [any(column) for column in zip(*map(_texts, rows), strict=True)]
    parts = [part if has else 0.0 for part, has in zip(COLUMNS, filled, strict=True)]
    return [part / sum(parts) for part in parts]


def _texts(row: Row) -> tuple[str, ...]:
    return row.answer, row.what, row.site, row.certainty, row.measured


def _write_row(
    sheet: Sheet,
    cells: Sequence[Sequence[str]],
    widths: Sequence[float],
    size: int,
    colors: Sequence[Color],
) -> None:
    font, line, x = sheet.face.font(size), round(size * LINE_HEIGHT), float(MARGIN)
    for lines, width, color in zip(cells, widths, colors, strict=True):
        for number, text in enumerate(lines):
            sheet.pen.text((x, sheet.y + number * line), text, color, font)
        x += width * sheet.width
    sheet.y += max(1, *map(len, cells)) * line + ROW_GAP


def _paste_slices(
    sheet: Sheet, basis: Basis, shown: Sequence[KeySlice], bottom: int
) -> list[KeySlice]:
    """Side by side in what room there is; those that can be drawn."""
    height = bottom - sheet.y - MARGIN
    if basis.picture is None or not shown or height < LEAST_THUMBNAIL // 2:
        return []
    width = (sheet.width - (len(shown) - 1) * GAP) // len(shown)
    x, drawn = MARGIN, []
    for each in shown:
        try:
            pixels = basis.picture(*each.where)
        except InputError:
            continue  # the page stands without it
        picture = slice_picture(each, pixels, (width, height), sheet.face)
        sheet.image.paste(picture, (x, sheet.y + MARGIN // 2))
        x += picture.width + GAP
        drawn.append(each)
    return drawn


def _height_of_about(sheet: Sheet, about: Sequence[tuple[str, str]]) -> int:
    lines = sum(len(_about_lines(sheet, text)) for _, text in about)
    return round(lines * SMALL * LINE_HEIGHT) + MARGIN


def _about_lines(sheet: Sheet, text: str) -> list[str]:
    return shortened(sheet.lines(text, SMALL, sheet.width - 150), 5)


def _write_about(sheet: Sheet, about: Sequence[tuple[str, str]]) -> None:
    font = sheet.face.font(SMALL)
    for name, text in about:
        sheet.pen.text((MARGIN, sheet.y), sheet.face.drawable(name), GREY, font)
        for line in _about_lines(sheet, text):
            sheet.pen.text((MARGIN + 150, sheet.y), line, WHITE, font)
            sheet.y += round(SMALL * LINE_HEIGHT)
