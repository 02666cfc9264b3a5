"""Who an instance says it is (P4)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.charset import ESC
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from dicom_ai_node.receive.charset import text_of
from dicom_ai_node.receive.elements import DeflatedHead, Malformed, Walk
from dicom_ai_node.uids import is_uid

_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_CHARACTER_SET = 0x00080005
_STUDY, _SERIES = 0x0020000D, 0x0020000E
# who the patient is: name, ID, issuer of the ID, birth date
_PATIENT = (0x00100010, 0x00100020, 0x00100021, 0x00100030)
_WANTED = frozenset({_CHARACTER_SET, _SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES, *_PATIENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    patient_digest: str


def walk_for(transfer_syntax_uid: UID) -> Walk | DeflatedHead:
    """A walk over a data set in this transfer syntax that finds what identifies it."""
    if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        return DeflatedHead(wanted=_WANTED)
    return Walk(
        implicit=transfer_syntax_uid.is_implicit_VR,
        little_endian=transfer_syntax_uid.is_little_endian,
        wanted=_WANTED,
    )


def identify(values: Mapping[int, bytes]) -> Identity:
    """Who the data set of these values is; raises Malformed when a UID is missing or invalid."""
    return Identity(
        sop_class_uid=_uid(values, _SOP_CLASS, "SOP Class UID"),
        sop_instance_uid=_uid(values, _SOP_INSTANCE, "SOP Instance UID"),
        study_instance_uid=_uid(values, _STUDY, "Study Instance UID"),
        series_instance_uid=_uid(values, _SERIES, "Series Instance UID"),
        patient_digest=_patient_digest(values),
    )


def _uid(values: Mapping[int, bytes], tag: int, name: str) -> str:
    """PS3.5 9.1 pads with one NUL; some senders pad with a space."""
    if tag not in values:
        raise Malformed(f"{name} is missing")
    text = values[tag].rstrip(b"\0 ").decode("ascii", errors="replace")
    if not is_uid(text):
        raise Malformed(f"{name} is not a valid UID")
    return text


def _patient_digest(values: Mapping[int, bytes]) -> str:
    """Of the text, not its bytes: one study may name its patient in two character sets."""
    character_set = values.get(_CHARACTER_SET, b"")
    digest = hashlib.sha256()
    for tag in _PATIENT:
        value = values.get(tag, b"")
        if not value.isascii() or ESC in value:  # anything else says the same in every set
            value = text_of(value, character_set).encode()
        value = value.strip(b"\0 ^")  # empty components of a name say nothing
        digest.update(len(value).to_bytes(4, "big") + value)
    return digest.hexdigest()
