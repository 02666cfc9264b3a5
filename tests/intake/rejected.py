"""Rejection notes as a PACS or an image manager sends them (IHE IOCM, RAD-66)."""

from collections.abc import Sequence

import highdicom as hd
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node.uids import derived_uid

QUALITY: Code = codes.DCM.RejectedForQualityReasons
SAFETY: Code = codes.DCM.RejectedForPatientSafetyReasons
WORKLIST: Code = codes.DCM.IncorrectModalityWorklistEntry
RETENTION: Code = codes.DCM.DataRetentionPolicyExpired


def note(title: Code, images: Sequence[Dataset], *, name: str = "note") -> Dataset:
    """About these, of one study; equal names, equal notes."""
    content = hd.ko.KeyObjectSelection(
        document_title=title,
        referenced_objects=list(images),
        description="rejected at the workstation",
    )
    made = hd.ko.KeyObjectSelectionDocument(
        evidence=list(images),
        content=content,
        series_instance_uid=derived_uid("series", name),
        series_number=99,
        sop_instance_uid=f"1.2.3.{derived_uid(name)[5:20]}",
        instance_number=1,
        manufacturer="A workstation",
    )
    made.IssuerOfPatientID = images[0].IssuerOfPatientID  # which highdicom leaves out
    return made
