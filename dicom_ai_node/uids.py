"""Which strings are UIDs, and how ours are made."""

import hashlib
import re

# who wrote a Part 10 file or speaks on an association (PS3.7 D.3.3.2)
IMPLEMENTATION_CLASS_UID = "2.25.77680266916575147967282900357137477716"
IMPLEMENTATION_VERSION_NAME = "DICOM_AI_NODE"

# who vouches for the private information in the meta group of a received file (PS3.10 7.1)
SEAL_UID = "2.25.99204513872095364403417208838604180513"

OURS = "2.25."  # begins UIDs that we derive

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")


def is_uid(text: str) -> bool:
    """True for PS3.5 9.1 UIDs; a leading zero in a component is tolerated, scanners write them."""
    return 0 < len(text) <= 64 and _UID.fullmatch(text) is not None


def derived_uid(*parts: object) -> str:
    """A UID under 2.25 (PS3.5 B.2): the same parts, the same UID, on any machine."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return f"{OURS}{int.from_bytes(digest[:16], 'big')}"


def is_image_class(sop_class_uid: str) -> bool:
    """False for reports, presentation states, segmentations and the like; unknown ones may be."""
    from pydicom.uid import UID  # which brings all of pydicom: for a verb that prints a table, 1 s

    uid = UID(sop_class_uid)
    return uid.name == uid or "Image Storage" in uid.name
