"""The units that this node measures in (UCUM), each in one place."""

from pydicom.sr.coding import Code

PERCENT = Code("%", "UCUM", "percent")
MILLILITRE = Code("mL", "UCUM", "mL")
SQUARE_CENTIMETRE = Code("cm2", "UCUM", "cm2")
SQUARE_MILLIMETRE = Code("mm2", "UCUM", "square millimeter")
MILLIMETRE = Code("mm", "UCUM", "mm")
HOUNSFIELD = Code("[hnsf'U]", "UCUM", "Hounsfield unit")

_READ_AS_CODES = (
    *("mL", "mm", "mm2", "mm3", "cm", "cm2", "cm3", "%", "L", "ms", "s", "g", "kg", "mg"),
)
_NONE = ("1", "{ratio}")


def in_words(unit: Code) -> str:
    """As people write it; "" for none."""
    if unit.value in _NONE:
        return ""
    return str(unit.value if unit.value in _READ_AS_CODES else unit.meaning)
