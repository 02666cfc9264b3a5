"""The units that this node measures in (UCUM), each in one place."""

from pydicom.sr.coding import Code

PERCENT = Code("%", "UCUM", "percent")
MILLILITRE = Code("mL", "UCUM", "mL")
SQUARE_CENTIMETRE = Code("cm2", "UCUM", "cm2")
SQUARE_MILLIMETRE = Code("mm2", "UCUM", "square millimeter")
MILLIMETRE = Code("mm", "UCUM", "mm")
HOUNSFIELD = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
