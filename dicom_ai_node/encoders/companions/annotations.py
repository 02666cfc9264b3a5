"""Graphics and text of a presentation state (PS3.3 C.10.5), layer by layer."""

from collections.abc import Sequence

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_ai_node.encoders.companions.display import Display
from dicom_ai_node.encoders.companions.drawn import Drawn, Layer
from dicom_ai_node.encoders.modules import TYPE_2
from dicom_ai_node.encoders.run import RESEARCH, Run

PIXEL, ON_SCREEN = hd.pr.AnnotationUnitsValues.PIXEL, hd.pr.AnnotationUnitsValues.DISPLAY
NOTICE_AT = (0.01, 0.01, 0.5, 0.06)  # of the displayed area: left, top, right, bottom
NOTICE_COLOR = (255, 210, 60)
MAX_LO = 64


def reference(header: Dataset, display: Display) -> Dataset:
    """Which image it is, its size, and nothing that highdicom could take over."""
    ds = Dataset()
    for keyword in TYPE_2:
        setattr(ds, keyword, None)
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        ds[keyword] = header[keyword]
    ds.Rows, ds.Columns = display.rows, display.columns
    ds.SamplesPerPixel = 3 if display.is_color else 1
    ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence = [Dataset()], []
    return ds


def notice_layer(run: Run) -> Layer:
    also = f" | {run.research_too}" if run.research_too else ""
    return Layer(number=0, name=f"AI {RESEARCH}{also}", color=NOTICE_COLOR)


def graphic_layers(everything: Sequence[Drawn], notice: Layer) -> list[hd.pr.GraphicLayer]:
    layers = {each.layer.number: each.layer for each in everything}
    in_order = [notice, *(layers[number] for number in sorted(layers))]
    return [_layer(layer, order) for order, layer in enumerate(in_order, 1)]


def _layer(layer: Layer, order: int) -> hd.pr.GraphicLayer:
    return hd.pr.GraphicLayer(
        _layer_name(layer),
        order=order,
        description=layer.name[:MAX_LO],
        display_color=hd.color.CIELabColor.from_rgb(*layer.color),
    )


def _layer_name(layer: Layer) -> str:
    """CS; nothing of it depends on letters that a model's author chose."""
    return f"AI_{layer.number}" if layer.number else "AI_RESEARCH"


def annotations(
    everything: Sequence[Drawn], images: Sequence[Dataset], notice: Layer
) -> list[hd.pr.GraphicAnnotation]:
    """The notice on every frame that has something drawn on it; then what is drawn."""
    by_uid = {str(image.SOPInstanceUID): image for image in images}
    frames = dict.fromkeys(each.frame for each in everything)
    found = [_on(by_uid[uid], number, notice, [], [_written(notice)]) for uid, number in frames]
    for each in everything:
        lines = [_line(line, each) for line in each.lines]
        image = by_uid[each.frame[0]]
        found.append(_on(image, each.frame_number, each.layer, lines, [_label(each)]))
    return found


def _on(
    image: Dataset,
    frame_number: int | None,
    layer: Layer,
    lines: Sequence[hd.pr.GraphicObject],
    texts: Sequence[hd.pr.TextObject],
) -> hd.pr.GraphicAnnotation:
    annotation = hd.pr.GraphicAnnotation(
        referenced_images=[image],
        graphic_layer=_layer(layer, 1),
        graphic_objects=lines,
        text_objects=texts,
    )
    if frame_number is not None:
        (item,) = annotation.ReferencedImageSequence
        item.ReferencedFrameNumber = frame_number
    return annotation


def _written(notice: Layer) -> hd.pr.TextObject:
    return hd.pr.TextObject(
        notice.name,
        units=ON_SCREEN,
        bounding_box=NOTICE_AT,
        text_justification=hd.pr.TextJustificationValues.LEFT,
    )


def _line(points: NDArray[np.float64], each: Drawn) -> hd.pr.GraphicObject:
    kinds = hd.pr.GraphicTypeValues
    return hd.pr.GraphicObject(
        kinds.POINT if len(points) == 1 else kinds.POLYLINE,
        points,
        units=PIXEL,
        tracking_id=each.name[:MAX_LO],
        tracking_uid=each.tracking_uid,
    )


def _label(each: Drawn) -> hd.pr.TextObject:
    """At the rightmost point of the longest line, so that it does not lie on what it names."""
    line = max(each.lines, key=len)
    column, row = line[line[:, 0].argmax()]
    return hd.pr.TextObject(each.name, units=PIXEL, anchor_point=(float(column), float(row)))
