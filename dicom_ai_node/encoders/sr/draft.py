"""A report that is being written: what all of its groups are made with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node.encoders.follow_up import NOTHING_EARLIER, FollowUp
from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.encoders.sr.items import HAS_CONCEPT_MOD, Items
from dicom_ai_node.header import words_of
from dicom_ai_node.laterality import Laterality

SIDES = {"L": Laterality.LEFT, "R": Laterality.RIGHT, "B": Laterality.BOTH}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """`algorithm` is TID 4019, which goes into every group. `sides` are those that the images
    themselves say they are of, by SOP Instance UID. With `spatial`, regions in the patient are
    given in space too."""

    run: Run
    items: Items
    algorithm: Sequence[Dataset]
    follow_up: FollowUp = NOTHING_EARLIER
    sides: Mapping[str, Laterality] = field(default_factory=dict)
    spatial: bool = False

    def side_of(self, image: str | None) -> Laterality | None:
        """Of one image, or of all where none is named and they agree."""
        if image is not None:
            return self.sides.get(image)
        found = set(self.sides.values())
        return found.pop() if len(found) == 1 else None


def algorithm(run: Run, items: Items) -> list[Dataset]:
    """TID 4019."""

    def text(name: Code, value: str) -> Dataset:
        return items.text(name, value, HAS_CONCEPT_MOD)

    return [
        text(codes.DCM.AlgorithmName, run.package.title),
        text(codes.DCM.AlgorithmVersion, run.package.version),
        text(codes.DCM.AlgorithmManufacturer, MANUFACTURER),
        *(
            text(codes.DCM.AlgorithmParameters, f"{name}={value}")
            for name, value in run.parameters.items()
        ),
        items.code(codes.DCM.AlgorithmFamily, run.algorithm_family, HAS_CONCEPT_MOD),
    ]


def sides_of(headers: Iterable[Dataset]) -> dict[str, Laterality]:
    """What Image Laterality, or Laterality of its series, says of each image (PS3.3 C.8.11.7)."""
    found = {}
    for header in headers:
        said = (*words_of(header, "ImageLaterality"), *words_of(header, "Laterality"))
        if said and said[0] in SIDES:
            found[str(header.SOPInstanceUID)] = SIDES[said[0]]
    return found
