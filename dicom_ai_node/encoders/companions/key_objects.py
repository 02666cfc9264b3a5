"""The source images that findings lie on best, as key objects, for an archive to list apart."""

from collections.abc import Sequence

from pydicom import Dataset
from pydicom.sr.codedict import codes

from dicom_ai_node.encoders.basis import Basis
from dicom_ai_node.encoders.document import observer, requests
from dicom_ai_node.encoders.finish import finish, in_letters_of
from dicom_ai_node.encoders.identity import Identity
from dicom_ai_node.encoders.key_object_document import KeyObject, key_object_document
from dicom_ai_node.encoders.marked.key_frames import key_frames
from dicom_ai_node.encoders.sr.status import STATUS
from dicom_ai_node.form import Kind


def encode_key_objects(basis: Basis) -> Sequence[Dataset]:
    """None without findings, or where no image shows one."""
    objects = _objects(basis)
    if not objects:
        return []
    run = basis.run
    headline = run.say(STATUS[basis.result.outcome].headline)
    description = run.description(run.say("key images"))
    ds = key_object_document(
        codes.DCM.OfInterest,
        objects,
        f"{headline}. {description}",
        study_instance_uid=str(basis.header.StudyInstanceUID),
        observer=observer(run),
        attributes=Identity(run=run, kind=Kind.KEY_OBJECTS).attributes,
    )
    finish(ds, basis.header, run, description)
    if ordered := requests(in_letters_of(ds, basis.header)):
        ds.ReferencedRequestSequence = ordered
    return [ds]


def _objects(basis: Basis) -> list[KeyObject]:
    """In the order of the findings; the frames of one instance together."""
    frames: dict[str, list[int]] = {}
    headers: dict[str, Dataset] = {}
    for frame in key_frames(basis):
        uid, frame_number = frame.where
        headers[uid] = frame.header
        numbers = frames.setdefault(uid, [])
        if frame_number is not None and frame_number not in numbers:
            numbers.append(frame_number)
    return [
        KeyObject(
            series_instance_uid=str(header.SeriesInstanceUID),
            sop_class_uid=str(header.SOPClassUID),
            sop_instance_uid=uid,
            is_image=True,
            frame_numbers=tuple(frames[uid]),
        )
        for uid, header in headers.items()
    ]
