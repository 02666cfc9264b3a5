"""A rejection note (IHE IOCM, RAD-66): which objects of a study are not to be used, and why."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node import __version__
from dicom_ai_node.encoders.document import requests
from dicom_ai_node.encoders.finish import complete, in_letters_of
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.key_object_document import KeyObject, key_object_document
from dicom_ai_node.encoders.run import MANUFACTURER, SERIES_NUMBERS
from dicom_ai_node.encoders.words.words import say
from dicom_ai_node.form import Kind
from dicom_ai_node.language import Language
from dicom_ai_node.uids import derived_uid

PATIENT_SAFETY: Code = codes.DCM.RejectedForPatientSafetyReasons
QUALITY: Code = codes.DCM.RejectedForQualityReasons
# a node is no model and has no serial number: what it is called stands for it (PS3.3 C.7.5.2)
_SERIAL_NUMBER = "dicom-ai-node"


def rejection_note(
    title: Code,
    objects: Sequence[KeyObject],
    text: str,
    *,
    header: Dataset,
    ids: DerivedIds,
    made_at: datetime,
    node_name: str,
    language: Language = Language.ENGLISH,
) -> Dataset:
    """`header` is any of the study, as it was read: whose it is, and in which letters.

    It is the node's and not the model's, which may be there no longer. Save it before reading its
    text: unread text is written as the bytes that came.
    """
    ds = key_object_document(
        title,
        objects,
        text,
        study_instance_uid=str(header.StudyInstanceUID),
        observer=_observer(node_name),
        attributes=_attributes(ids),
    )
    ds.Manufacturer = MANUFACTURER
    ds.ManufacturerModelName = MANUFACTURER
    ds.SoftwareVersions = f"{MANUFACTURER} {__version__}"[:64]
    ds.DeviceSerialNumber = _SERIAL_NUMBER
    complete(ds, header, made_at, say(language, "AI results recalled"))
    if ordered := requests(in_letters_of(ds, header)):
        ds.ReferencedRequestSequence = ordered
    return ds


def _attributes(ids: DerivedIds) -> Mapping[str, object]:
    return {
        "series_instance_uid": ids.uid(Kind.REJECTION, "series"),
        "series_number": SERIES_NUMBERS[Kind.REJECTION],
        "sop_instance_uid": ids.uid(Kind.REJECTION, "instance"),
        "instance_number": 1,
    }


def _observer(node_name: str) -> sr.ObserverContext:
    """TID 1004: a device, never a person."""
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("observer", node_name),
        name=node_name,
        manufacturer_name=MANUFACTURER,
        model_name=MANUFACTURER,
    )
    return sr.ObserverContext(codes.DCM.Device, device)
