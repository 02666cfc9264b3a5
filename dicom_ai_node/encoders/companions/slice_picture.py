"""One key slice as a picture in colour, with its outlines, and with the sides of the patient."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom import Dataset

from dicom_ai_node.encoders.companions.key_slices import KeySlice, Mark
from dicom_ai_node.encoders.companions.typeface import Typeface
from dicom_ai_node.encoders.source.planes import SourcePlane, planes_of
from dicom_ai_node.header import numbers_of, words_of
from dicom_ai_node.image_spacing import spacing_in_image

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
LINE, POINT = 2, 9  # pixels: width of a line, radius of the ring around a point
DIRECTIONS = ("LR", "PA", "HF")  # of the patient, along x, y and z (LPS)
OPPOSITE = str.maketrans("LRPAHF", "RLAPFH")
MAX_LABELS = 12  # beside the outlines of one slice


def slice_picture(
    shown: KeySlice, pixels: NDArray[np.uint8], size: tuple[int, int], face: Typeface
) -> Image.Image:
    """As large as fits into `size` (width, height), with pixels as wide and high as they are."""
    plane = plane_of(shown.header, shown.frame_number)
    rows, columns = pixels.shape[:2]
    row_mm, column_mm = _spacing(shown.header, plane)
    scale = min(size[0] / (columns * column_mm), size[1] / (rows * row_mm))
    x, y = scale * column_mm, scale * row_mm
    room = max(1, round(columns * x)), max(1, round(rows * y))
    picture = Image.fromarray(pixels).resize(room, Image.Resampling.BICUBIC).convert("RGB")
    pen = ImageDraw.Draw(picture)
    scales = np.array([picture.width / columns, picture.height / rows])
    for mark in shown.marks:
        _draw(pen, mark, scales)
    _label(pen, shown.marks, scales, picture.size, face)
    _draw_sides(pen, sides_of(shown.header, plane), picture.size, face)
    return picture


def plane_of(header: Dataset, frame_number: int | None) -> SourcePlane | None:
    """None for an image that does not say how it lies in the patient."""
    planes = planes_of(header)
    return planes[(frame_number or 1) - 1] if planes else None


def sides_of(header: Dataset, plane: SourcePlane | None) -> tuple[str, str] | None:
    """Towards which sides of the patient rows and columns run (PS3.3 C.7.6.1.1.1); None where
    nobody says so."""
    if plane is not None:
        right, down = (_letters(axis) for axis in plane.rows_and_columns)
        return right, down
    said = words_of(header, "PatientOrientation")
    if len(said) == 2 and all(side and side.strip("LRPAHF") == "" for side in said):
        return said[0], said[1]
    return None


def _letters(axis: NDArray[np.float64]) -> str:
    """The largest component first; those that matter little are left out."""
    order = np.argsort(-np.abs(axis))
    return "".join(DIRECTIONS[k][int(axis[k] < 0)] for k in order if abs(axis[k]) > 0.3)


def _spacing(header: Dataset, plane: SourcePlane | None) -> tuple[float, float]:
    if plane is None or plane.frame_number is None:
        return spacing_in_image(header) or (1.0, 1.0)
    own = header.PerFrameFunctionalGroupsSequence[plane.frame_number - 1]
    for groups in (own, header.SharedFunctionalGroupsSequence[0]):
        if groups.get("PixelMeasuresSequence"):
            values = numbers_of(groups.PixelMeasuresSequence[0], "PixelSpacing")
            if len(values) == 2 and min(values) > 0:
                return values[0], values[1]
    return 1.0, 1.0


def _draw(pen: ImageDraw.ImageDraw, mark: Mark, scales: NDArray[np.float64]) -> None:
    for line in mark.lines:
        # coordinates begin at a pixel's corner, and Pillow's at its centre
        points = line * scales - 0.5
        if len(points) == 1:
            x, y = points[0]
            around = (x - POINT, y - POINT, x + POINT, y + POINT)
            pen.ellipse(around, outline=mark.color, width=LINE)
        else:
            pen.line([(x, y) for x, y in points], fill=mark.color, width=LINE, joint="curve")


def _label(
    pen: ImageDraw.ImageDraw,
    marks: Sequence[Mark],
    scales: NDArray[np.float64],
    size: tuple[int, int],
    face: Typeface,
) -> None:
    """Above each outline, and within the picture; one that would lie on another is left out, for
    the caption has them all."""
    width, height = size
    font = face.font(max(15, round(height / 36)))
    taken: list[tuple[float, float, float, float]] = []
    for mark in [mark for mark in marks if mark.label][:MAX_LABELS]:
        points = np.vstack([*mark.lines]) * scales
        text = face.drawable(mark.label)
        left, top, right, bottom = pen.textbbox((0, 0), text, font, stroke_width=2)
        x = min(max(points[:, 0].min(), 2), max(2, width - (right - left) - 2))
        y = max(points[:, 1].min() - (bottom - top) - 6, 2)
        box = (x, y, x + right - left, y + bottom - top)
        if not any(_overlap(box, other) for other in taken):
            taken.append(box)
            pen.text((x - left, y - top), text, mark.color, font, stroke_width=2, stroke_fill=BLACK)


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _draw_sides(
    pen: ImageDraw.ImageDraw,
    sides: tuple[str, str] | None,
    size: tuple[int, int],
    face: Typeface,
) -> None:
    """The patient's side at each edge: what is burned in can be turned by nobody who reads it."""
    if sides is None:
        return
    (width, height), (right, down) = size, sides
    font = face.font(max(15, round(height / 32)))
    places = (
        ((width - 4, height / 2), right, "rm"),
        ((4, height / 2), right.translate(OPPOSITE), "lm"),
        ((width / 2, height - 4), down, "md"),
        ((width / 2, 4), down.translate(OPPOSITE), "ma"),
    )
    for place, letters, anchor in places:
        pen.text(place, letters, WHITE, font, anchor, stroke_width=2, stroke_fill=BLACK)
