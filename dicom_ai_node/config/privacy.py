"""What models that run outside may see of a patient."""

from pathlib import Path
from typing import Literal

from dicom_ai_node.config.strict import ModelName, Strict


class PrivacySettings(Strict):
    """De-identification for models that run outside."""

    deidentify: tuple[ModelName, ...] = ()
    """Models of kind command that get no patient data: their input files are de-identified (PS3.15
    E.1), and their answers are put back to the right patient. Models whose model.yaml says
    `outside: true` are treated so in any case. Pixels are not cleaned: see docs/privacy.md."""

    keep: tuple[Literal["age", "sex", "size", "weight"], ...] = ()
    """What of a patient such a model needs and may see all the same. Ages above 89 become 90."""

    key_file: Path | None = None
    """The file with the key of the pseudonyms, which only the node may read (mode 0600). It is made
    when it is first needed; null: the file pseudonym-key in the spool. Who has it can tell which
    pseudonym is whose: keep a copy in a safe place, and apart from what was given away."""
