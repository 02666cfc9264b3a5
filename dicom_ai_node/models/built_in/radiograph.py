"""How a chest radiograph lies on its image: which way the patient's left is."""

from collections.abc import Sequence

from pydicom import Dataset

from dicom_ai_node.header import words_of

_FRONTAL = ("PA", "AP")  # ViewPosition (0018,5101)


class NotFrontal(Exception):
    """The image is no upright frontal one; the sentence says what it is."""


def left_is_right(ds: Dataset) -> bool:
    """Whether the patient's left is on the image's right side, as radiographs are looked at.

    PatientOrientation (0020,0020) says so: the direction of rows, then that of columns. Where it
    is absent, a frontal ViewPosition stands for the usual way. Raises NotFrontal.
    """
    view = next(iter(words_of(ds, "ViewPosition")), "").upper()
    rows, columns = (*(each.upper() for each in words_of(ds, "PatientOrientation")), "", "")[:2]
    if view and view not in _FRONTAL:
        raise NotFrontal("This is not a frontal view, by its ViewPosition.")
    if not rows:
        if not view:
            raise NotFrontal(
                "The image does not say which side is the patient's left (PatientOrientation and "
                "ViewPosition are empty)."
            )
        return True
    if rows[0] in "AP":
        raise NotFrontal("This is a lateral view, by its PatientOrientation.")
    if rows[0] not in "LR" or (columns and columns[0] != "F"):
        raise NotFrontal("The image does not stand upright, by its PatientOrientation.")
    return rows[0] == "L"


def header_of(headers: Sequence[Dataset], sop_instance_uid: str) -> Dataset:
    """The header of one image; an empty one where there is none of this name."""
    return next((ds for ds in headers if ds.get("SOPInstanceUID") == sop_instance_uid), Dataset())
