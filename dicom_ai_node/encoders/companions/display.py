"""How a source's frames are shown: a presentation state replaces what their headers say of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from dicom_ai_node.header import numbers_of
from dicom_ai_node.image_spacing import spacing_in_image


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """Of one frame. Stored values become `slope` × value + `intercept`, then `window` (centre,
    width, function) applies; `spacing` is that of rows and columns, mm.

    `own` is the instance's UID where it has a state to itself: a multi-frame object, or one whose
    values are looked up in tables.
    """

    rows: int
    columns: int
    is_color: bool
    is_inverse: bool
    spacing: tuple[float, float] | None
    own: str | None
    slope: float
    intercept: float
    unit: str
    window: tuple[float, float, str] | None

    @property
    def shared(self) -> tuple[object, ...]:
        """Equal for frames that one presentation state can show."""
        size = (self.rows, self.columns, self.spacing)
        return (*size, self.is_color, self.is_inverse, self.own or "")


def display_of(header: Dataset, frame_number: int | None) -> Display:
    """`header` is one as it was read; none of its text is."""
    where = [header]
    if frame_number is not None and "PerFrameFunctionalGroupsSequence" in header:
        shared = header.SharedFunctionalGroupsSequence[0]
        where = [header.PerFrameFunctionalGroupsSequence[frame_number - 1], shared]
    rescale = _macro(where, "PixelValueTransformationSequence", "RescaleSlope")
    voi = _macro(where, "FrameVOILUTSequence", "WindowCenter")
    measures = _macro(where, "PixelMeasuresSequence", "PixelSpacing")
    has_table = any(name in header for name in ("ModalityLUTSequence", "VOILUTSequence"))
    slope, intercept = _finite(rescale, "RescaleSlope"), _finite(rescale, "RescaleIntercept")
    unit = "HU" if header.get("Modality") == "CT" else "US"
    return Display(
        rows=int(header.Rows),
        columns=int(header.Columns),
        is_color=int(header.get("SamplesPerPixel") or 1) > 1,
        is_inverse=header.get("PhotometricInterpretation") == "MONOCHROME1",
        spacing=spacing_in_image(header if where == [header] else measures),
        own=str(header.SOPInstanceUID) if has_table or frame_number is not None else None,
        slope=slope[0] if slope and slope[0] else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        unit=str(rescale.get("RescaleType") or unit),
        window=_window(voi),
    )


def _macro(where: Sequence[Dataset], sequence: str, keyword: str) -> Dataset:
    """The data set that has the attribute: a header itself, or an item of its functional groups."""
    for ds in where:
        if keyword in ds:
            return ds
        if ds.get(sequence):
            item: Dataset = ds[sequence].value[0]
            return item
    return Dataset()


def _finite(ds: Dataset, keyword: str) -> tuple[float, ...]:
    """() where one of its values is no number, or none that a DS can hold."""
    values = numbers_of(ds, keyword)
    return values if all(map(math.isfinite, values)) else ()


def _window(voi: Dataset) -> tuple[float, float, str] | None:
    """The first of several."""
    centre, width = _finite(voi, "WindowCenter"), _finite(voi, "WindowWidth")
    if not centre or not width or width[0] <= 0:
        return None
    return centre[0], width[0], str(voi.get("VOILUTFunction") or "LINEAR")
