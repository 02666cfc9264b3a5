"""What a person must hear of, and how; and the study with which the node tries itself."""

from dicom_ai_node.config.strict import Strict


class AlarmSettings(Strict):
    """What raises an alarm, and who is told."""


class ProbeSettings(Strict):
    """The known-answer study that goes through the whole road, to a peer and back by query."""
