"""Which side of the body something is on, and its code (PS3.16 CID 244)."""

import enum
from collections.abc import Mapping

from pydicom.sr.coding import Code


class Laterality(enum.StrEnum):
    LEFT = "left"
    RIGHT = "right"
    BOTH = "both"


LATERALITY_CODES: Mapping[Laterality, Code] = {
    Laterality.LEFT: Code("7771000", "SCT", "Left"),
    Laterality.RIGHT: Code("24028007", "SCT", "Right"),
    Laterality.BOTH: Code("51440002", "SCT", "Right and left"),
}
