"""What a notification says: UIDs and counts, read from bytes that nobody vouches for.

Nothing that names the patient is looked at.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import UID

from dicom_ai_node.receive.answer import NotificationStatus
from dicom_ai_node.receive.attributes import UNDECODABLE, Unacceptable, read_attributes
from dicom_ai_node.uids import is_image_class, is_uid

IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"

# Study Instance UID, Referenced Series Sequence
_AVAILABILITY = (0x0020000D, 0x00081115)
# Performed Procedure Step Status, Scheduled Step Attributes and Performed Series Sequence
_STEP = (0x00400252, 0x00400270, 0x00400340)

Series = Mapping[str, frozenset[str]]  # the images, by Series Instance UID


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """An Instance Availability Notification (PS3.4 Table R.3.2-1)."""

    study_instance_uid: str
    series: Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A Modality Performed Procedure Step (PS3.4 Table F.7.2-1), or what of it is set anew."""

    status: str | None
    study_instance_uids: frozenset[str]
    series: Series | None


def read_availability(content: bytes, syntax: UID) -> Availability:
    """Without what is unavailable: that will not come. Raises Unacceptable."""
    ds = _read(content, syntax, _AVAILABILITY)
    try:
        study = str(ds.StudyInstanceUID)
        series = _merged(
            (str(item.SeriesInstanceUID), _available(item)) for item in ds.ReferencedSeriesSequence
        )
    except UNDECODABLE:
        raise _unreadable() from None
    _check([study, *series])
    return Availability(study_instance_uid=study, series=series)


def read_step(content: bytes, syntax: UID) -> Step:
    """Raises Unacceptable."""
    ds = _read(content, syntax, _STEP)
    try:
        status = str(ds.get("PerformedProcedureStepStatus") or "").strip().upper() or None
        scheduled = ds.get("ScheduledStepAttributesSequence") or ()
        studies = frozenset(str(item.StudyInstanceUID) for item in scheduled)
        series = None
        if "PerformedSeriesSequence" in ds:
            series = _merged(
                (str(item.SeriesInstanceUID), _images(item.get("ReferencedImageSequence") or ()))
                for item in ds.PerformedSeriesSequence or ()
            )
    except UNDECODABLE:
        raise _unreadable() from None
    if status not in (None, IN_PROGRESS, COMPLETED, DISCONTINUED):
        raise Unacceptable(NotificationStatus.INVALID_ATTRIBUTE_VALUE, "no such status of a step")
    _check([*studies, *(series or ())])
    return Step(status=status, study_instance_uids=studies, series=series)


def _read(content: bytes, syntax: UID, tags: tuple[int, ...]) -> Dataset:
    return read_attributes(content, syntax, tags, unreadable=NotificationStatus.PROCESSING_FAILURE)


def _unreadable() -> Unacceptable:
    return Unacceptable(NotificationStatus.PROCESSING_FAILURE, "the data set cannot be read")


def _merged(found: Iterable[tuple[str, frozenset[str]]]) -> Series:
    """A series may have several items; one without images does not matter."""
    series: dict[str, frozenset[str]] = {}
    for uid, images in found:
        if images:
            series[uid] = series.get(uid, frozenset()) | images
    return series


def _available(series: Dataset) -> frozenset[str]:
    return _images(
        item
        for item in series.ReferencedSOPSequence
        if str(item.get("InstanceAvailability")) != "UNAVAILABLE"
    )


def _images(references: Iterable[Dataset]) -> frozenset[str]:
    images = frozenset(
        str(item.ReferencedSOPInstanceUID)
        for item in references
        if is_image_class(str(item.ReferencedSOPClassUID))
    )
    _check(images)
    return images


def _check(uids: Iterable[str]) -> None:
    if not all(map(is_uid, uids)):
        raise Unacceptable(NotificationStatus.INVALID_ATTRIBUTE_VALUE, "a UID is not valid")
