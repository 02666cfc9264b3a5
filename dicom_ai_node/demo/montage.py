"""A picture of what came back: slices of the head with the outline of the mask on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import zoom
from skimage.measure import find_contours

COLUMNS, ROWS = 4, 3
PIXELS_PER_MM = 1.5
OUTLINE = (255, 92, 72)
_FINER = 2  # drawn larger and scaled down, for smooth lines
_TITLE_HEIGHT, _MARGIN = 58, 14
_BACKGROUND, _WHITE, _GREY = (10, 12, 16), (240, 242, 245), (160, 168, 178)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Rows towards the back, columns towards the left: the patient's right is on the left."""

    pixels: np.ndarray[Any, Any]  # 0 to 1
    mask: np.ndarray[Any, Any]
    spacing: tuple[float, float]  # mm between rows, between columns
    height_mm: float  # along the patient, DICOM's z


def slices_of(images: Sequence[Path], seg: Path) -> list[Slice]:
    """About a dozen slices over the mask's extent, each with the mask where its geometry says."""
    head = hd.get_volume_from_series([pydicom.dcmread(path) for path in images])
    head = head.to_patient_orientation("HPL")
    mask = hd.seg.segread(seg).get_volume(combine_segments=True).match_geometry(head)
    inside = np.flatnonzero(mask.array.any(axis=(1, 2)))
    wanted = np.linspace(inside[0] + 1, inside[-1] - 1, COLUMNS * ROWS).round().astype(int)
    darkest, brightest = np.percentile(head.array, (1, 99.7))
    pixels = np.clip((head.array - darkest) / (brightest - darkest), 0, 1)
    return [
        Slice(
            pixels=pixels[k],
            mask=mask.array[k] > 0,
            spacing=(head.spacing[1], head.spacing[2]),
            height_mm=float((head.affine @ [k, 0, 0, 1])[2]),
        )
        for k in wanted
    ]


def draw_montage(slices: Sequence[Slice], *, title: str, note: str) -> Image.Image:
    """From the feet to the head, in reading order."""
    tiles = [_tile(each) for each in slices]
    width, height = tiles[0].size
    size = (
        COLUMNS * width + (COLUMNS + 1) * _MARGIN,
        _TITLE_HEIGHT + ROWS * (height + _MARGIN) + _MARGIN,
    )
    picture = Image.new("RGB", size, _BACKGROUND)
    pen = ImageDraw.Draw(picture)
    pen.text((_MARGIN, _MARGIN), title, _WHITE, ImageFont.load_default(24))
    pen.text((size[0] - _MARGIN, _MARGIN + 8), note, _GREY, ImageFont.load_default(16), "ra")
    for index, tile in enumerate(tiles):
        row, column = divmod(index, COLUMNS)
        x = _MARGIN + column * (width + _MARGIN)
        picture.paste(tile, (x, _TITLE_HEIGHT + row * (height + _MARGIN)))
    return picture


def _tile(each: Slice) -> Image.Image:
    scale = tuple(mm * PIXELS_PER_MM for mm in each.spacing)
    fine = tuple(factor * _FINER for factor in scale)
    grey = Image.fromarray((zoom(each.pixels, fine, order=1) * 255).astype(np.uint8))
    tile = grey.convert("RGB")
    pen = ImageDraw.Draw(tile)
    # a frame around, so that an outline at the edge of the image closes too
    mask = np.pad(zoom(each.mask.astype(np.float32), fine, order=1), 1)
    for contour in find_contours(mask, 0.5):  # type: ignore[no-untyped-call]
        points = [(x - 1, y - 1) for y, x in contour]
        pen.line(points, fill=OUTLINE, width=2 * _FINER, joint="curve")
    tile = tile.resize((tile.width // _FINER, tile.height // _FINER), Image.Resampling.LANCZOS)
    _label(tile, each.height_mm)
    return tile


def _label(tile: Image.Image, height_mm: float) -> None:
    pen = ImageDraw.Draw(tile)
    low, small = tile.height - 6, ImageFont.load_default(15)
    pen.text((8, 6), f"z = {height_mm:+.0f} mm", _WHITE, small)
    pen.text((8, low), "R", _GREY, small, "ls")
    pen.text((tile.width - 8, low), "L", _GREY, small, "rs")
