"""A model's result as a report: TID 1500, as a Comprehensive 3D SR (PS3.3 A.35.13), or as a
Comprehensive SR (A.35.3) for viewers that take no other."""

from collections.abc import Sequence

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.coding import Code

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.document import observer, requests
from dicom_ai_node.encoders.finish import finish, in_letters_of
from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.encoders.seg.marks import Marks
from dicom_ai_node.encoders.sides import sides_of
from dicom_ai_node.encoders.source.headers import encodings_of, read_only_items, stand_in
from dicom_ai_node.encoders.sr import names
from dicom_ai_node.encoders.sr.beside import beside_items
from dicom_ai_node.encoders.sr.draft import Draft, algorithm
from dicom_ai_node.encoders.sr.encoded import encode_content
from dicom_ai_node.encoders.sr.findings import said_of
from dicom_ai_node.encoders.sr.groups import status_group, status_section
from dicom_ai_node.encoders.sr.items import HAS_CONCEPT_MOD, Items
from dicom_ai_node.encoders.sr.library import image_library
from dicom_ai_node.encoders.sr.status import STATUS
from dicom_ai_node.errors import ModelError
from dicom_ai_node.form import DEFAULT, Form, Kind, ReportForm
from dicom_ai_node.job import Outcome, ReportReference
from dicom_ai_node.language import Language

GENERIC_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
LANGUAGES = {
    Language.ENGLISH: Code("en-US", "RFC5646", "English (United States)"),
    Language.GERMAN: Code("de", "RFC5646", "German"),
    Language.FRENCH: Code("fr", "RFC5646", "French"),
    Language.SPANISH: Code("es", "RFC5646", "Spanish"),
}
SOP_CLASSES = {
    ReportForm.COMPREHENSIVE_3D: sr.Comprehensive3DSR,
    ReportForm.COMPREHENSIVE: sr.ComprehensiveSR,
    ReportForm.SPATIAL: sr.Comprehensive3DSR,
}


def encode_sr(basis: Basis, marks: Marks, form: Form, beside: Sequence[Dataset] = ()) -> Dataset:
    """The report of any outcome: the root of the run, which refers to all its other objects.

    `beside` are those of them that `marks` does not have. Evidence is all that was analysed,
    further inputs included; the Image Library only what the report cites.
    """
    run, items = basis.run, Items()
    draft = Draft(
        run=run,
        items=items,
        algorithm=algorithm(run, items),
        follow_up=basis.follow_up,
        sides=sides_of(basis.headers),
        spatial=form.report is ReportForm.SPATIAL,
    )
    content = _content(basis, marks, draft, beside)
    root = sr.ContainerContentItem(name=names.REPORT, template_id="1500")
    root.ContentSequence = _observed(run)
    ds: Dataset = SOP_CLASSES[form.report](
        evidence=[*basis.sources, *map(stand_in, basis.evidence), *marks.objects, *beside],
        content=root,  # the constructor copies what it is given, twice: not the whole of it
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        **_identity(run, form).attributes,
    )
    ds.ContentSequence = content
    if run.supersedes:
        ds.PredecessorDocumentsSequence = [_reference(ds, each) for each in run.supersedes]
    finish(ds, basis.header, run, run.description(run.say(STATUS[basis.result.outcome].short)))
    if ordered := requests(in_letters_of(ds, basis.header)):
        ds.ReferencedRequestSequence = ordered
    encode_content(ds, encodings_of(ds))
    return ds


def _identity(run: Run, form: Form) -> Identity:
    variant = "" if form.label == DEFAULT.label else form.label
    return Identity(run=run, kind=Kind.SR, variant=variant)


def _content(basis: Basis, marks: Marks, draft: Draft, beside: Sequence[Dataset]) -> list[Dataset]:
    result, items = basis.result, draft.items
    said = said_of(draft, result, basis.sources, marks.parts, marks.segs)
    if result.outcome is Outcome.FINDINGS and result.findings and not said.findings:
        raise ModelError("The model reports findings, but has not marked a single voxel of them.")
    cited = [*said.cited.values()] or [ds for ds in basis.sources if "Rows" in ds][:1]
    structures = [] if marks.segs else marks.objects  # to which no finding refers
    others = beside_items(items, [*structures, *beside])
    status, section = [], []
    if said.findings:
        section = [status_section(draft, result, said.items, others)]
    else:
        status = [status_group(draft, result, cited[0] if cited else None, others)]
    groups = [*status, *said.findings, *said.assessments]
    return [
        items.code(names.LANGUAGE, LANGUAGES[draft.run.language], HAS_CONCEPT_MOD),
        *_observed(draft.run),
        *(
            items.code(names.PROCEDURE_REPORTED, procedure, HAS_CONCEPT_MOD)
            for procedure in _procedures(basis.header)
        ),
        *image_library(items, cited),
        items.container(names.IMAGING_MEASUREMENTS, groups),
        *section,
    ]


def _observed(run: Run) -> sr.ObservationContext:
    return sr.ObservationContext(observer_device_context=observer(run))


def _reference(ds: Dataset, report: ReportReference) -> Dataset:
    """A report of which this one is a new version (PS3.3 C.17.2), by its UIDs."""
    instance, of_series, of_study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID = report.sop_class_uid
    instance.ReferencedSOPInstanceUID = report.sop_instance_uid
    of_series.SeriesInstanceUID = report.series_instance_uid
    of_series.ReferencedSOPSequence = [instance]
    of_study.StudyInstanceUID = ds.StudyInstanceUID
    of_study.ReferencedSeriesSequence = [of_series]
    return of_study


def _procedures(header: Dataset) -> list[Code]:
    """Those of the study where they are complete codes."""
    found = [
        Code(str(item.CodeValue), str(item.CodingSchemeDesignator), str(item.CodeMeaning))
        for item in read_only_items(header, "ProcedureCodeSequence")
        if item.get("CodeValue") and item.get("CodingSchemeDesignator") and item.get("CodeMeaning")
    ]
    return found or [GENERIC_PROCEDURE]
