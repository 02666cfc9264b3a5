"""What every document of a run says, report and key objects alike: who observed, what was asked."""

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes

from dicom_ai_node.encoders.modules import REQUEST, TYPE_2_OF_REQUEST
from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.encoders.source.headers import copy_keywords, encodings_of, item_within


def observer(run: Run) -> sr.ObserverContext:
    """TID 1002 and 1004: a device, never a person."""
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=run.observer_uid,
        name=run.node_name,
        manufacturer_name=MANUFACTURER,
        model_name=f"{run.package.name} {run.package.version}",
        serial_number=run.serial_number,
    )
    return sr.ObserverContext(codes.DCM.Device, device)


def requests(header: Dataset) -> list[Dataset]:
    """Referenced Request Sequence (PS3.3 C.17.2): what was ordered, in the words of the order.

    Put it in after finish(), of the header in_letters_of the object: it is bytes of the source.
    """
    items = [*header.RequestAttributesSequence] if "RequestAttributesSequence" in header else []
    around = encodings_of(header)
    found = []
    for item in items:
        request = item_within(encodings_of(item, around))
        request.StudyInstanceUID = header.StudyInstanceUID
        request.ReferencedStudySequence = []
        copy_keywords(item, request, ("SpecificCharacterSet", *REQUEST), around)
        for keyword in TYPE_2_OF_REQUEST:
            if keyword not in request:
                setattr(request, keyword, [] if keyword.endswith("Sequence") else None)
        found.append(request)
    return found
