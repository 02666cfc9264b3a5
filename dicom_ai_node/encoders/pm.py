"""A map of a model as a Parametric Map (PS3.3 A.75): float32, on the source's own grid."""

from collections.abc import Sequence

import highdicom as hd
import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node.encoders.finish import finish
from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.encoders.source.frames import refer_to_parts, sources_of
from dicom_ai_node.encoders.source.planes import SourceMap, map_on_source, source_planes
from dicom_ai_node.form import Kind
from dicom_ai_node.result import ResultMap

MAX_LO = 64
SOME_STRUCTURE = Code("123037004", "SCT", "Anatomical Structure")  # of a header that names none


def encode_pm(
    found: ResultMap, sources: Sequence[Dataset], header: Dataset, run: Run, number: int
) -> Dataset:
    """For research, and it says so; `number` counts the maps of the run from 0.

    `header` is one of the source's as it was read, `sources` are all of them as stand-ins.
    """
    identity = Identity(run=run, kind=Kind.PM, number=number)
    what = run.say(f"{found.kind} map")
    what = what if number == 0 else f"{what} {number + 1}"
    placed = map_on_source(found.volume, source_planes(sources))
    frames = sources_of(placed)
    pm = hd.pm.ParametricMap(
        source_images=frames.headers,
        pixel_array=frames.pixels,
        real_world_value_mappings=[_mapping(found, placed)],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=0.5, window_width=1.0)],
        contains_recognizable_visual_features=False,
        content_qualification=hd.ContentQualificationValues.RESEARCH,
        content_label=f"AI_{found.kind.upper()}"[:16],
        content_description=run.description(what),
        content_creator_name=None,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=run.node_version,
        device_serial_number=run.serial_number,
        **identity.attributes,
    )
    pm.ContentCreatorName = None  # type 2
    pm.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_anatomy(header)]
    identity.derive_dimension_uid(pm)
    refer_to_parts(pm, frames)
    _set_in_order(pm)
    return finish(pm, header, run, run.description(what))


def _set_in_order(pm: Dataset) -> None:
    """Frames from one end of the stack to the other, along the normal: dcmqi takes them for so
    ordered, wherever they say that they lie, and Slicer would show the map upside down."""
    (shared,) = pm.SharedFunctionalGroupsSequence
    groups = [*pm.PerFrameFunctionalGroupsSequence]
    axes = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3))
    places = [each.PlanePositionSequence[0].ImagePositionPatient for each in groups]
    order = np.argsort(np.array(places, float) @ np.cross(*axes.astype(float))).tolist()
    if order == sorted(order):
        return
    pixels = memoryview(pm.FloatPixelData)
    size = len(pixels) // len(groups)
    pm.FloatPixelData = b"".join(pixels[k * size : (k + 1) * size] for k in order)
    pm.PerFrameFunctionalGroupsSequence = [groups[k] for k in order]


def _anatomy(header: Dataset) -> Dataset:
    """Frame Anatomy (PS3.3 C.7.6.16.2.8): without it dcmqi, Slicer's reader, ends in a fault."""
    part = str(header.get("BodyPartExamined") or "").strip().capitalize()
    code = getattr(codes.cid4031, part, None) if part.isalpha() else None  # common regions
    laterality = str(header.get("Laterality") or "").strip()
    anatomy = Dataset()
    anatomy.AnatomicRegionSequence = [hd.sr.CodedConcept.from_code(code or SOME_STRUCTURE)]
    anatomy.FrameLaterality = laterality if laterality in ("R", "L", "B") else "U"
    return anatomy


def _mapping(found: ResultMap, placed: SourceMap) -> hd.pm.RealWorldValueMapping:
    """The values as they are; from 0 to 1 by their meaning, and further where they go further."""
    low, high = float(placed.array.min()), float(placed.array.max())
    return hd.pm.RealWorldValueMapping(
        lut_label=found.kind.upper()[:16],
        lut_explanation=found.label[:MAX_LO],
        unit=codes.UCUM.NoUnits,
        value_range=(min(low, 0.0), max(high, 1.0)),
        slope=1.0,
        intercept=0.0,
    )
