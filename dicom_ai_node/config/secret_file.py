"""A key whose value is the path of a file that holds a secret, never the secret (P25).

`load(need_secrets=True)` checks the file, and names file and line where it cannot be used;
`dicom_ai_node.secret.read_secret()` reads it, each time that it is needed.
"""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from dicom_ai_node.secret import fault_of

CHECK_FILES = {"check_files": True}  # the context in which a validation looks at files


def _is_secret(path: Path, info: ValidationInfo) -> Path:
    if info.context == CHECK_FILES and (fault := fault_of(path)):
        raise ValueError(fault)
    return path


SecretFile = Annotated[Path, AfterValidator(_is_secret)]
