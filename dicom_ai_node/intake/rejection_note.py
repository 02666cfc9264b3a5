"""A Key Object Selection that came, as far as it rejects instances (IHE IOCM, RAD-66)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from dicom_ai_node.database.rejections import NO_REJECTION, TITLES
from dicom_ai_node.header import read_head
from dicom_ai_node.uids import is_uid


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionNote:
    """`code` is "" where the title says no rejection."""

    code: str
    rejects: tuple[str, ...]  # SOP Instance UIDs


def read_note(path: Path) -> RejectionNote:
    """Raises OSError, or what a damaged file makes pydicom raise."""
    ds = read_head(path)
    code = next((str(each.get("CodeValue", "")) for each in _titles(ds)), NO_REJECTION)
    if code not in TITLES:
        return RejectionNote(code=NO_REJECTION, rejects=())
    named = dict.fromkeys(uid for uid in _evidence(ds) if is_uid(uid))
    return RejectionNote(code=code, rejects=tuple(named))


def _titles(ds: Dataset) -> Iterator[Dataset]:
    """The document title (TID 2010, row 1)."""
    for item in ds.get("ConceptNameCodeSequence") or ():
        if item.get("CodingSchemeDesignator") == "DCM":
            yield item


def _evidence(ds: Dataset) -> Iterator[str]:
    """All that it speaks of (PS3.3 C.17.6.2.1)."""
    for study in ds.get("CurrentRequestedProcedureEvidenceSequence") or ():
        for series in study.get("ReferencedSeriesSequence") or ():
            for item in series.get("ReferencedSOPSequence") or ():
                yield str(item.get("ReferencedSOPInstanceUID", ""))
