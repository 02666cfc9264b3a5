"""Weights of the catalogue that others have published: where they are, and how they become ours."""

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from safetensors.numpy import save as safetensors_bytes

from dicom_ai_node.errors import ConfigError
from dicom_ai_node.models.installation.inert import Arrays
from dicom_ai_node.models.installation.sdist import fetch_sdist, read_sdist
from dicom_ai_node.models.installation.wheel import fetch_wheel, read_wheel

Progress = Callable[[str], None]  # gets a sentence before each step that takes long


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Pinned by hash; `read` gives the arrays in it, and the text of its licence."""

    requirement: str
    sha256: str
    size: str
    fetch: Callable[[str, str, Path], Path]
    read: Callable[[Path], tuple[Arrays, bytes]]
    converted: str  # SHA-256 of what becomes of it


PUBLISHED: Mapping[str, Published] = {
    "brain-mr": Published(
        requirement="deepbet==1.0.2",
        sha256="1999e2ea00ec48f6233b95b96f3901a962d3f70431c63aeb985e8a49a198473c",
        size="10 MB",
        fetch=fetch_wheel,
        read=partial(
            read_wheel,
            networks={"box.": "data/models/bbox_model.pt", "brain.": "data/models/model.pt"},
            license_file="deepbet-1.0.2.dist-info/LICENSE",
        ),
        converted="17695d16f9da62040c6d3ec2424dc3271e1cb2670721d0881e274006c2c9c210",
    ),
    "lung-cxr": Published(
        requirement="cheXwhatsApp==0.1.5",
        sha256="645e7ca4fbd184319ac6d1bb3ef4a39803357cec6233faa64a5297f8c022ba9d",
        size="85 MB",
        fetch=fetch_sdist,
        read=partial(
            read_sdist,
            network="cheXwhatsApp-0.1.5/cheXwhatsApp/lung_segmentation.pt",
            own=frozenset(
                {("lung_segmentation", "PretrainedUNet"), ("lung_segmentation", "Block")}
            ),
            license_file="cheXwhatsApp-0.1.5/LICENCE.txt",
        ),
        converted="7bec3470c29b2b576416133d325579304e6dc95e847fef5b7b75175cdabc97b8",
    ),
}


def weights_of(name: str, progress: Progress) -> tuple[bytes, bytes] | None:
    """The converted weights of a model, and the licence that they came with; None if it needs
    none."""
    published = PUBLISHED.get(name)
    if published is None:
        return None
    progress(f"Fetching the weights of {name} ({published.requirement}, {published.size}).")
    with tempfile.TemporaryDirectory() as scratch:
        archive = published.fetch(published.requirement, published.sha256, Path(scratch))
        progress(f"Converting the weights of {name}.")
        return converted(archive, published)


def converted(archive: Path, published: Published) -> tuple[bytes, bytes]:
    """safetensors of float16, the same bytes each time, so that model.yaml can pin them."""
    arrays, license_text = published.read(archive)
    weights = safetensors_bytes({name: each.astype("<f2") for name, each in arrays.items()})
    if hashlib.sha256(weights).hexdigest() != published.converted:
        raise ConfigError(
            f"the converted weights of {published.requirement} are not those that are known: "
            "do not use them"
        )
    return weights, license_text
