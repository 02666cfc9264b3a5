"""What all objects of one run share: whose work it is, and when it was finished."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom.sr.coding import Code

from dicom_ai_node import __version__
from dicom_ai_node.config.kinds import ThresholdPackage
from dicom_ai_node.config.package import Package
from dicom_ai_node.encoders.ids import DerivedIds
from dicom_ai_node.encoders.words.words import say
from dicom_ai_node.form import Kind
from dicom_ai_node.job import ReportReference
from dicom_ai_node.language import Language
from dicom_ai_node.tracked import TrackedStudy
from dicom_ai_node.uids import derived_uid

MANUFACTURER = "dicom-ai-node"
# a fixed block: a viewer sorts results after images
SERIES_NUMBERS: Mapping[Kind, int] = {
    Kind.SEG: 9001,
    Kind.LABELMAP: 9001,  # in the place of a SEG, never beside it
    Kind.FRACTIONAL: 9001,
    Kind.SR: 9002,
    Kind.PM: 9003,
    Kind.SUMMARY: 9004,
    Kind.KEY_IMAGES: 9005,
    Kind.PRESENTATION: 9006,
    Kind.KEY_OBJECTS: 9007,
    Kind.PDF: 9008,
    Kind.RTSTRUCT: 9009,
    Kind.REJECTION: 9010,
}
RESEARCH = "research use only"
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
HISTOGRAM_ANALYSIS = Code("123105", "DCM", "Histogram Analysis")


def device_uid(model_sha256: str) -> str:
    """Of the model, not the machine: a retrained model is another device (IHE AIR 6.5.3.1)."""
    return derived_uid("model", model_sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """`finished_at` knows its time zone; `node_name` is what the site calls this node. `earlier` is
    what the same model found in studies of the same patient, in any order and of any date."""

    ids: DerivedIds
    package: Package
    model_sha256: str
    finished_at: datetime
    supersedes: tuple[ReportReference, ...] = ()  # reports that this run's replaces
    earlier: tuple[TrackedStudy, ...] = ()
    node_version: str = __version__
    node_name: str = "dicom-ai-node"
    font: Path | None = None  # the site's own, of what is drawn
    language: Language = Language.ENGLISH

    @property
    def device_uid(self) -> str:
        return device_uid(self.model_sha256)

    @property
    def observer_uid(self) -> str:
        """Of this model on this node (TID 1004)."""
        return derived_uid("observer", self.node_name, self.model_sha256)

    @property
    def serial_number(self) -> str:
        """Type 1 in PS3.3 C.7.5.2, and a node has none: the start of the model's hash."""
        return self.model_sha256[:16]

    @property
    def software_versions(self) -> list[str]:
        package = self.package
        return [f"dicom-ai-node {self.node_version}"[:64], f"{package.name} {package.version}"[:64]]

    @property
    def algorithm_family(self) -> Code:
        """CID 7162, which has no code for a plain threshold: the nearest, as type 1 wants one."""
        if isinstance(self.package, ThresholdPackage):
            return HISTOGRAM_ANALYSIS
        return ARTIFICIAL_INTELLIGENCE

    @property
    def parameters(self) -> dict[str, str]:
        """What a reader needs to know which model this was, without the node's database."""
        found = {"model_sha256": self.model_sha256}
        if isinstance(self.package, ThresholdPackage):
            for name, (low, high) in self.package.between.items():
                key = "between" if len(self.package.inputs) == 1 else f"{name} between"
                found[key] = f"{low} and {high}"
        return found

    @property
    def content_label(self) -> str:
        """CS: capitals, digits, space and underscore, at most 16 (PS3.5 6.2)."""
        return ("AI_" + re.sub(r"[^A-Z0-9_ ]", "_", self.package.name.upper()))[:16]

    def description(self, what: str) -> str:
        """LO that never loses the words about research, in the language of `what`; AI is AI in all
        of them, for who filters by it. 64 bytes at most, since some readers count no letters."""
        whole = f"AI {what} ({self.research}) {self.package.title}"
        return whole.encode()[:64].decode(errors="ignore").rstrip()

    @property
    def research(self) -> str:
        return self.say(RESEARCH)

    @property
    def research_too(self) -> str:
        """What stands beside the English words, which everybody knows; "" where they are alone."""
        return "" if self.language is Language.ENGLISH else self.research

    def say(self, sentence: str, **values: object) -> str:
        """In the language of the site."""
        return say(self.language, sentence, **values)
