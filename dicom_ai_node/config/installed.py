"""A model package as it lies in the store: pinned, and perhaps trusted."""

from collections.abc import Mapping
from pathlib import Path

from dicom_ai_node.config.kinds import AnyPackage
from dicom_ai_node.config.package import RelativePath
from dicom_ai_node.config.strict import Sha256, Strict


class InstalledModel(Strict):
    """`files` are the hashes of all its files, by their paths in the folder; `sha256` is the hash
    of them all, and stands for everything that changes the model's results.

    `trusted`: the configuration names that hash, so code of the package's own may run.
    """

    folder: Path
    package: AnyPackage
    sha256: Sha256
    files: Mapping[RelativePath, Sha256] = {}
    trusted: bool = False

    @property
    def needs_trust(self) -> str | None:
        """What has to be done before it may run, where its code is its own and not trusted."""
        if self.trusted or not self.package.brings_code:
            return None
        return (
            f"{self.label} brings code of its own: read it, then name its hash in the "
            f"configuration, node.trusted_models: [{self.sha256}]"
        )

    @property
    def label(self) -> str:
        return model_label(self.package.name, self.package.version)


def model_label(name: str, version: str) -> str:
    """One version of a model, in words: "brain-mr 1.0.0"."""
    return f"{name} {version}"
