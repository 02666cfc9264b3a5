"""A model's result as a report: Comprehensive 3D SR (PS3.3 A.35.13), TID 1500."""

from collections.abc import Sequence
from typing import TypeAlias

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage

from dicom_ai_node.encoders.finish import finish
from dicom_ai_node.encoders.groups import (
    outline_group,
    plain_group,
    status_group,
    status_section,
    volume_group,
)
from dicom_ai_node.encoders.modules import REQUEST
from dicom_ai_node.encoders.planes import SHOWN, source_mask
from dicom_ai_node.encoders.run import MANUFACTURER, SERIES_NUMBERS, Run
from dicom_ai_node.encoders.segments import PresentSegment, present_segments
from dicom_ai_node.encoders.source import (
    copy_keywords,
    encodings_of,
    in_order,
    item_within,
    read_only_items,
    stand_in,
)
from dicom_ai_node.encoders.status import STATUS
from dicom_ai_node.errors import ModelError
from dicom_ai_node.job import Outcome
from dicom_ai_node.result import Result

GENERIC_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
IN_LIBRARY = (  # what TID 1602 wants of a cross-sectional image
    *("Rows", "Columns", "PixelSpacing", "SliceThickness"),
    *("ImagePositionPatient", "ImageOrientationPatient"),
)
Group: TypeAlias = (
    sr.MeasurementsAndQualitativeEvaluations
    | sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | sr.VolumetricROIMeasurementsAndQualitativeEvaluations
)


def encode_sr(
    result: Result,
    headers: Sequence[Dataset],
    run: Run,
    seg: Dataset | None,
    further: Sequence[Dataset] = (),
) -> Dataset:
    """The report of any outcome; `seg` is that of the same run, for the volumes to refer to.

    Evidence is all that was analysed, `further` inputs included; the Image Library only what the
    report cites.
    """
    ordered = in_order(headers)
    sources = [stand_in(header) for header in ordered]
    groups, cited = _finding_groups(result, sources, run, seg)
    if result.outcome is Outcome.FINDINGS and result.findings and not groups:
        raise ModelError("The model reports findings, but has not marked a single voxel of them.")
    cited = cited or [source for source in sources if "Rows" in source][:1]
    report = sr.MeasurementReport(
        observation_context=_observer(run),
        procedure_reported=_procedures(ordered[0]),
        imaging_measurements=groups or [status_group(result, run, cited[0] if cited else None)],
        title=codes.DCM.ImagingMeasurementReport,
        referenced_images=[source for source in cited if _fits_in_library(source)],
    )
    if groups:
        report[0].ContentSequence.append(status_section(result, run))
    ds: Dataset = sr.Comprehensive3DSR(
        evidence=[*sources, *map(stand_in, in_order(further)), *([] if seg is None else [seg])],
        content=report[0],
        series_instance_uid=run.ids.uid("sr", "series"),
        series_number=SERIES_NUMBERS["sr"],
        sop_instance_uid=run.ids.uid("sr", "instance"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=_superseded(run, ordered[0]),
    )
    finish(ds, ordered[0], run, run.description(STATUS[result.outcome].short))
    if requests := _requests(ordered[0]):  # bytes of the source: nothing of it is finish()'s to do
        ds.ReferencedRequestSequence = requests
    return ds


def _finding_groups(
    result: Result, sources: Sequence[Dataset], run: Run, seg: Dataset | None
) -> tuple[list[Group], list[Dataset]]:
    """The groups, and the source images that they cite.

    A finding whose segment has no voxel is absent, and an absent finding is never reported.
    """
    if result.outcome not in SHOWN:
        return [], []
    mask = source_mask(result, sources)
    segments = {each.segment.number: each for each in present_segments(result, mask, run.ids)}
    groups: list[Group] = []
    cited: dict[str, Dataset] = {}
    for finding in result.findings:
        if finding.segment_number is None:
            groups.append(plain_group(finding, run))
        elif (present := segments.get(finding.segment_number)) is not None:
            assert mask is not None  # noqa: S101 - else no segment were present
            if seg is not None:
                groups.append(volume_group(finding, present, mask, seg, run))
            else:
                groups.append(plain_group(finding, run, present))
            groups.append(outline_group(finding, present, mask, run))
            header = mask.planes[_largest_slice(present)].header
            cited[header.SOPInstanceUID] = header
    return groups, list(cited.values())


def _largest_slice(present: PresentSegment) -> int:
    return int(present.voxels.argmax())


def _observer(run: Run) -> sr.ObservationContext:
    """TID 1002 and 1004: a device, never a person."""
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=run.observer_uid,
        name=run.node_name,
        manufacturer_name=MANUFACTURER,
        model_name=f"{run.package.name} {run.package.version}",
        serial_number=run.serial_number,
    )
    return sr.ObservationContext(
        observer_device_context=sr.ObserverContext(codes.DCM.Device, device)
    )


def _procedures(header: Dataset) -> list[Code]:
    """Those of the study where they are complete codes."""
    found = [
        Code(str(item.CodeValue), str(item.CodingSchemeDesignator), str(item.CodeMeaning))
        for item in read_only_items(header, "ProcedureCodeSequence")
        if item.get("CodeValue") and item.get("CodingSchemeDesignator") and item.get("CodeMeaning")
    ]
    return found or [GENERIC_PROCEDURE]


def _fits_in_library(source: Dataset) -> bool:
    """Whether TID 1602 can describe it; a report on odd images must not fail for their oddity."""
    if source.get("Modality") not in ("CT", "MR", "PT"):
        return False
    if any(source.get(keyword) in (None, "") for keyword in IN_LIBRARY):
        return False
    try:
        sr.ImageLibrary([source])
    except (AttributeError, TypeError, ValueError):
        return False
    return True


def _superseded(run: Run, source: Dataset) -> list[Dataset] | None:
    """The report of which this one is a new version (PS3.3 C.17.2), by its UIDs."""
    if run.predecessor is None:
        return None
    earlier = Dataset()
    earlier.StudyInstanceUID = source.StudyInstanceUID
    earlier.SeriesInstanceUID = run.predecessor.uid("sr", "series")
    earlier.SOPClassUID = Comprehensive3DSRStorage
    earlier.SOPInstanceUID = run.predecessor.uid("sr", "instance")
    return [earlier]


def _requests(header: Dataset) -> list[Dataset]:
    """Referenced Request Sequence (PS3.3 C.17.2): what was ordered, in the words of the order."""
    items = [*header.RequestAttributesSequence] if "RequestAttributesSequence" in header else []
    around = encodings_of(header)
    requests = []
    for item in items:
        request = item_within(encodings_of(item, around))
        request.StudyInstanceUID = header.StudyInstanceUID
        request.ReferencedStudySequence = []
        copy_keywords(item, request, ("SpecificCharacterSet", *REQUEST), around)
        requests.append(request)
    return requests
