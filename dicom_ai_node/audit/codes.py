"""Coded values of audit messages (PS3.16 CID 400 to 405, and the value sets of PS3.15 A.5.1.2)."""

import enum
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A `CodedValueType` of the schema."""

    value: str
    meaning: str
    system: str = "DCM"


class Outcome(enum.IntEnum):
    """EventOutcomeIndicator."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8


# events (CID 400)
APPLICATION_ACTIVITY = Code("110100", "Application Activity")
AUDIT_LOG_USED = Code("110101", "Audit Log Used")
BEGIN_TRANSFERRING = Code("110102", "Begin Transferring DICOM Instances")
INSTANCES_ACCESSED = Code("110103", "DICOM Instances Accessed")
INSTANCES_TRANSFERRED = Code("110104", "DICOM Instances Transferred")
STUDY_DELETED = Code("110105", "DICOM Study Deleted")
EXPORT = Code("110106", "Export")
IMPORT = Code("110107", "Import")
QUERY = Code("110112", "Query")
SECURITY_ALERT = Code("110113", "Security Alert")
USER_AUTHENTICATION = Code("110114", "User Authentication")

# their types (CID 401, 403)
START = Code("110120", "Application Start")
STOP = Code("110121", "Application Stop")
LOGIN = Code("110122", "Login")
LOGOUT = Code("110123", "Logout")
NODE_AUTHENTICATION = Code("110126", "Node Authentication")
SOFTWARE_CONFIGURATION = Code("110131", "Software Configuration")
USE_OF_RESTRICTED_FUNCTION = Code("110132", "Use of Restricted Function")
USER_ATTRIBUTES_CHANGED = Code("110137", "User Security Attributes Changed")

# who takes part (CID 402)
APPLICATION = Code("110150", "Application")
LAUNCHER = Code("110151", "Application Launcher")
DESTINATION = Code("110152", "Destination Role ID")
SOURCE = Code("110153", "Source Role ID")
DESTINATION_MEDIA = Code("110154", "Destination Media")
SOURCE_MEDIA = Code("110155", "Source Media")

# media (CID 405)
MEDIUM_BY_URI = Code("110037", "URI")

# what is named (CID 404, PS3.15 A.5.1.2.4)
STUDY = Code("110180", "Study Instance UID")
SOP_CLASS = Code("110181", "SOP Class UID")
NODE = Code("110182", "Node ID")
PATIENT = Code("2", "Patient Number", "RFC-3881")
URI = Code("12", "URI", "RFC-3881")
# of this product: neither DICOM nor RFC 3881 has a code for these
JOB = Code("job", "Job number", "dicom-ai-node")
HEAD_LOST = Code("head-lost", "Head of the audit trail was missing or spoilt", "dicom-ai-node")
NAMED = Code("name", "Name of a model, a peer, a token or a file", "dicom-ai-node")
