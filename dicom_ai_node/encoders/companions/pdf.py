"""The pages as an Encapsulated PDF (PS3.3 A.45.1), for viewers of documents."""

import time
from collections.abc import Sequence
from datetime import UTC
from io import BytesIO

from PIL import Image
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import EncapsulatedPDFStorage

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.companions.capture import source_items
from dicom_ai_node.encoders.companions.key_images import key_pictures
from dicom_ai_node.encoders.companions.page import further_pages, summary_page
from dicom_ai_node.encoders.companions.summary import analysed
from dicom_ai_node.encoders.finish import finish
from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.encoders.sr.status import STATUS
from dicom_ai_node.form import Kind

REPORT = Code("126000", "DCM", "Imaging Measurement Report")
DOTS_PER_INCH = 130
QUALITY = 95  # of the pages' JPEG; the key images without loss are an object of their own


def encode_pdf(basis: Basis) -> Sequence[Dataset]:
    """One document: the summary, further pages of a long table, the key images."""
    page = summary_page(basis)
    shown = list(key_pictures(basis))
    pages = [page.image, *further_pages(basis, page.rows), *(picture for _, picture in shown)]
    content = _pdf(pages, basis.run)
    status = basis.run.say(STATUS[basis.result.outcome].short)
    description = basis.run.description(basis.run.say("report {status}", status=status))
    identity = Identity(run=basis.run, kind=Kind.PDF)
    ds = Dataset()
    ds.SOPClassUID = EncapsulatedPDFStorage
    ds.SOPInstanceUID = identity.uid("instance")
    ds.SeriesInstanceUID = identity.attributes["series_instance_uid"]
    ds.SeriesNumber = identity.attributes["series_number"]
    ds.InstanceNumber = 1
    ds.Modality = "DOC"
    ds.ConversionType = "WSD"
    ds.BurnedInAnnotation = "YES"
    ds.DocumentTitle = description
    ds.ConceptNameCodeSequence = [_item(REPORT)]
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocumentLength = len(content)
    ds.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    ds.AcquisitionDateTime = None
    where = [each.where for each, _ in shown] or analysed(basis)
    ds.SourceInstanceSequence = [_reference(item) for item in source_items(basis, where)]
    finish(ds, basis.header, basis.run, description)
    ds.pop("BodyPartExamined", None)  # of images alone (PS3.3 C.24.1)
    return [ds]


def _pdf(pages: Sequence[Image.Image], run: Run) -> bytes:
    """Nothing of it is of today: the same pages are the same bytes."""
    at: time.struct_time = run.finished_at.astimezone(UTC).timetuple()
    with BytesIO() as file:
        pages[0].save(
            file,
            "PDF",
            save_all=True,
            append_images=pages[1:],
            resolution=DOTS_PER_INCH,
            quality=QUALITY,
            subsampling=0,
            title=run.description(run.say("report")),
            producer=MANUFACTURER,
            creationDate=at,
            modDate=at,
        )
        return file.getvalue()


def _item(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code[:3]
    return item


def _reference(item: Dataset) -> Dataset:
    """Of an instance as a whole (PS3.3 C.24.2)."""
    item.pop("ReferencedFrameNumber", None)
    return item
