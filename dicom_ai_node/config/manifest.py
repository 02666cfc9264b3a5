"""Every file of an installed package with its hash: written once, by `models install`."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dicom_ai_node.config.package import RelativePath
from dicom_ai_node.config.strict import Sha256
from dicom_ai_node.errors import ConfigError

MANIFEST = "manifest.json"
MAX_MANIFEST = 1 << 20  # bytes

Files = Mapping[RelativePath, Sha256]
_FILES: TypeAdapter[Files] = TypeAdapter(Files)


def hashes_of(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below a folder, by its path there; the manifest itself has none.

    ConfigError for links, and for names that a manifest does not hold.
    """
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise ConfigError(f"{name} is a link: a package holds files only")
        if path.is_file() and name != MANIFEST:
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        _FILES.validate_python(found)
    except ValidationError as error:
        names = ", ".join(str(problem["loc"][0]) for problem in error.errors())
        raise ConfigError(
            f"names of files in a package are letters, digits and . _ + -, and begin with none of "
            f"the last: rename {names}"
        ) from None
    return found


def manifest_bytes(files: Mapping[str, str]) -> bytes:
    """The same bytes for the same files: their hash is the package's."""
    return json.dumps({"files": dict(sorted(files.items()))}, indent=1).encode() + b"\n"


def sha256_of(files: Mapping[str, str]) -> str:
    """The hash of a package of these files."""
    return hashlib.sha256(manifest_bytes(files)).hexdigest()


def read_manifest(folder: Path) -> tuple[Files, str]:
    """The files that were installed, and the hash of them; ConfigError without any."""
    path = folder / MANIFEST
    again = f"install the model again: `dicom-ai-node models install {folder}`"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): {again}") from None
    try:
        files = _FILES.validate_python(json.loads(content[: MAX_MANIFEST + 1])["files"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigError(f"{path} is not the manifest of a model: {again}") from None
    return files, hashlib.sha256(content).hexdigest()
