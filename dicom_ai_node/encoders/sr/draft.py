"""A report that is being written: what all of its groups are made with."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from dicom_ai_node.encoders.follow_up import NOTHING_EARLIER, FollowUp
from dicom_ai_node.encoders.run import MANUFACTURER, Run
from dicom_ai_node.encoders.sides import Sides
from dicom_ai_node.encoders.sr.items import HAS_CONCEPT_MOD, Items


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """`algorithm` is TID 4019, which goes into every group. `sides` are those that the images
    themselves say they are of, by SOP Instance UID. With `spatial`, regions in the patient are
    given in space too."""

    run: Run
    items: Items
    algorithm: Sequence[Dataset]
    follow_up: FollowUp = NOTHING_EARLIER
    sides: Sides = field(default_factory=Sides)
    spatial: bool = False


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
