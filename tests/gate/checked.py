"""Results on disk, altered as a faulty encoder might have made them, and what the gate says."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pydicom
from pydicom import Dataset

from dicom_ai_node.encoders.encode import encode
from dicom_ai_node.form import ALONE, Form
from dicom_ai_node.gate.gate import Work, check
from dicom_ai_node.result import Result
from dicom_ai_node.writing import read_back, write
from tests.encoders import made

KINDS = ("seg", "sr")
Alter = Callable[[Dataset], object]


class Bench:
    """The objects of one result, written; `alter` changes one on disk, `check` reads all back."""

    def __init__(
        self,
        folder: Path,
        instances: Sequence[Dataset],
        result: Result,
        *,
        forms: Sequence[Form] = (ALONE,),
        evidence: Sequence[Dataset] = (),
        kinds: Sequence[str] = KINDS,
    ) -> None:
        self.headers = made.without_pixels(instances)
        self.encoded = encode(
            result, self.headers, made.run(), kinds, forms=forms, evidence=evidence
        )
        self.paths = write(folder / "written", self.encoded)
        first = min(instances, key=lambda ds: str(ds.SOPInstanceUID))
        (source,) = made.without_pixels([first])
        self.work = Work(
            result=result,
            headers=self.headers,
            source=source,
            forms=forms,
            with_segmentation="seg" in kinds,
            evidence=evidence,
        )

    def alter(self, kind: str, how: Alter) -> "Bench":
        """The first object of the kind, with what stands in its file meta left as it is."""
        number = next(k for k, each in enumerate(self.encoded) if each.kind == kind)
        ds = pydicom.dcmread(self.paths[number])
        how(ds)
        ds.save_as(self.paths[number], enforce_file_format=True)
        return self

    def check(self) -> None:
        check(read_back(self.paths, self.encoded), self.work)
