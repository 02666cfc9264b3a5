"""What a result marks as a Softcopy Presentation State (PS3.3 A.33): drawn over source images.

One for all images that are shown alike: they share size, pixel spacing, and what their values mean.
"""

from collections.abc import Sequence
from typing import Any

import highdicom as hd
from pydicom import Dataset

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.companions.annotations import (
    annotations,
    graphic_layers,
    notice_layer,
    reference,
)
from dicom_ai_node.encoders.companions.display import Display, display_of
from dicom_ai_node.encoders.companions.drawn import Drawn, drawn
from dicom_ai_node.encoders.companions.srgb import profile_of
from dicom_ai_node.encoders.finish import finish, set_side
from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.form import Kind


def encode_presentation(basis: Basis) -> Sequence[Dataset]:
    """None where nothing is marked. A state takes the place of what headers say of the display, so
    it says again what they say: rescaling, window, polarity and the shape of pixels."""
    as_read = {str(header.SOPInstanceUID): header for header in basis.headers}
    together: dict[tuple[object, ...], list[tuple[Drawn, Display]]] = {}
    for each in drawn(basis):
        display = display_of(as_read[each.frame[0]], each.frame_number)
        together.setdefault(display.shared, []).append((each, display))
    return [_state(shown, basis, as_read, number) for number, shown in enumerate(together.values())]


def _state(
    shown: Sequence[tuple[Drawn, Display]],
    basis: Basis,
    as_read: dict[str, Dataset],
    number: int,
) -> Dataset:
    run = basis.run
    everything = [each for each, _ in shown]
    displays = {each.frame: display for each, display in shown}
    first = displays[everything[0].frame]
    images, notice = _images(everything, first), notice_layer(run)
    arguments: dict[str, Any] = {
        "referenced_images": images,
        "graphic_layers": graphic_layers(everything, notice),
        "graphic_annotations": annotations(everything, images, notice),
        **_about(run, number),
    }
    ds: Dataset
    if first.is_color:
        profile = profile_of(as_read[everything[0].frame[0]].get("ICCProfile"))
        ds = hd.pr.ColorSoftcopyPresentationState(icc_profile=profile, **arguments)
    else:
        ds = hd.pr.GrayscaleSoftcopyPresentationState(**arguments)
        ds.PresentationLUTShape = "INVERSE" if first.is_inverse else "IDENTITY"
        _set_values(ds, everything, displays)
        if first.own:
            _set_tables(ds, as_read[first.own])
    _name_frames(ds, everything)
    _set_shape(ds, first)
    finish(ds, basis.header, run, run.description(run.say("marks")))
    set_side(ds, basis.header)
    ds.PresentationCreationDate, ds.PresentationCreationTime = ds.ContentDate, ds.ContentTime
    del ds.ContentDate, ds.ContentTime  # which this object does not have
    return ds


def _about(run: Run, number: int) -> dict[str, Any]:
    return {
        "content_label": run.content_label,
        "content_description": run.description(run.say("marks")),
        "content_creator_name": None,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MANUFACTURER,
        "software_versions": run.node_version,
        "device_serial_number": run.serial_number,
        **Identity(run=run, kind=Kind.PRESENTATION, number=number).attributes,
    }


def _images(everything: Sequence[Drawn], display: Display) -> list[Dataset]:
    """As much of each image's header as highdicom looks at, and nothing of a person."""
    by_uid = {each.frame[0]: each.header for each in everything}
    return [reference(header, display) for header in by_uid.values()]


def _set_values(
    ds: Dataset, everything: Sequence[Drawn], displays: dict[tuple[str, int | None], Display]
) -> None:
    """One rescaling holds for a whole state. Where images have different ones (PET), it is left at
    that of stored values, and each image has its window in those."""
    rescaled = {(each.slope, each.intercept, each.unit) for each in displays.values()}
    alike = len(rescaled) == 1
    slope, intercept, unit = rescaled.pop() if alike else (1.0, 0.0, "US")
    if (slope, intercept) != (1.0, 0.0) or not alike or unit == "HU":
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = (
            f"{slope:.10g}",
            f"{intercept:.10g}",
            unit,
        )
    windows: dict[tuple[float, float, str], list[Drawn]] = {}
    for each in {each.frame: each for each in everything}.values():
        display = displays[each.frame]
        if display.window is not None:
            centre, width, function = display.window
            if not alike:
                centre = (centre - display.intercept) / display.slope
                width = width / display.slope
            windows.setdefault((centre, width, function), []).append(each)
    if windows:
        everywhere = len(windows) == 1 and sum(map(len, windows.values())) == len(displays)
        ds.SoftcopyVOILUTSequence = [
            _voi(*window, [] if everywhere else frames) for window, frames in windows.items()
        ]


def _voi(centre: float, width: float, function: str, frames: Sequence[Drawn]) -> Dataset:
    item = Dataset()
    item.WindowCenter, item.WindowWidth = f"{centre:.10g}", f"{width:.10g}"
    item.VOILUTFunction = function
    if frames:
        item.ReferencedImageSequence = _references(frames)
    return item


def _set_tables(ds: Dataset, header: Dataset) -> None:
    """Of an image that is rescaled, or windowed, by a table; its explanations are the source's."""
    if table := _table(header, "ModalityLUTSequence"):
        for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
            ds.pop(keyword, None)
        table.ModalityLUTType = header.ModalityLUTSequence[0].get("ModalityLUTType") or "US"
        ds.ModalityLUTSequence = [table]
    if "SoftcopyVOILUTSequence" not in ds and (table := _table(header, "VOILUTSequence")):
        voi = Dataset()
        voi.VOILUTSequence = [table]
        ds.SoftcopyVOILUTSequence = [voi]


def _table(header: Dataset, keyword: str) -> Dataset | None:
    """None where there is none, or not a whole one."""
    names = ("LUTDescriptor", "LUTData")
    source = header[keyword].value[0] if header.get(keyword) else Dataset()
    if not all(name in source for name in names):
        return None
    table = Dataset()
    for name in names:
        table[name] = source[name]
    return table


def _references(frames: Sequence[Drawn]) -> list[Dataset]:
    """By instance, with the frames that are meant."""
    items: dict[str, Dataset] = {}
    for each in frames:
        uid, number = each.frame
        item = items.setdefault(uid, Dataset())
        item.ReferencedSOPClassUID = each.header.SOPClassUID
        item.ReferencedSOPInstanceUID = uid
        if number is not None:
            so_far = item.get("ReferencedFrameNumber") or []
            numbers = [so_far] if isinstance(so_far, int) else [*so_far]
            item.ReferencedFrameNumber = sorted({*map(int, numbers), number})
    return [*items.values()]


def _name_frames(ds: Dataset, everything: Sequence[Drawn]) -> None:
    """Of a multi-frame image the state is about those frames alone on which something is drawn."""
    items = {item.ReferencedSOPInstanceUID: item for item in _references(everything)}
    for series in ds.ReferencedSeriesSequence:
        series.ReferencedImageSequence = [
            items[image.ReferencedSOPInstanceUID] for image in series.ReferencedImageSequence
        ]


def _set_shape(ds: Dataset, display: Display) -> None:
    (area,) = ds.DisplayedAreaSelectionSequence
    if display.spacing is not None:
        del area.PresentationPixelAspectRatio
        area.PresentationPixelSpacing = [f"{value:.10g}" for value in display.spacing]
