"""Where a code stands."""

from pydicom import Dataset

# by its length and kind (PS3.3 8.1): an item has one of them
CODE_VALUES = ("CodeValue", "LongCodeValue", "URNCodeValue")


def value_of(code: Dataset) -> str:
    return str(next((code[name].value for name in CODE_VALUES if name in code), ""))
