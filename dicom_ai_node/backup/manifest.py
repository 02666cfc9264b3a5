"""What a backup holds, file by file, with hashes: by that it can be checked before it is needed."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dicom_ai_node.errors import NodeError

MANIFEST = "manifest.json"
DATABASE = "node.db"
CONFIG = "config"
SALT = "log-salt"
OUTBOX = "outbox"
INSTANCES = ("instances", "conflict")
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One file of a backup."""

    size: int  # bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`files` are by their paths below the backup's folder."""

    made_at: str
    program: str
    schema: str
    with_instances: bool
    files: Mapping[str, Kept]
    format: int = FORMAT

    def content(self) -> bytes:
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode()


def read_manifest(folder: Path) -> Manifest:
    """Raises NodeError for a folder that is no backup of ours."""
    try:
        fields = json.loads((folder / MANIFEST).read_bytes())
        fields["files"] = {name: Kept(**kept) for name, kept in fields["files"].items()}
        found = Manifest(**fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise NodeError(
            f"{folder} is no backup of this program, or is damaged: its {MANIFEST} cannot be read"
        ) from None
    if found.format != FORMAT:
        raise NodeError(
            f"the backup {folder} has format {found.format}, which this program does not know: "
            "install the program that made it, or a newer one"
        )
    return found


def problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    """A sentence for each file that is not what was backed up."""
    for name, kept in sorted(manifest.files.items()):
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif path.stat().st_size != kept.size or sha256_of(path) != kept.sha256:
            yield f"{name} is damaged"
    for root, _, names in os.walk(folder):
        for name in names:
            found = Path(root, name).relative_to(folder).as_posix()
            if found not in manifest.files and found != MANIFEST:
                yield f"{found} does not belong there"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
