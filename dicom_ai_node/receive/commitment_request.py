"""What an N-ACTION for storage commitment asks for, read from bytes that nobody vouches for."""

from pydicom import Dataset
from pydicom.uid import UID

from dicom_ai_node.database.commitments import Reference
from dicom_ai_node.receive.answer import ActionStatus
from dicom_ai_node.receive.attributes import UNDECODABLE, Unacceptable, read_attributes
from dicom_ai_node.uids import is_uid

REQUEST_STORAGE_COMMITMENT = 1  # the only Action Type (PS3.4 J.3.2)
SOP_INSTANCE_UID = "1.2.840.10008.1.20.1.1"  # well-known: there is no other

_TAGS = (0x00081195, 0x00081199)  # Transaction UID, Referenced SOP Sequence


def read_request(content: bytes, syntax: UID) -> tuple[str, tuple[Reference, ...]]:
    """Transaction UID and references of an N-ACTION's data set; raises Unacceptable."""
    ds = read_attributes(content, syntax, _TAGS)
    try:
        uid, references = str(ds.TransactionUID), tuple(map(_reference, ds.ReferencedSOPSequence))
    except UNDECODABLE:
        raise Unacceptable(
            ActionStatus.INVALID_ARGUMENT_VALUE, "the data set cannot be read"
        ) from None
    if not references or not all(
        map(is_uid, (uid, *(each for pair in references for each in pair)))
    ):
        raise Unacceptable(ActionStatus.INVALID_ARGUMENT_VALUE, "a UID is missing or not valid")
    return uid, references


def _reference(item: Dataset) -> Reference:
    return Reference(str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
