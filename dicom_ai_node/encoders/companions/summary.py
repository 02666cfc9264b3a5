"""The summary page as an image of its own series."""

from collections.abc import Sequence

from pydicom import Dataset

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.companions.capture import capture
from dicom_ai_node.encoders.companions.page import summary_page
from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.marked.key_frames import Where
from dicom_ai_node.encoders.sr.status import STATUS
from dicom_ai_node.form import Kind

MAX_SOURCES = 50


def encode_summary(basis: Basis) -> Sequence[Dataset]:
    """One page, of any outcome."""
    page = summary_page(basis)
    sources = [each.where for each in page.shown] or analysed(basis)
    identity = Identity(run=basis.run, kind=Kind.SUMMARY)
    status = basis.run.say(STATUS[basis.result.outcome].short)
    what = basis.run.say("summary {status}", status=status)
    return [capture(page.image, basis, identity, what, sources=sources)]


def analysed(basis: Basis) -> list[Where]:
    """What a page without slices speaks of: the first images, each as a whole."""
    images = [source for source in basis.sources if "Rows" in source]
    return [(str(source.SOPInstanceUID), None) for source in images[:MAX_SOURCES]]
