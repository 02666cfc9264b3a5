"""Which object of a run this is: its UIDs, its series, and the number of that."""

from dataclasses import dataclass
from typing import Any

from pydicom import Dataset

from dicom_ai_node.encoders.run import SERIES_NUMBERS, Run
from dicom_ai_node.form import Kind

STEP = 10  # between the series numbers of objects of one kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """`number` counts the objects of a kind from 0. Each is the only one of its series, for viewers
    read no more than one. `variant` tells apart what is the same thing in another form; it is
    empty for the usual one."""

    run: Run
    kind: Kind
    number: int = 0
    variant: str = ""

    def uid(self, part: str) -> str:
        further: list[object] = [self.number] if self.number else []
        further += [self.variant] if self.variant else []
        return self.run.ids.uid(self.kind, *further, part)

    @property
    def attributes(self) -> dict[str, Any]:
        """As highdicom's constructors name them."""
        return {
            "series_instance_uid": self.uid("series"),
            "series_number": SERIES_NUMBERS[self.kind] + STEP * self.number,
            "sop_instance_uid": self.uid("instance"),
            "instance_number": 1,
        }

    def derive_dimension_uid(self, ds: Dataset) -> None:
        """highdicom draws it by lot, and a retry is to make the same bytes."""
        uid = self.uid("dimensions")
        for item in (*ds.DimensionOrganizationSequence, *ds.DimensionIndexSequence):
            item.DimensionOrganizationUID = uid
