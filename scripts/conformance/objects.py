"""The objects that are made, and the letters that they are written in."""

from pydicom.uid import UID

from dicom_ai_node.encoders.run import SERIES_NUMBERS
from dicom_ai_node.form import Kind
from scripts.conformance.table import table

# SOP Class, and when there is one
MADE: dict[Kind, tuple[str, str]] = {
    Kind.SEG: ("1.2.840.10008.5.1.4.1.1.66.4", "the model marks something; BINARY"),
    Kind.LABELMAP: ("1.2.840.10008.5.1.4.1.1.66.7", "a peer asks for `labelmap`"),
    Kind.FRACTIONAL: ("1.2.840.10008.5.1.4.1.1.66.4", "a peer asks for `fractional`; OCCUPANCY"),
    Kind.RTSTRUCT: ("1.2.840.10008.5.1.4.1.1.481.3", "a peer asks for `rtstruct`"),
    Kind.SR: (
        "1.2.840.10008.5.1.4.1.1.88.34",
        (
            "always, whatever the outcome; where a peer asks for `comprehensive` it is "
            "Comprehensive SR (1.2.840.10008.5.1.4.1.1.88.33)"
        ),
    ),
    Kind.PM: ("1.2.840.10008.5.1.4.1.1.30", "a route asks for maps; float32"),
    Kind.SUMMARY: ("1.2.840.10008.5.1.4.1.1.7", "unless a peer wants none"),
    Kind.KEY_IMAGES: ("1.2.840.10008.5.1.4.1.1.7", "a peer asks for them"),
    Kind.PRESENTATION: ("1.2.840.10008.5.1.4.1.1.11.1", "a peer asks for it"),
    Kind.KEY_OBJECTS: ("1.2.840.10008.5.1.4.1.1.88.59", "a peer asks for it"),
    Kind.PDF: ("1.2.840.10008.5.1.4.1.1.104.1", "a peer asks for it"),
    Kind.REJECTION: ("1.2.840.10008.5.1.4.1.1.88.59", "somebody retracts results"),
}


def created() -> str:
    rows = [
        (kind, UID(sop_class).name, f"`{sop_class}`", SERIES_NUMBERS[kind], when)
        for kind, (sop_class, when) in ((kind, MADE[kind]) for kind in Kind)
    ]
    return (
        "## Objects that are made\n\n"
        "All are written in Explicit VR Little Endian, uncompressed, each in a series of its own\n"
        "of the source's study, with Patient and Study modules copied from the source. UIDs are\n"
        "derived from the job (2.25), so that a retry has the same. General Equipment names the\n"
        "node; Contributing Equipment names the model. How each is encoded:\n"
        "[results.md](results.md).\n\n"
        + table(("object", "SOP Class", "UID", "series number", "when"), rows)
    )


def character_sets() -> str:
    return (
        "## Character sets\n\n"
        "Every Specific Character Set of PS3.3 C.12.1.1.2 is received. Results carry the source's\n"
        "set and its bytes, and ISO_IR 192 with equal code points where the source's set lacks a\n"
        "letter of the result's own text. Bytes that are not of the set that the source declares\n"
        "are never changed.\n"
    )
