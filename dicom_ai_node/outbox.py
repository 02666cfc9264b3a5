"""What waits to be sent is what was made: an object whose file has changed is never sent."""

import hashlib
from pathlib import Path


def verified(path: Path, sha256: str) -> bool:
    """Whether the file is there, and has this hash; nobody can say for an object of an earlier
    version, which has none."""
    try:
        with path.open("rb") as file:
            return not sha256 or hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False
