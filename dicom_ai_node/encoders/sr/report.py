"""A model's result as a report: Comprehensive 3D SR (PS3.3 A.35.13), TID 1500."""

from collections.abc import Sequence

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.document import observer, requests
from dicom_ai_node.encoders.finish import finish, in_letters_of
from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.encoders.seg.marks import Marks
from dicom_ai_node.encoders.source.headers import read_only_items, stand_in
from dicom_ai_node.encoders.sr.findings import said_of
from dicom_ai_node.encoders.sr.groups import status_group, status_section
from dicom_ai_node.encoders.sr.status import STATUS
from dicom_ai_node.errors import ModelError
from dicom_ai_node.form import ALONE, DEFAULT, Form, Kind
from dicom_ai_node.job import Outcome, ReportReference

GENERIC_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
IN_LIBRARY = (  # what TID 1602 wants of a cross-sectional image
    *("Rows", "Columns", "PixelSpacing", "SliceThickness"),
    *("ImagePositionPatient", "ImageOrientationPatient"),
)
MAX_IN_LIBRARY = 50  # 300 slices cost 6 s, and a megabyte


def encode_sr(basis: Basis, marks: Marks, form: Form, beside: Sequence[Dataset] = ()) -> Dataset:
    """The report of any outcome: the root of the run, which refers to all its other objects.

    `beside` are those of them that `marks` does not have. Evidence is all that was analysed,
    further inputs included; the Image Library only what the report cites.
    """
    result, run, sources = basis.result, basis.run, basis.sources
    said = said_of(result, sources, run, marks.parts, marks.segs)
    if result.outcome is Outcome.FINDINGS and result.findings and not said.findings:
        raise ModelError("The model reports findings, but has not marked a single voxel of them.")
    cited = [*said.cited.values()] or [source for source in sources if "Rows" in source][:1]
    status = [] if said.findings else [status_group(result, run, cited[0] if cited else None)]
    library = [source for source in cited[:MAX_IN_LIBRARY] if _fits_in_library(source)]
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer(run)),
        procedure_reported=_procedures(basis.header),
        imaging_measurements=[*status, *said.findings, *said.assessments],
        title=codes.DCM.ImagingMeasurementReport,
        referenced_images=library,
    )
    if said.findings:
        report[0].ContentSequence.append(status_section(result, run, said.items))
    variant = "" if form.label in (DEFAULT.label, ALONE.label) else form.label
    ds: Dataset = sr.Comprehensive3DSR(
        evidence=[*sources, *map(stand_in, basis.evidence), *marks.objects, *beside],
        content=report[0],
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=_superseded(run, basis.header),
        **Identity(run=run, kind=Kind.SR, variant=variant).attributes,
    )
    finish(ds, basis.header, run, run.description(STATUS[result.outcome].short))
    if ordered := requests(in_letters_of(ds, basis.header)):
        ds.ReferencedRequestSequence = ordered
    return ds


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
    """The reports of which this one is a new version (PS3.3 C.17.2), by their UIDs."""
    return [_stub_of(each, source) for each in run.supersedes] or None


def _stub_of(report: ReportReference, source: Dataset) -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID = source.StudyInstanceUID
    ds.SeriesInstanceUID = report.series_instance_uid
    ds.SOPClassUID = report.sop_class_uid
    ds.SOPInstanceUID = report.sop_instance_uid
    return ds
