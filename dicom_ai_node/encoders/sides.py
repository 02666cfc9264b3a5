"""Which side something is on: as the model says, or as the images say that they are of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydicom import Dataset

from dicom_ai_node.header import words_of
from dicom_ai_node.laterality import Laterality
from dicom_ai_node.result import Assessment, Finding

SIDES = {"L": Laterality.LEFT, "R": Laterality.RIGHT, "B": Laterality.BOTH}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """`of_images` are what images say of themselves, by SOP Instance UID."""

    of_images: Mapping[str, Laterality] = field(default_factory=dict)

    def of(self, said: Finding | Assessment) -> Laterality | None:
        """Images are asked about a site alone: the one that is named, or all where they agree."""
        if said.laterality or said.site is None:
            return said.laterality
        if said.image is not None:
            return self.of_images.get(said.image)
        found = set(self.of_images.values())
        return found.pop() if len(found) == 1 else None


def sides_of(headers: Iterable[Dataset]) -> Sides:
    """By Image Laterality, or Laterality of the series (PS3.3 C.8.11.7)."""
    found = {}
    for header in headers:
        said = (*words_of(header, "ImageLaterality"), *words_of(header, "Laterality"))
        if said and said[0] in SIDES:
            found[str(header.SOPInstanceUID)] = SIDES[said[0]]
    return Sides(of_images=found)
