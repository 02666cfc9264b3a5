"""What models that run outside may see of a patient."""

from dicom_ai_node.config.strict import Strict


class PrivacySettings(Strict):
    """De-identification for models that run outside."""
