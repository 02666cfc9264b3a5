"""What goes along with segmentation and report, for viewers that show neither."""

from collections.abc import Callable, Mapping, Sequence

from pydicom import Dataset

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.companions.key_images import encode_key_images
from dicom_ai_node.encoders.companions.key_objects import encode_key_objects
from dicom_ai_node.encoders.companions.pdf import encode_pdf
from dicom_ai_node.encoders.companions.presentation import encode_presentation
from dicom_ai_node.encoders.companions.summary import encode_summary
from dicom_ai_node.form import Kind

ENCODERS: Mapping[Kind, Callable[[Basis], Sequence[Dataset]]] = {
    Kind.SUMMARY: encode_summary,
    Kind.KEY_IMAGES: encode_key_images,
    Kind.PRESENTATION: encode_presentation,
    Kind.KEY_OBJECTS: encode_key_objects,
    Kind.PDF: encode_pdf,
}


def encode_companion(kind: Kind, basis: Basis) -> Sequence[Dataset]:
    """None where there is nothing for it to show."""
    encoder = ENCODERS.get(kind)
    return encoder(basis) if encoder else []
