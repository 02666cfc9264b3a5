"""Where the audit trail goes."""

from dicom_ai_node.config.strict import Strict


class AuditSettings(Strict):
    """The DICOM audit trail (PS3.15 A.5): a file in the spool, and a repository."""
